//! A session as a person is shown it: what is recorded, and what follows from it and from who is there.

use std::collections::BTreeSet;

use crate::{
    model::{
        AgentName, Cause, Crash, Epoch, Group, Hold, Millis, Pool, SessionId, SessionRecord, Status, WorkerId,
    },
    store::{Member, MemberState, Sight},
};

/// A session, with why it is as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionView {
    /// The session.
    pub session: SessionId,
    /// Its state.
    pub status: Status,
    /// Why it does not move, if it should.
    pub cause: Option<Cause>,
    /// The same in a sentence, with what would help.
    pub reason: Option<String>,
    /// Who owns it.
    pub owner: Option<WorkerId>,
    /// The last epoch granted; none before the first claim.
    pub epoch: Option<Epoch>,
    /// Turns that ended.
    pub turns: u64,
    /// Messages in its inbox.
    pub waiting: u64,
    /// Owners that died while it had work, since its last commit; oldest first.
    pub crashes: Vec<Crash>,
    /// The group it belongs to.
    pub group: Option<Group>,
    /// The pool whose workers may claim it; unknown if its record cannot be read.
    pub pool: Option<Pool>,
    /// When its first message was accepted; unknown if its record cannot be read.
    pub created: Option<Millis>,
    /// When it last changed; unknown if its record cannot be read.
    pub updated: Option<Millis>,
}

impl SessionView {
    /// `session` as it was seen, in a fleet of `members`.
    pub(super) fn of(session: SessionId, sight: Sight, members: &[Member]) -> Self {
        let Sight { record, waiting } = sight;
        let reach = reach(&session.agent(), &record.pool, members);
        let (status, cause) = record.status(waiting, reach);
        let reason = reason(&session, &record, cause, members);
        Self { status, cause, reason, waiting, ..Self::recorded(session, record) }
    }

    /// What its record says by itself.
    fn recorded(session: SessionId, record: SessionRecord) -> Self {
        let crashes = record.crashes_at_claim();
        Self {
            session,
            status: Status::Quarantined,
            cause: None,
            reason: None,
            owner: record.owner.map(|token| token.worker),
            epoch: record.epoch,
            turns: record.turns,
            waiting: 0,
            crashes,
            group: record.group,
            pool: Some(record.pool),
            created: Some(record.created),
            updated: Some(record.updated),
        }
    }

    /// A session whose record this version cannot read.
    pub(super) fn unreadable(session: SessionId, why: &str) -> Self {
        Self::set_aside(session, format!("{why}; it is left alone: use the version that wrote it"))
    }

    /// A session at one of whose keys somebody set something else; with its record, if that can be read.
    pub(super) fn overwritten(session: SessionId, key: &str, record: Option<SessionRecord>) -> Self {
        let reason = format!(
            "`{key}` was set to something else by hand: put back what was there, or give the session up (`tenure delete {session}`)"
        );
        match record {
            Some(record) => {
                let (cause, reason) = (Some(Cause::Unreadable), Some(reason));
                Self { cause, reason, ..Self::recorded(session, record) }
            }
            None => Self::set_aside(session, reason),
        }
    }

    /// A session that cannot be read, and why.
    fn set_aside(session: SessionId, reason: String) -> Self {
        Self {
            session,
            status: Status::Quarantined,
            cause: Some(Cause::Unreadable),
            reason: Some(reason),
            owner: None,
            epoch: None,
            turns: 0,
            waiting: 0,
            crashes: Vec::new(),
            group: None,
            pool: None,
            created: None,
            updated: None,
        }
    }
}

/// What stands between a session of `agent` in `pool` and a worker; none if one will take it.
fn reach(agent: &AgentName, pool: &Pool, members: &[Member]) -> Option<Cause> {
    let serving = members.iter().filter(|member| member.agents.contains(agent));
    let serving: Vec<_> = serving.filter(|member| member.state == MemberState::Ready).collect();
    let ours: Vec<_> = serving.iter().filter(|member| member.pool == *pool).collect();
    match (serving.is_empty(), ours.is_empty()) {
        (true, _) => Some(Cause::NoWorker),
        (false, true) => Some(Cause::OtherPool),
        (false, false) => {
            let is_full =
                |member: &&Member| member.sessions >= member.capacity || member.full.contains(agent);
            ours.iter().all(|member| is_full(member)).then_some(Cause::Capacity)
        }
    }
}

