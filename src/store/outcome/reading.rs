//! Reading and operating.

use super::Sent;
use crate::model::{
    Body, Durability, EntryId, MessageId, Millis, Partition, Pool, ReplyTo, SessionId, SessionRecord,
    StreamId, WorkerId,
};

/// A message or entry that was given up on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The partition it lies in.
    pub partition: Partition,
    /// Where it stands in `dead`.
    pub id: StreamId,
    /// The session, where one could be read.
    pub session: Option<SessionId>,
    /// The message, if it was accepted.
    pub message: Option<MessageId>,
    /// One word: why.
    pub reason: String,
    /// Runs that failed.
    pub tries: u32,
    /// When it was given up on.
    pub time: Millis,
    /// Where its reply was to go.
    pub reply_to: Option<ReplyTo>,
    /// What it asked for over its agent's class; kept when it is sent again.
    pub durability: Durability,
    /// What it held.
    pub body: Body,
}

impl DeadLetter {
    /// The reason of a reply that its key could not take.
    pub const REPLY_TO: &str = "reply_to";
}

/// What retrying a dead letter came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revive {
    /// It is back in its session's inbox, under a new name, and not in `dead` any more; or it was refused and stays.
    Sent(Sent),
    /// There is no such letter (any more).
    Gone,
}

/// What looking at a session found. Unavailable is an error, never one of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// It is there.
    Here(Box<Sight>),
    /// There is no such session.
    Absent,
    /// It was written by a newer version.
    Unreadable(String),
    /// Somebody set something else at one of its keys.
    Overwritten {
        /// The key.
        key: String,
        /// Its record, where that is not what was set to something else and this version can read it.
        record: Option<Box<SessionRecord>>,
    },
}

/// A session, looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sight {
    /// Its record.
    pub record: SessionRecord,
    /// Messages in its inbox.
    pub waiting: u64,
}

/// What becomes of the first message of a session that is freed from quarantine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstMessage {
    /// It runs again.
    Keep,
    /// The next owner gives up on it without running it: it goes to `dead`, reason `dropped`.
    Drop,
}

/// What freeing a session from quarantine came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Free {
    /// It is as if nothing had happened to it: no crashes, no tries; runnable if it has mail.
    Freed,
    /// It is not quarantined (any more).
    NotQuarantined,
    /// An owner has it still, which is about to give it back (or is dead and not reaped yet); nothing was changed.
    Owned(WorkerId),
    /// It belongs to another pool than the caller named; nothing was changed.
    OtherPool(Pool),
    /// There is no such session.
    Absent,
}

/// What a word to a suspended session came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proceed {
    /// Its turn goes on: it is runnable, unless it still waits for a next try.
    Going,
    /// It is not suspended (any more); nothing was changed.
    NotSuspended,
    /// It belongs to another pool than the caller named; nothing was changed.
    OtherPool(Pool),
    /// There is no such session.
    Absent,
}

/// What deleting a session came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delete {
    /// It is gone.
    Deleted,
    /// Up to 100 waiting messages went to `dead`, and there are more: ask again.
    More,
    /// There was no such session.
    Absent,
}

/// Which part of a history is wanted; always given oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistoryRange {
    /// The newest so many; 0 is all.
    Newest(usize),
    /// At most so many after this entry (all from the start if none).
    After(Option<EntryId>, usize),
}
