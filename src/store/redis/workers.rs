//! A worker's own lease in a partition.

use redis::Value;

use super::{
    RedisStore,
    ask::{at_least_a_millisecond, parse_names},
    masters::Traffic,
    scripts::Name,
};
use crate::{
    model::{AgentName, Millis, Partition, Pool, SessionId, WorkerId},
    store::{Bury, DutyWish, Ground, Presence, Reckoning, Renewal, StoreError, StoreResult},
};

/// Whether a renewal may make a worker known that was not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Renewing {
    Join,
    Renew,
}

/// How often a script that answers with a better idea of what it needs is asked again.
pub(super) const PATIENCE: usize = 10;

impl RedisStore {
    pub(super) async fn renew_lease(
        &self,
        partition: Partition,
        presence: &Presence,
        renewing: Renewing,
    ) -> StoreResult<Renewal> {
        let of = self.keys().partition(partition);
        let mut names = vec![of.workers(), of.duty()];
        let (full, with_room): (Vec<_>, Vec<_>) =
            presence.agents.iter().partition(|agent| presence.full.contains(*agent));
        names.extend(with_room.iter().chain(&full).map(|agent| of.idle(&presence.pool, agent)));
        let how = match renewing {
            Renewing::Join => "join",
            Renewing::Renew => "renew",
        };
        let wish = match presence.duty {
            DutyWish::Take => "take",
            DutyWish::Leave => "leave",
            DutyWish::Yield => "yield",
            DutyWish::GiveUp => "give_up",
        };
        let call = self
            .script(Name::Renew, &names)
            .arg(presence.worker.as_str())
            .arg(at_least_a_millisecond(presence.lease))
            .arg(how)
            .maybe(presence.load)
            .arg(wish)
            .arg(serving(&presence.pool, &presence.agents))
            .arg(with_room.len());
        let mut reply = self.ask(Traffic::Leases, call).await?;
        let word = reply.text()?;
        match word.as_str() {
            "renewed" => Ok(Renewal::Renewed {
                now: Millis(reply.parse()?),
                duty: reply.maybe()?,
                alive: reply.parse()?,
            }),
            "lost" => Ok(Renewal::Lost),
            _ => Err(reply.unknown(&word)),
        }
    }

    pub(super) async fn bury_worker(
        &self,
        partition: Partition,
        worker: &WorkerId,
        ground: Ground,
    ) -> StoreResult<Bury> {
        let of = self.keys().partition(partition);
        let reckoning = match ground {
            Ground::OverdueUnder(reckoning) => Some(reckoning),
            Ground::Overdue | Ground::Lifeline | Ground::OwnWish => None,
        };
        let ground = match ground {
            Ground::Overdue | Ground::OverdueUnder(_) => "overdue",
            Ground::Lifeline => "lifeline",
            Ground::OwnWish => "own_wish",
        };
        let mut serves = String::new();
        for _ in 0..PATIENCE {
            let mut names = vec![of.workers(), of.duty()];
            names.extend(self.idle_sets(partition, &serves));
            let call = self
                .script(Name::Bury, &names)
                .arg(worker.as_str())
                .arg(ground)
                .arg(&serves)
                .arg(of.wake_prefix())
                .arg(late(reckoning));
            let under = reckoning.map(|reckoning| reckoning.run);
            let Some(mut reply) = self.ask_under(under, call).await? else {
                return Ok(Bury::OtherRun);
            };
            let word = reply.text()?;
            match word.as_str() {
                "buried" => return Ok(Bury::Buried),
                "alive" => return Ok(Bury::Alive),
                "later" => return Ok(Bury::Later),
                "unknown" => return Ok(Bury::Unknown),
                "serves" => serves = reply.text()?,
                _ => return Err(reply.unknown(&word)),
            }
        }
        Err(undecided("bury"))
    }

    /// The `idle` of all that a worker serves, as its value in `workers` says: `<pool>/<agent>,<agent>…`.
    pub(super) fn idle_sets(&self, partition: Partition, serves: &str) -> Vec<String> {
        let of = self.keys().partition(partition);
        let Some((pool, agents)) = serves.split_once('/') else { return Vec::new() };
        let Ok(pool) = pool.parse::<Pool>() else { return Vec::new() };
        let agents = agents.split(',').filter_map(|agent| agent.parse::<AgentName>().ok());
        agents.map(|agent| of.idle(&pool, &agent)).collect()
    }

    pub(super) async fn held_by(
        &self,
        partition: Partition,
        worker: &WorkerId,
        limit: usize,
    ) -> StoreResult<Vec<SessionId>> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let held = self.keys().partition(partition).held(worker);
        let mut look = redis::cmd("SRANDMEMBER");
        look.arg(&held).arg(limit);
        match self.shared.masters.run(Traffic::Leases, &held, &look).await? {
            Value::Nil => Ok(Vec::new()),
            found => parse_names("the sessions that a worker holds", found),
        }
    }
}

/// How late the server may be by its clock, as an argument; empty if that does not matter.
pub(super) fn late(reckoning: Option<Reckoning>) -> String {
    reckoning.map(|reckoning| reckoning.until.0.to_string()).unwrap_or_default()
}

fn serving(pool: &Pool, agents: &[AgentName]) -> String {
    let agents: Vec<_> = agents.iter().map(AgentName::as_str).collect();
    format!("{pool}/{}", agents.join(","))
}

/// A script went on asking for something else: others change it faster than we ask.
pub(super) fn undecided(script: &str) -> StoreError {
    StoreError::Unavailable(
        format!("`{script}` found something else at every one of {PATIENCE} calls").into(),
    )
}
