//! What belongs to the namespace: settings, agents, members.

use std::time::Duration;

use redis::Value;
use serde::de::DeserializeOwned;

use super::{
    RedisStore,
    ask::{at_least_a_millisecond, unreadable},
    masters::{Master, Masters, Traffic},
    replies::{Reply, text},
    scripts::{Call, Name},
};
use crate::{
    model::{AgentDeclaration, AgentName, BadAddress, Settings, WorkerId},
    store::{Agents, Configured, Declared, Member, StoreError, StoreResult},
};

/// The field of `conf` that holds the settings.
pub(super) const SETTINGS: &str = "settings";

/// How many other members one `announce` looks at.
const MEMBERS_AT_ONCE: usize = 100;

impl RedisStore {
    pub(super) async fn configure_namespace(&self, wanted: &Settings) -> StoreResult<Configured> {
        if wanted.partitions != self.keys().partitions().count() {
            return self.differs(wanted).await;
        }
        let json = serde_json::to_string(wanted).expect("settings are plain data");
        let call = self.script(Name::Configure, &[self.keys().conf()]).arg(json);
        let found =
            read_json::<Settings>("the settings", self.shared.masters.call(Traffic::Leases, &call).await?)?;
        if found != *wanted {
            return Ok(Configured::Differs(found));
        }
        *self.shared.limits.lock().expect("nobody panics with the lock held") = found.limits;
        Ok(Configured::Agreed)
    }

    /// Other partitions than this store was connected with cannot be made the namespace's through it.
    async fn differs(&self, wanted: &Settings) -> StoreResult<Configured> {
        match settings(&self.shared.masters, Traffic::Leases, &self.keys().conf()).await? {
            Some(found) if found == *wanted => Err(StoreError::Refused(
                "the namespace was configured after this store connected: connect again".to_owned(),
            )),
            Some(found) => Ok(Configured::Differs(found)),
            None => Err(StoreError::Refused(
                "connect with the settings that are to be the namespace's".to_owned(),
            )),
        }
    }

    pub(super) async fn declare_agent(
        &self,
        worker: &WorkerId,
        agent: &AgentName,
        how: &AgentDeclaration,
    ) -> StoreResult<Declared> {
        let mut named = Vec::new();
        loop {
            let call = self.declaration(worker, agent, how, &named);
            let mut reply = self.ask(Traffic::Leases, call).await?;
            match reply.text()?.as_str() {
                "declared" => {
                    // What could not be read was replaced all the same: that is how it is mended.
                    let before = reply.maybe_lossy()?.and_then(|before| serde_json::from_str(&before).ok());
                    return Ok(Declared::Known(before));
                }
                "elsewhere" => {
                    let AgentDeclaration { pool, .. } = parse_json("a declared agent", &reply.text()?)?;
                    return Ok(Declared::Elsewhere { pool, workers: by_incarnation(members_of(reply)?) });
                }
                "unnamed" => named.extend(names_of(reply)?),
                other => return Err(reply.unknown(other)),
            }
        }
    }

    /// The call that declares an agent, with the keys of these members.
    fn declaration(
        &self,
        worker: &WorkerId,
        agent: &AgentName,
        how: &AgentDeclaration,
        named: &[String],
    ) -> Call {
        let mut names = vec![self.keys().agents(), self.keys().members()];
        names.extend(named.iter().map(|member| self.keys().alive_named(member)));
        let json = serde_json::to_string(how).expect("a declaration is plain data");
        let call = self.script(Name::Declare, &names).arg(agent.as_str()).arg(json);
        let call = call.arg(how.pool.as_str()).arg(worker.as_str());
        named.iter().fold(call, |call, member| call.arg(member))
    }

    pub(super) async fn declared_agents(&self) -> StoreResult<Agents> {
        let (known, unreadable) = self.rows(self.keys().agents()).await?;
        // No session is of an agent without a good name. As for the others: a session made in another pool than its agent's
        // stays there, and what was told below its class is told.
        let unreadable = unreadable.iter().filter_map(|row| row.parse().ok()).collect();
        Ok(Agents { known, unreadable })
    }

