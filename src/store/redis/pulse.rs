//! What a namespace has to do and how late it is, by one look that changes nothing: for people who watch.
//!
//! Commands of constant cost alone: six a partition, two for each plain door, and two more for each pool and agent. Not a moment in time:
//! the numbers of one partition may be a few milliseconds older than those of the next.

use std::sync::Arc;

use redis::{Pipeline, Value};

use super::{
    RedisStore,
    masters::Traffic,
    records::{mail, stream},
    replies::text,
};
use crate::{
    model::{AgentName, Door, Message, Millis, Partition, Pool, SessionId, StreamId, WorkerId},
    store::{Duty, Mail, StoreError, StoreResult},
};

/// What was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pulse {
    /// The server's time.
    pub now: Millis,
    /// Sessions there are.
    pub sessions: u64,
    /// Pools and agents whose sessions want an owner, of those asked for.
    pub queues: Vec<Queue>,
    /// Waits whose time has come.
    pub overdue: u64,
    /// When the first of them should have ended.
    pub overdue_since: Option<Millis>,
    /// When the oldest reply was written that is not delivered.
    pub undelivered_since: Option<Millis>,
    /// Who does each partition's upkeep.
    pub duties: Vec<Option<WorkerId>>,
    /// Dead letters.
    pub dead: u64,
    /// Entries of the plain doors that are still to be taken.
    pub door: u64,
    /// When the oldest of them came in.
    pub door_since: Option<Millis>,
    /// The key of a plain door at which something else stands; what is at the others is counted.
    pub no_door: Option<String>,
    /// How the server is.
    pub server: ServerPulse,
}

/// Sessions of one pool and agent that want an owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// The pool.
    pub pool: Pool,
    /// The agent.
    pub agent: AgentName,
    /// How many there are.
    pub sessions: u64,
    /// The one that has been there longest.
    pub first: SessionId,
    /// Since when.
    pub since: Millis,
    /// When the message was accepted that it waits with; the same as `since` if that cannot be seen.
    pub accepted: Millis,
}

/// What a server says of its own load; of a cluster all masters together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ServerPulse {
    /// Bytes it uses.
    pub memory: u64,
    /// Bytes it may use; none if nothing limits it.
    pub memory_limit: Option<u64>,
    /// Commands a second, by its own count.
    pub operations: u64,
    /// Connections.
    pub clients: u64,
}

impl RedisStore {
    /// How the namespace is; of the queues only those of `agents`.
    pub async fn pulse(&self, agents: &[(Pool, AgentName)]) -> StoreResult<Pulse> {
        let mut first = redis::pipe();
        first.cmd("TIME").cmd("INFO").arg("memory").arg("stats").arg("clients");
        let ingress = self.keys().ingress(Door::MAIN);
        let mut answers = Answers::of(self.shared.masters.administer_all(&ingress, &first).await?);
        let now = answers.time()?;
        let server = self.with_others(answers.server()?, &ingress).await?;
        let mut pulse = Pulse { now, server, ..Pulse::default() };

        self.see_doors(&mut pulse).await?;
        let mut queues: Vec<Option<Queue>> = vec![None; agents.len()];
        for together in self.shared.masters.groups(self.keys().partitions().all()) {
            let mut look = redis::pipe();
            for partition in &together {
                self.ask_partition(&mut look, *partition, now, agents);
            }
            let first = self.keys().partition(together[0]).index();
            let mut answers = Answers::of(self.shared.masters.administer_all(&first, &look).await?);
            for _ in &together {
                pulse.take_partition(&mut answers)?;
                take_queues(&mut queues, agents, &mut answers)?;
            }
        }
        pulse.queues = queues.into_iter().flatten().collect();
        self.see_first_messages(&mut pulse.queues).await?;
        Ok(pulse)
    }

    /// What waits at all plain doors together.
    async fn see_doors(&self, pulse: &mut Pulse) -> StoreResult<()> {
        for together in self.shared.masters.groups(self.keys().partitions().doors()) {
            let mut look = redis::pipe();
            for door in together.iter().map(|door| self.keys().ingress(*door)) {
                look.cmd("XLEN").arg(&door).cmd("XRANGE").arg(&door).arg("-").arg("+").arg("COUNT").arg(1);
            }
            let first = self.keys().ingress(together[0]);
            let mut answers = self.shared.masters.each(Traffic::Reads, &first, &look).await?.into_iter();
            for door in together {
                // Both, whatever came of the first.
                let both: Vec<_> = answers.by_ref().take(2).collect();
                match both.into_iter().collect() {
                    Ok(seen) => pulse.take_door(Answers::of(seen))?,
                    Err(StoreError::Unreadable { .. }) => pulse.no_door = Some(self.keys().ingress(door)),
                    Err(err) => return Err(err),
                }
            }
        }
        Ok(())
    }

