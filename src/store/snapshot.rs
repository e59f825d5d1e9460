//! All that a store holds, in one value: what tests compare and simulations check.

use std::collections::{BTreeMap, BTreeSet};

use super::{DeadLetter, Duty, Mail, OutReply};
use crate::model::{
    AgentName, Door, Entry, IdempotencyKey, MessageId, Millis, Partition, Pool, ReplyTo, SessionId,
    SessionRecord, StreamId, Token, WorkerId,
};

/// What a namespace's partitions hold; partitions that hold nothing are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// By partition.
    pub partitions: BTreeMap<Partition, PartitionSnapshot>,
}

/// What one partition holds; empty collections are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PartitionSnapshot {
    /// Its sessions.
    pub sessions: BTreeMap<SessionId, SessionSnapshot>,
    /// Worker leases: the deadline, or none if buried.
    pub workers: BTreeMap<WorkerId, Option<Millis>>,
    /// Sessions that want an owner, with the time they got there.
    pub ready: BTreeMap<(Pool, AgentName), BTreeMap<SessionId, Millis>>,
    /// Workers with room, by load in thousandths.
    pub idle: BTreeMap<(Pool, AgentName), BTreeMap<WorkerId, u64>>,
    /// What each incarnation owns.
    pub held: BTreeMap<WorkerId, BTreeSet<SessionId>>,
    /// When each wait ends.
    pub timers: BTreeMap<SessionId, Millis>,
    /// Sessions, for listing.
    pub index: BTreeSet<SessionId>,
    /// Replies not delivered yet.
    pub out: Vec<OutReply>,
    /// What was given up on.
    pub dead: Vec<DeadLetter>,
    /// The last entry that was taken of each plain door.
    pub cursors: BTreeMap<Door, StreamId>,
    /// The duty, if anybody has it.
    pub duty: Option<Duty>,
    /// Idempotency keys seen.
    pub ids: BTreeMap<(SessionId, IdempotencyKey), IdSnapshot>,
}

/// What one session holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionSnapshot {
    /// Its record.
    pub record: SessionRecord,
    /// The registry's word on its owner.
    pub own: Option<Token>,
    /// Its agent's state, as stored.
    pub state: Option<String>,
    /// Its inbox.
    pub inbox: Vec<Mail>,
    /// Its history.
    pub history: Vec<Entry>,
}

/// What is remembered of one idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdSnapshot {
    /// The message it stands for.
    pub message: MessageId,
    /// Its answer, if there is one.
    pub answer: Option<String>,
    /// Who else asked.
    pub waiters: BTreeSet<ReplyTo>,
}
