//! What is recorded of a session, and what follows from it: may it run, and in which state is it.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{Epoch, Group, MessageId, Millis, Pool, Resume, Token, WorkerId};

/// Why a session does not take turns whatever its inbox holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hold {
    /// Stopped by a person, or being deleted; sends are refused.
    Stopped,
    /// Something of it cannot be read, or it keeps killing its owners; its mail is kept.
    Quarantined {
        /// `unreadable` or `poison`.
        cause: Cause,
        /// A sentence.
        reason: String,
    },
}

/// A claim after an owner died while it had something to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Crash {
    /// When the owner's death was noticed, by the server's clock.
    pub time: Millis,
    /// Who died.
    pub worker: WorkerId,
}

impl fmt::Display for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.time.0, self.worker)
    }
}

impl FromStr for Crash {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let bad = || format!("`{word}` is not a crash: <milliseconds>/<worker>");
        let (time, worker) = word.split_once('/').ok_or_else(bad)?;
        Ok(Self {
            time: Millis(time.parse().map_err(|_| bad())?),
            worker: worker.parse().map_err(|_| bad())?,
        })
    }
}

/// How far a turn got that has made something of itself durable, and has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unfinished {
    /// Its boundaries so far, from 1.
    pub boundaries: u64,
    /// What its agent wants done with it if its owner dies; the session's own policy is over it.
    pub resume: Resume,
}

impl fmt::Display for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.boundaries, self.resume)
    }
}

impl FromStr for Unfinished {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let bad = || format!("`{word}` is not an unfinished turn: <boundaries>/<eager or lazy>");
        let (boundaries, resume) = word.split_once('/').ok_or_else(bad)?;
        Ok(Self { boundaries: boundaries.parse().map_err(|_| bad())?, resume: resume.parse()? })
    }
}

/// A session's `meta`, read: all that scripts and memory decide by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// The pool whose workers may claim it.
    pub pool: Pool,
    /// The group it belongs to.
    pub group: Option<Group>,
    /// Its own resume policy, over its agent's.
    pub resume: Option<Resume>,
    /// The owner; only release and reap clear it.
    pub owner: Option<Token>,
    /// Who owned it last.
    pub last_owner: Option<WorkerId>,
    /// The last epoch granted; none before the first claim.
    pub epoch: Option<Epoch>,
    /// The number of its last entry.
    pub seq: u64,
    /// The number of the last message accepted.
    pub given: u64,
    /// The number of the last message acknowledged.
    pub taken: u64,
    /// Turns that ended.
    pub turns: u64,
    /// The last boundary written.
    pub commit: Option<String>,
    /// Failed runs of the message at the head.
    pub tries: u32,
    /// Claims after an owner died with work in hand, since the last commit; oldest first.
    pub crashes: Vec<Crash>,
    /// Set while the head message waits for its next try: when that is due.
    pub backoff: Option<Millis>,
    /// Why it takes no turns, if so.
    pub hold: Option<Hold>,
    /// Its owner died while it had something to run, and nobody claimed it since: when that was noticed.
    pub orphaned: Option<Millis>,
    /// The number of a message that a person gave up on: its owner does, without running it.
    pub dropped: Option<u64>,
    /// The turn of the message at the head, if it has a boundary and has not ended.
    pub unfinished: Option<Unfinished>,
    /// Its unfinished turn waits for a word, a message or `tenure continue`: since when. It has no owner then.
    pub suspended: Option<Millis>,
    /// The message accepted last, which tells a repeated send.
    pub last_message: Option<MessageId>,
    /// When its first message was accepted.
    pub created: Millis,
    /// When it last changed.
    pub updated: Millis,
}

impl SessionRecord {
    /// From so many crashes on a session is a suspect: a worker owns one of those at a time, so that only the guilty
    /// one reaches the limit.
    pub const SUSPECT_FROM: usize = 2;

    /// At so many crashes it is quarantined.
    pub const MOST_CRASHES: usize = 3;