    /// The load of the master that has `key`, and of all others with it.
    async fn with_others(&self, mut server: ServerPulse, key: &str) -> StoreResult<ServerPulse> {
        let asked = self.shared.masters.of(key)?;
        let mut ask = redis::cmd("INFO");
        ask.arg("memory").arg("stats").arg("clients");
        for master in self.shared.masters.all().iter().filter(|other| !Arc::ptr_eq(other, &asked)) {
            let said = master.lane(Traffic::Reads).run(&ask).await?;
            server = server.and(Answers::of(vec![said]).server()?);
        }
        Ok(server)
    }

    /// When each queue's first session was sent what it waits with.
    async fn see_first_messages(&self, queues: &mut [Queue]) -> StoreResult<()> {
        for queue in queues {
            if let Some(message) = self.first_message(&queue.first).await? {
                queue.accepted = message.time;
            }
        }
        Ok(())
    }

    fn ask_partition(
        &self,
        look: &mut Pipeline,
        partition: Partition,
        now: Millis,
        agents: &[(Pool, AgentName)],
    ) {
        let keys = self.keys().partition(partition);
        look.cmd("ZCARD").arg(keys.index());
        look.cmd("GET").arg(keys.duty());
        look.cmd("ZCOUNT").arg(keys.timers()).arg("-inf").arg(now.0);
        look.cmd("ZRANGE").arg(keys.timers()).arg(0).arg(0).arg("WITHSCORES");
        look.cmd("XRANGE").arg(keys.out()).arg("-").arg("+").arg("COUNT").arg(1);
        look.cmd("XLEN").arg(keys.dead());
        for (pool, agent) in agents {
            let ready = keys.ready(pool, agent);
            look.cmd("ZCARD").arg(&ready).cmd("ZRANGE").arg(&ready).arg(0).arg(0).arg("WITHSCORES");
        }
    }
}

impl ServerPulse {
    /// Two servers as one.
    fn and(self, other: Self) -> Self {
        Self {
            memory: self.memory + other.memory,
            memory_limit: self.memory_limit.zip(other.memory_limit).map(|(one, other)| one + other),
            operations: self.operations + other.operations,
            clients: self.clients + other.clients,
        }
    }
}

impl Pulse {
    /// Takes in what one door answered.
    fn take_door(&mut self, mut answers: Answers) -> StoreResult<()> {
        self.door += answers.number()?;
        self.door_since = earlier(self.door_since, answers.oldest()?);
        Ok(())
    }

    /// Takes in what one partition answered of itself, in the order in which it was asked.
    fn take_partition(&mut self, answers: &mut Answers) -> StoreResult<()> {
        self.sessions += answers.number()?;
        self.duties.push(answers.keeper()?);
        let overdue = answers.number()?;
        let first: Option<(String, _)> = answers.first()?;
        if let Some((_, due)) = first.filter(|_| overdue > 0) {
            self.overdue += overdue;
            self.overdue_since = earlier(self.overdue_since, Some(due));
        }
        self.undelivered_since = earlier(self.undelivered_since, answers.oldest()?);
        self.dead += answers.number()?;
        Ok(())
    }
}

impl RedisStore {
    /// The first message of a session's inbox; none where there is none that can be read.
    pub async fn first_message(&self, session: &SessionId) -> StoreResult<Option<Message>> {
        let inbox = self.keys().session(session).inbox();
        let head = self.shared.masters.administer(&inbox, redis::cmd("LINDEX").arg(&inbox).arg(0)).await?;
        let Value::BulkString(element) = head else { return Ok(None) };
        match mail(&element) {
            Mail::Message(message) | Mail::Malformed(message, _) => Ok(Some(message)),
            Mail::Unreadable(_) => Ok(None),
        }
    }
}

