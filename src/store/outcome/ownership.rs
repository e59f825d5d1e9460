//! Ownership of sessions: claimed, given back, looked after, taken.

use super::{Mail, Reckoning};
use crate::model::{Durability, Epoch, Lease, Nonce, Pool, SessionRecord, WorkerId};

/// Who asks for a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimant {
    /// The incarnation.
    pub worker: WorkerId,
    /// Its pool.
    pub pool: Pool,
    /// Drawn for this claim; the same again is the same claim.
    pub nonce: Nonce,
    /// How long `own` is set for: six of the claimant's leases.
    pub own_ttl: std::time::Duration,
    /// The epoch is at least this: the greatest that the claimant has seen on this server, or more where it
    /// knows that the server lost claims.
    pub seen: Epoch,
    /// What to do if the owner is past its deadline and not buried.
    pub overdue: Overdue,
    /// What to do if the session is a suspect.
    pub suspect: Suspect,
    /// What it is claimed for.
    pub purpose: Purpose,
    /// What the claim reaches before it is `Won`.
    pub class: Durability,
}

/// What a session is claimed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To run what there is to run.
    Run,
    /// To write down what was lost of it, also if there is nothing to run; not where it is suspended.
    Report,
}

/// What a claim does with a session that may kill its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suspect {
    /// Take it: the claimant owns no other.
    Take,
    /// Leave it.
    Leave,
}

/// What a claim does with an owner that is past its deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overdue {
    /// Bury it, and take the session.
    Bury,
    /// The same where the server is as the claimant reckons, else leave it: what else it says of deadlines proves nothing yet.
    BuryUnder(Reckoning),
    /// Leave it: the server itself was away, and everybody is past their deadline.
    Spare,
}

/// What a claim gave.
#[derive(Debug, PartialEq, Eq)]
pub enum Claim {
    /// The session is the claimant's.
    Won(Box<Claimed>),
    /// The session is the claimant's, but that did not reach its class in time: nothing may run yet. Ask again, or give it back.
    Unknown(Box<Claimed>),
    /// Somebody else has it.
    Held {
        /// Who.
        by: WorkerId,
    },
    /// Nobody has it and there is nothing to run, or it is suspended by its owner's death; it is not in `ready` (any more).
    NothingToDo,
    /// There is no such session; it is not in `ready` (any more).
    Absent,
    /// It may kill its owner, and the claimant has one of those already: it waits in `ready`, behind the others.
    Suspect,
    /// One owner too many died of it: it is set aside now, with its mail kept.
    Quarantined {
        /// A sentence.
        reason: String,
    },
    /// It belongs to another pool.
    OtherPool(Pool),
    /// It was written by a newer version; taken out of `ready`, else left alone.
    Unreadable(String),
    /// The claimant is buried, or never joined: it must go on as a fresh incarnation.
    Lost,
}

/// All that is needed to start.
#[derive(Debug, PartialEq, Eq)]
pub struct Claimed {
    /// The right to write.
    pub lease: Lease,
    /// The session as it stands after the claim.
    pub record: SessionRecord,
    /// The agent's state, as stored.
    pub state: Option<String>,
    /// The first messages of the inbox.
    pub mail: Vec<Mail>,
}

/// How a session is given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaving {
    /// Only if there is nothing to run.
    IfIdle,
    /// In any case; if there is something to run it goes into `ready` and is offered to another worker.
    HandOff,
}

/// What a release came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Release {
    /// It has no owner any more.
    Released,
    /// It has something to run and stays owned (only with [`Leaving::IfIdle`]): the first messages.
    Runnable(Vec<Mail>),
    /// It was not the caller's (any more); nothing was changed.
    Fenced,
}

/// What the slow round found of one session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refresh {
    /// Still the caller's; `own` stands for six leases again.
    Held {
        /// As it stands.
        record: Box<SessionRecord>,
        /// The first messages.
        mail: Vec<Mail>,
    },
    /// Not the caller's any more.
    Fenced,
}

/// What reaping one session came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reap {
    /// It has no owner any more; if it is runnable it is in `ready` and was offered.
    Reaped {
        /// Whether it is.
        runnable: bool,
    },
    /// The worker named is not buried; nothing was changed.
    Alive,
    /// The session is not that worker's (any more); only taken out of its `held`.
    NotTheirs,
    /// The session belongs to another pool than the caller named; nothing was changed.
    OtherPool(Pool),
}