    /// The record of a session in `pool` that its first message makes at `now`.
    pub fn made(pool: Pool, now: Millis) -> Self {
        Self {
            pool,
            group: None,
            resume: None,
            owner: None,
            last_owner: None,
            epoch: None,
            seq: 0,
            given: 0,
            taken: 0,
            turns: 0,
            commit: None,
            tries: 0,
            crashes: Vec::new(),
            backoff: None,
            hold: None,
            orphaned: None,
            dropped: None,
            unfinished: None,
            suspended: None,
            last_message: None,
            created: now,
            updated: now,
        }
    }

    /// Whether a worker should run it now: it has mail, and no hold, no wait and no suspension stands before that.
    ///
    /// Reads no clock: a wait is over when its timer has fired. The same table stands in
    /// `lua/prelude.lua`, and the invariant of every script hangs on it: *no owner and runnable ⇔
    /// in `ready`*.
    pub fn is_runnable(&self, waiting: u64) -> bool {
        match (&self.hold, self.backoff, self.suspended) {
            (None, None, None) => waiting > 0,
            (Some(_), _, _) | (_, Some(_), _) | (_, _, Some(_)) => false,
        }
    }

    /// Whether the death of its owner suspends it: its turn is in the middle and is not to go on by itself, and
    /// nothing came since that it could wait for.
    pub fn is_suspended_by_death(&self, waiting: u64) -> bool {
        let is_lazy = self.unfinished.is_some() && self.known_policy() == Some(Resume::Lazy);
        is_lazy && waiting == 1 && self.hold.is_none()
    }

    /// Whether it goes on before others whose owner died too: it is eager, as far as its record tells.
    pub fn goes_first(&self) -> bool {
        self.known_policy() == Some(Resume::Eager)
    }

    /// Its own policy, else its agent's, which only an unfinished turn has written down.
    fn known_policy(&self) -> Option<Resume> {
        self.resume.or(self.unfinished.map(|unfinished| unfinished.resume))
    }

    /// The crashes that a claim would find now: those counted, and the one not counted yet.
    pub fn crashes_at_claim(&self) -> Vec<Crash> {
        let uncounted = self.orphaned.zip(self.last_owner.clone());
        self.crashes.iter().cloned().chain(uncounted.map(|(time, worker)| Crash { time, worker })).collect()
    }

    /// Whether what it does may kill its owner: it did so before, and nothing was committed since.
    pub fn is_suspect(crashes: &[Crash]) -> bool {
        crashes.len() >= Self::SUSPECT_FROM
    }

    /// The state that a person is shown. `reach` is what stands between it and a worker, where it has no owner.
    pub fn status(&self, waiting: u64, reach: Option<Cause>) -> (Status, Option<Cause>) {
        match (&self.hold, &self.owner) {
            (Some(Hold::Stopped), _) => (Status::Stopped, None),
            (Some(Hold::Quarantined { cause, .. }), _) => (Status::Quarantined, Some(*cause)),
            (None, _) if self.suspended.is_some() => (Status::Suspended, None),
            (None, _) if waiting > 0 && self.backoff.is_some() => (Status::Waiting, Some(Cause::Backoff)),
            (None, Some(_)) if waiting > 0 => (Status::Running, None),
            (None, Some(_)) => (Status::Idle, None),
            (None, None) if waiting > 0 => (Status::Waiting, reach),
            (None, None) => (Status::Passive, None),
        }
    }
}

/// A session's state in one word; always derived, never stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Owned, with nothing to do.
    Idle,
    /// Owned, with a turn under way.
    Running,
    /// Owned by nobody, with nothing to do.
    Passive,
    /// Has work that nobody has taken, or that waits for its time.
    Waiting,
    /// Its unfinished turn waits for a word: a message, or `tenure continue`.
    Suspended,
    /// Paused by a person.
    Paused,
    /// Stopped by a person.
    Stopped,
    /// Set aside, with its mail kept.
    Quarantined,
}

/// Why a session does not move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// No worker that runs serves its agent.
    NoWorker,
    /// All that serve it are full.
    Capacity,
    /// Its message failed and waits for its next try.
    Backoff,
    /// Only workers of another pool serve its agent.
    OtherPool,
    /// A limit holds it.
    Limit,
    /// Something of it cannot be read by this version.
    Unreadable,
    /// It keeps killing its owners.
    Poison,
}