impl Queue {
    /// The same queue in two partitions, as one.
    fn and(self, other: Self) -> Self {
        let sessions = self.sessions + other.sessions;
        let longest = if self.since <= other.since { self } else { other };
        Self { sessions, ..longest }
    }
}

/// Takes in the queues of one partition, in the order in which they were asked for.
fn take_queues(
    queues: &mut [Option<Queue>],
    agents: &[(Pool, AgentName)],
    answers: &mut Answers,
) -> StoreResult<()> {
    for (queue, (pool, agent)) in queues.iter_mut().zip(agents) {
        let (sessions, first) = (answers.number()?, answers.first()?);
        let Some((first, since)) = first.filter(|_| sessions > 0) else { continue };
        let (pool, agent) = (pool.clone(), agent.clone());
        let found = Queue { pool, agent, sessions, first, since, accepted: since };
        *queue = Some(match queue.take() {
            Some(before) => before.and(found),
            None => found,
        });
    }
    Ok(())
}

fn earlier(one: Option<Millis>, other: Option<Millis>) -> Option<Millis> {
    one.into_iter().chain(other).min()
}

/// What a pipeline answered, read from front to back.
struct Answers(std::vec::IntoIter<Value>);

impl Answers {
    fn of(values: Vec<Value>) -> Self {
        Self(values.into_iter())
    }

    fn next(&mut self) -> StoreResult<Value> {
        self.0.next().ok_or_else(|| unreadable("it ended early"))
    }

    fn text(&mut self) -> StoreResult<String> {
        text(self.next()?).map_err(unreadable)
    }

    fn number(&mut self) -> StoreResult<u64> {
        match self.next()? {
            Value::Int(number) => Ok(u64::try_from(number).unwrap_or_default()),
            other => Err(unreadable(format!("not a number: {other:?}"))),
        }
    }

    /// The server's clock: seconds and microseconds.
    fn time(&mut self) -> StoreResult<Millis> {
        let mut parts = match self.next()? {
            Value::Array(parts) => parts.into_iter().map(|part| text(part).ok()?.parse::<u64>().ok()),
            other => return Err(unreadable(format!("not a time: {other:?}"))),
        };
        match (parts.next().flatten(), parts.next().flatten()) {
            (Some(seconds), Some(micros)) => Ok(Millis(seconds * 1_000 + micros / 1_000)),
            _ => Err(unreadable("not a time")),
        }
    }

    fn server(&mut self) -> StoreResult<ServerPulse> {
        let info = self.text()?;
        let number = |name: &str| {
            let value = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            value.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
        };
        Ok(ServerPulse {
            memory: number("used_memory"),
            memory_limit: Some(number("maxmemory")).filter(|limit| *limit > 0),
            operations: number("instantaneous_ops_per_sec"),
            clients: number("connected_clients"),
        })
    }

    /// Who has a duty; none where nobody has, or something that is no name.
    fn keeper(&mut self) -> StoreResult<Option<WorkerId>> {
        match self.next()? {
            Value::Nil => Ok(None),
            found => Ok(text(found).map_err(unreadable)?.parse::<Duty>().ok().map(|duty| duty.holder)),
        }
    }

    /// When a stream's oldest entry was written, by its id.
    fn oldest(&mut self) -> StoreResult<Option<Millis>> {
        let entries = stream(self.next()?).map_err(unreadable)?;
        let id = entries.first().map(|(id, _)| id.parse::<StreamId>()).transpose().map_err(unreadable)?;
        Ok(id.map(|id| Millis(id.millis)))
    }

    /// The first member of a sorted set of times. None also where that is no name: it is left out everywhere.
    fn first<T: std::str::FromStr>(&mut self) -> StoreResult<Option<(T, Millis)>> {
        let Value::Array(parts) = self.next()? else { return Err(unreadable("not a list")) };
        let mut parts = parts.into_iter();
        let (Some(name), Some(score)) = (parts.next(), parts.next()) else { return Ok(None) };
        let score: f64 = text(score).map_err(unreadable)?.parse().map_err(unreadable)?;
        let Some(name) = text(name).ok().and_then(|name| name.parse().ok()) else { return Ok(None) };
        Ok(Some((name, Millis(score.max(0.0) as u64))))
    }
}

fn unreadable(why: impl ToString) -> StoreError {
    StoreError::unreadable("the namespace's pulse", why)
}
