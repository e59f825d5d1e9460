//! Looks at a fleet, and remembers what it takes to tell rates. Reads only, and never gives up.

use std::{collections::BTreeSet, convert::Infallible, time::Duration};

use tenure::{
    Env,
    client::{Client, ClientError},
    model::{AgentName, Millis, Pool},
    store::{
        Member, MemberState, RedisStore, StoreError,
        redis::{Options, Pulse, Queue},
    },
};
use tokio::sync::mpsc;

use super::{
    events::Events,
    sample::Sample,
    snapshot::{Lag, Oldest, Problem, QueueRow, Seen, Server, Sessions, Snapshot, WorkerRow},
};
use crate::{
    failure::{Exit, Failure, redacted, with_causes},
    output::Time,
};

/// Of how many pools and agents the queues are looked at: each costs a few commands a partition.
const MOST_QUEUES: usize = 100;

/// One who looks.
pub(super) struct Gatherer {
    options: Options,
    env: Env,
    /// Once there was one.
    client: Option<Client<RedisStore>>,
    events: Events,
    sample: Sample,
}

impl Gatherer {
    pub(super) fn new(options: Options) -> Self {
        let (events, sample) = Default::default();
        Self { options, env: Env::system(), client: None, events, sample }
    }

    /// Looks once every so often, as long as somebody takes what was seen.
    pub(super) async fn run(mut self, every: Duration, looks: mpsc::Sender<Snapshot>) -> Infallible {
        loop {
            let next = self.env.now().plus(every);
            let look = self.look().await;
            if looks.send(look).await.is_err() {
                std::future::pending::<()>().await;
            }
            self.env.sleep_until(next).await;
        }
    }

    /// One look. That there is no answer is an answer too.
    pub(super) async fn look(&mut self) -> Snapshot {
        let seen = self.see().await;
        let time = Time(self.env.wall());
        match seen {
            Ok(seen) => Snapshot { time, problem: None, seen: Some(seen) },
            Err(err) => Snapshot { time, problem: Some(problem(err)), seen: None },
        }
    }

    async fn see(&mut self) -> Result<Seen, ClientError> {
        let client = match &self.client {
            Some(client) => client,
            None => {
                let store = RedisStore::connect(self.options.clone()).await.map_err(ClientError::Store)?;
                // What is not answered is not asked again, but told.
                let client = Client::new(store, self.env.clone()).with_patience(Duration::ZERO);
                self.client.insert(client)
            }
        };
        // First: it may meet sessions that wait where nobody declares or serves anything.
        self.sample.look(client).await?;
        let members = client.workers().await?;
        let declared = client.agents().await?;
        let queues = declared.into_iter().map(|(agent, how)| (how.pool, agent));
        let queues: BTreeSet<_> = queues.chain(served(&members)).chain(self.sample.waiting()).collect();
        let queues: Vec<_> = queues.into_iter().take(MOST_QUEUES).collect();
        let pulse = client.store().pulse(&queues).await.map_err(ClientError::Store)?;
        self.events.take(&members);
        Ok(self.seen(members, pulse))
    }

    fn seen(&self, members: Vec<Member>, pulse: Pulse) -> Seen {
        let lag = lag(&pulse, &members);
        let sessions = Sessions {
            total: pulse.sessions,
            owned: members.iter().map(|member| member.sessions).sum(),
            running: members.iter().map(|member| member.running).sum(),
            ready: pulse.queues.iter().map(|queue| queue.sessions).sum(),
            sampled: self.sample.len(),
            status: self.sample.by_status(),
        };
        let serving: BTreeSet<_> =
            served(members.iter().filter(|member| member.state == MemberState::Ready)).collect();
        let oldest = pulse.queues.iter().min_by_key(|queue| queue.accepted);
        let oldest = oldest.map(|queue| Oldest {
            session: queue.first.clone(),
            waiting_ms: ms_since(pulse.now, queue.accepted),
        });
        Seen {
            workers: members.into_iter().map(|member| self.row(member)).collect(),
            sessions,
            turns_per_second: self.events.turns_per_second_of_all(),
            failovers: self.events.failovers(),
            lag,
            queues: queue_rows(pulse.queues, pulse.now, &serving),
            oldest,
            door: pulse.door,
            no_door: pulse.no_door,
            dead: pulse.dead,
            server: Server {
                memory_bytes: pulse.server.memory,
                memory_limit_bytes: pulse.server.memory_limit,
                operations_per_second: pulse.server.operations,
                clients: pulse.server.clients,
            },
        }
    }

    fn row(&self, member: Member) -> WorkerRow {
        let turns_per_second = self.events.turns_per_second(&member.worker);
        let Member { worker, pool, agents, state, sessions, running, capacity, since, .. } = member;
        let since = Time(since);
        WorkerRow { worker, pool, agents, state, sessions, running, capacity, turns_per_second, since }
    }
}

fn problem(err: ClientError) -> Problem {
    let line = redacted(&with_causes(&err));
    let failure = match err {
        ClientError::Store(StoreError::Forbidden(_)) => Failure::new(
            Exit::Refused,
            format!(
                "{line}: who watches needs what `tenure acl observer` prints; `tenure doctor --as observer` names each right that is missing"
            ),
        ),
        err => err.into(),
    };
    Problem { line, failure }
}

fn served<'m>(members: impl IntoIterator<Item = &'m Member>) -> impl Iterator<Item = (Pool, AgentName)> {
    let each = members
        .into_iter()
        .flat_map(|member| member.agents.iter().map(|agent| (member.pool.clone(), agent.clone())));
    each.collect::<Vec<_>>().into_iter()
}

fn lag(pulse: &Pulse, members: &[Member]) -> Lag {
    let age = |since: Option<Millis>| since.map(|since| ms_since(pulse.now, since));
    let kept = |duty: &Option<_>| members.iter().any(|member| Some(&member.worker) == duty.as_ref());
    Lag {
        ready_ms: age(pulse.queues.iter().map(|queue| queue.since).min()),
        timers_ms: age(pulse.overdue_since),
        overdue: pulse.overdue,
        replies_ms: age(pulse.undelivered_since),
        door_ms: age(pulse.door_since),
        upkeep_ms: members.iter().map(|member| member.tally.upkeep.round_ms).max(),
        pass_ms: members.iter().filter_map(|member| member.tally.upkeep.pass_ms).max(),
        unkept: pulse.duties.iter().filter(|duty| !kept(duty)).count(),
    }
}

fn queue_rows(queues: Vec<Queue>, now: Millis, serving: &BTreeSet<(Pool, AgentName)>) -> Vec<QueueRow> {
    let mut rows: Vec<_> = queues
        .into_iter()
        .map(|Queue { pool, agent, sessions, since, .. }| {
            let at = (pool, agent);
            let served = serving.contains(&at);
            QueueRow { pool: at.0, agent: at.1, sessions, oldest_ms: ms_since(now, since), served }
        })
        .collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.oldest_ms));
    rows
}

fn ms_since(now: Millis, since: Millis) -> u64 {
    now.0.saturating_sub(since.0)
}
