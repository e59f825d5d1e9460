//! Upkeep of a partition.

use std::collections::BTreeMap;

use super::OutReply;
use crate::model::{AgentName, Millis, Pool, SessionId, WorkerId};

/// What firing a session's timer came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fire {
    /// Its time has come: the wait is over, and whoever must know was told.
    Fired,
    /// It is not due, or was fired before.
    NotDue,
    /// The session belongs to another pool than the caller named; nothing was changed.
    OtherPool(Pool),
}

/// What an offer came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Offer {
    /// This worker was told.
    Told(WorkerId),
    /// No worker with room was there to hear it.
    Nobody,
    /// The session is not in `ready` (any more).
    Gone,
}

/// What one session's upkeep came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mend {
    /// All indexes agree with it.
    Fine,
    /// Some did not, and do now.
    Mended,
    /// Its owner is buried or unknown: reap it.
    Orphan {
        /// The owner.
        of: WorkerId,
    },
    /// Another owner than the caller named has it; nothing was changed. Ask again with this one.
    OtherOwner(Option<WorkerId>),
    /// It belongs to another pool than the caller named; nothing was changed. Ask again with this one.
    OtherPool(Pool),
    /// There is no such session; taken out of the index.
    Absent,
}

/// What needs upkeep in one partition, by one look that changes nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey {
    /// The server's time.
    pub now: Millis,
    /// Sessions whose timer is due, at most 100.
    pub due: Vec<SessionId>,
    /// Workers past their deadline and not buried.
    pub overdue: Vec<WorkerId>,
    /// Workers that are buried.
    pub buried: Vec<WorkerId>,
    /// Per pool and agent asked for that has idle workers: sessions in `ready`, oldest first, at most 100 each.
    pub ready: BTreeMap<(Pool, AgentName), Vec<SessionId>>,
    /// Replies that nobody else will deliver (any more): written by a door or a buried worker, or older than half a second,
    /// or from before the clock went back; at most 100.
    pub out: Vec<OutReply>,
}