impl Cause {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoWorker => "no_worker",
            Self::Capacity => "capacity",
            Self::Backoff => "backoff",
            Self::OtherPool => "other_pool",
            Self::Limit => "limit",
            Self::Unreadable => "unreadable",
            Self::Poison => "poison",
        }
    }
}

impl Status {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Running => "running",
            Self::Passive => "passive",
            Self::Waiting => "waiting",
            Self::Suspended => "suspended",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
            Self::Quarantined => "quarantined",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Nonce;

    fn record() -> SessionRecord {
        SessionRecord::made(Pool::default(), Millis(1))
    }

    #[test]
    fn mail_alone_does_not_make_a_session_runnable() {
        let poison = Hold::Quarantined { cause: Cause::Poison, reason: "three crashes".into() };
        for hold in [None, Some(Hold::Stopped), Some(poison)] {
            for backoff in [None, Some(Millis(7))] {
                for suspended in [None, Some(Millis(7))] {
                    for waiting in [0, 1] {
                        let session = SessionRecord { hold: hold.clone(), backoff, suspended, ..record() };
                        let free = hold.is_none() && backoff.is_none() && suspended.is_none();
                        assert_eq!(session.is_runnable(waiting), free && waiting > 0);
                    }
                }
            }
        }
    }

    #[test]
    fn a_death_suspends_only_a_lazy_turn_in_the_middle_that_nothing_waits_behind() {
        let turn = |resume| Some(Unfinished { boundaries: 2, resume });
        let dies = |unfinished, own, waiting| {
            SessionRecord { unfinished, resume: own, ..record() }.is_suspended_by_death(waiting)
        };
        assert!(dies(turn(Resume::Lazy), None, 1));
        assert!(dies(turn(Resume::Eager), Some(Resume::Lazy), 1), "its own policy is over its agent's");
        assert!(!dies(turn(Resume::Eager), None, 1));
        assert!(!dies(turn(Resume::Lazy), Some(Resume::Eager), 1));
        assert!(!dies(turn(Resume::Lazy), None, 2), "the next message is there");
        assert!(!dies(None, Some(Resume::Lazy), 1), "without a boundary it is mail");
        let held = SessionRecord { unfinished: turn(Resume::Lazy), hold: Some(Hold::Stopped), ..record() };
        assert!(!held.is_suspended_by_death(1), "what is set aside waits for something else");
    }

    #[test]
    fn an_unfinished_turn_reads_back_as_written() {
        let turn = Unfinished { boundaries: 12, resume: Resume::Eager };
        assert_eq!(turn.to_string().parse(), Ok(turn));
        for bad in ["", "1", "x/lazy", "1/never"] {
            assert!(bad.parse::<Unfinished>().is_err(), "{bad}");
        }
    }

    #[test]
    fn status_follows_from_owner_mail_hold_and_wait() {
        let token = Token { worker: "w-1".parse().unwrap(), epoch: Epoch(1), nonce: Nonce(1) };
        let owned = SessionRecord { owner: Some(token), ..record() };
        assert_eq!(owned.status(0, None), (Status::Idle, None));
        assert_eq!(owned.status(1, None), (Status::Running, None));
        assert_eq!(record().status(0, Some(Cause::NoWorker)), (Status::Passive, None));
        assert_eq!(record().status(1, Some(Cause::NoWorker)), (Status::Waiting, Some(Cause::NoWorker)));
        let backing_off = SessionRecord { backoff: Some(Millis(9)), ..owned };
        assert_eq!(backing_off.status(1, None), (Status::Waiting, Some(Cause::Backoff)));
        let suspended = SessionRecord { suspended: Some(Millis(9)), ..record() };
        assert_eq!(suspended.status(1, Some(Cause::NoWorker)), (Status::Suspended, None));
        let stopped = SessionRecord { hold: Some(Hold::Stopped), ..record() };
        assert_eq!(stopped.status(1, None), (Status::Stopped, None));
    }
}