fn reason(
    session: &SessionId,
    record: &SessionRecord,
    cause: Option<Cause>,
    members: &[Member],
) -> Option<String> {
    let agent = session.agent();
    match (&record.hold, cause) {
        (Some(Hold::Stopped), _) => Some("it is stopped and takes no messages".to_owned()),
        (Some(Hold::Quarantined { reason, .. }), _) => Some(reason.clone()),
        (None, Some(Cause::NoWorker)) => {
            // A session that nobody ever claimed goes with its agent, wherever that is served.
            let place = record.epoch.map(|_| format!(", in pool {}", record.pool)).unwrap_or_default();
            Some(format!("no worker that runs serves the agent {agent}: start one that does{place}"))
        }
        (None, Some(Cause::OtherPool)) => Some(format!(
            "{agent} is served in pool {}, and this session belongs to pool {}: start a worker there",
            pools(&agent, members),
            record.pool
        )),
        (None, Some(Cause::Capacity)) => {
            Some(format!("all workers of pool {} that serve {agent} are full: start another", record.pool))
        }
        (None, Some(Cause::Backoff)) => Some(format!(
            "the first of its messages failed {} and waits for its next try",
            times(record.tries)
        )),
        (None, Some(cause)) => Some(format!("it is held: {cause}")),
        (None, None) => {
            suspension(record).or_else(|| absent_owner(record, members)).or_else(|| suspicion(record))
        }
    }
}

/// Where an agent is served by workers that take sessions.
fn pools(agent: &AgentName, members: &[Member]) -> String {
    let serving =
        members.iter().filter(|member| member.agents.contains(agent) && member.state == MemberState::Ready);
    let pools: BTreeSet<_> = serving.map(|member| member.pool.as_str()).collect();
    pools.into_iter().collect::<Vec<_>>().join(", ")
}

/// What cut off a turn that waits for a word.
fn suspension(record: &SessionRecord) -> Option<String> {
    record.suspended?;
    let owner =
        record.last_owner.as_ref().map_or("its owner".to_owned(), |owner| format!("its owner {owner}"));
    let boundaries = record.unfinished.map_or(0, |unfinished| unfinished.boundaries);
    let made = if boundaries == 1 { "1 boundary".to_owned() } else { format!("{boundaries} boundaries") };
    let turn = record.turns + 1;
    Some(format!("{owner} died in the middle of turn {turn}, after {made}, and it waits for a word to go on"))
}

/// An owner that nobody sees any more is likely dead, and its sessions move when its lease is over.
fn absent_owner(record: &SessionRecord, members: &[Member]) -> Option<String> {
    let owner = &record.owner.as_ref()?.worker;
    let seen = members.iter().any(|member| member.worker == *owner);
    (!seen).then(|| {
        format!("its owner {owner} has not been seen lately: another takes it when the lease is over")
    })
}

/// What may have killed its owners is taken by a worker that owns nothing else of the kind.
fn suspicion(record: &SessionRecord) -> Option<String> {
    let crashes = record.crashes_at_claim();
    let waits = record.owner.is_none() && SessionRecord::is_suspect(&crashes);
    waits.then(|| {
        format!(
            "{} of its owners died while it had work: a worker takes one such session at a time",
            crashes.len()
        )
    })
}

fn times(count: u32) -> String {
    match count {
        1 => "once".to_owned(),
        _ => format!("{count} times"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(pool: &str, sessions: usize, state: MemberState) -> Member {
        Member {
            worker: "w-1".parse().unwrap(),
            pool: pool.parse().unwrap(),
            agents: vec!["echo".parse().unwrap()],
            full: Default::default(),
            sessions,
            running: 0,
            capacity: 10,
            since: Millis(1),
            state,
            tally: Default::default(),
        }
    }

    fn reach_of(members: &[Member]) -> Option<Cause> {
        reach(&"echo".parse().unwrap(), &Pool::default(), members)
    }

    #[test]
    fn a_session_is_out_of_reach_until_somebody_of_its_pool_serves_its_agent_and_has_room() {
        use MemberState::{Draining, Ready};
        assert_eq!(reach_of(&[]), Some(Cause::NoWorker));
        assert_eq!(reach_of(&[member("default", 0, Draining)]), Some(Cause::NoWorker));
        assert_eq!(reach_of(&[member("gpu", 0, Ready)]), Some(Cause::OtherPool));
        assert_eq!(reach_of(&[member("gpu", 0, Ready), member("default", 10, Ready)]), Some(Cause::Capacity));
        assert_eq!(reach_of(&[member("default", 10, Ready), member("default", 9, Ready)]), None);
        let busy = Member { full: ["echo".parse().unwrap()].into(), ..member("default", 1, Ready) };
        assert_eq!(reach_of(std::slice::from_ref(&busy)), Some(Cause::Capacity));
        assert_eq!(reach_of(&[busy, member("default", 9, Ready)]), None);
        let other = Member { agents: vec!["support".parse().unwrap()], ..member("default", 0, Ready) };
        assert_eq!(reach_of(&[other]), Some(Cause::NoWorker));
    }
}