    pub(super) async fn announce_member(&self, member: &Member, ttl: Duration) -> StoreResult<()> {
        let members = self.keys().members();
        let mut list = redis::cmd("HGETALL");
        list.arg(&members);
        let found = self.shared.masters.run(Traffic::Leases, &members, &list).await?;
        let (readable, unreadable) = self.read_rows::<WorkerId, Member>(&members, found)?;
        // A newer version's time is over like anybody's, and then its row goes.
        let others = readable.into_keys().chain(unreadable.iter().filter_map(|row| row.parse().ok()));
        let others: Vec<_> = others.filter(|other| *other != member.worker).take(MEMBERS_AT_ONCE).collect();
        let mut names = vec![members, self.keys().alive(&member.worker)];
        names.extend(others.iter().map(|other| self.keys().alive(other)));
        let json = serde_json::to_string(member).expect("a member is plain data");
        let call = self
            .script(Name::Announce, &names)
            .arg(member.worker.as_str())
            .arg(json)
            .arg(at_least_a_millisecond(ttl));
        let call = others.iter().fold(call, |call, other| call.arg(other.as_str()));
        self.shared.masters.call(Traffic::Leases, &call).await.map(drop)
    }

    pub(super) async fn retire_member(&self, worker: &WorkerId) -> StoreResult<()> {
        let names = [self.keys().members(), self.keys().alive(worker)];
        let call = self.script(Name::Retire, &names).arg(worker.as_str());
        self.shared.masters.call(Traffic::Leases, &call).await.map(drop)
    }

    pub(super) async fn living_members(&self) -> StoreResult<Vec<Member>> {
        let key = self.keys().members();
        let (members, _) = self.rows::<WorkerId, Member>(key.clone()).await?;
        let mut look = redis::pipe();
        for worker in members.keys() {
            look.cmd("EXISTS").arg(self.keys().alive(worker));
        }
        if members.is_empty() {
            return Ok(Vec::new());
        }
        let alive = self.shared.masters.administer_all(&key, &look).await?;
        let members = members.into_values().zip(alive).filter(|(_, alive)| *alive == Value::Int(1));
        Ok(members.map(|(member, _)| member).collect())
    }

    /// How long all servers have been up.
    pub(super) async fn server_uptime(&self) -> StoreResult<Duration> {
        let mut least = Duration::MAX;
        for master in self.shared.masters.all() {
            least = least.min(uptime(&master).await?);
        }
        Ok(least)
    }
}

async fn uptime(master: &Master) -> StoreResult<Duration> {
    let mut ask = redis::cmd("INFO");
    ask.arg("server");
    let info = text(master.lane(Traffic::Leases).run(&ask).await?).unwrap_or_default();
    let seconds = info.lines().find_map(|line| line.strip_prefix("uptime_in_seconds:")?.trim().parse().ok());
    let seconds = seconds.ok_or_else(|| StoreError::unreadable("INFO server", "it tells no uptime"))?;
    Ok(Duration::from_secs(seconds))
}

/// The settings that a namespace has, by its `conf`.
pub(super) async fn settings(
    masters: &Masters,
    traffic: Traffic,
    conf: &str,
) -> StoreResult<Option<Settings>> {
    let mut get = redis::cmd("HGET");
    get.arg(conf).arg(SETTINGS);
    match masters.run(traffic, conf, &get).await? {
        Value::Nil => Ok(None),
        found => read_json("the settings", found).map(Some),
    }
}

fn by_incarnation(mut workers: Vec<WorkerId>) -> Vec<WorkerId> {
    workers.sort();
    workers
}

/// The names that a reply ends with: whoever wrote among the members by hand may have used any.
fn names_of(reply: Reply) -> StoreResult<Vec<String>> {
    let names = reply.rest().map(|name| text(name).map_err(unreadable("the name of a member")));
    names.collect()
}

/// The workers that a reply ends with.
fn members_of(reply: Reply) -> StoreResult<Vec<WorkerId>> {
    let members = reply.rest().map(|name| text(name)?.parse().map_err(|why: BadAddress| why.to_string()));
    members.map(|member| member.map_err(|why| StoreError::unreadable("a member", why))).collect()
}

fn read_json<T: DeserializeOwned>(what: &str, found: Value) -> StoreResult<T> {
    parse_json(what, &text(found).map_err(|why| StoreError::unreadable(what, why))?)
}

fn parse_json<T: DeserializeOwned>(what: &str, json: &str) -> StoreResult<T> {
    serde_json::from_str(json).map_err(|why| StoreError::unreadable(what, why))
}
