//! The boundary write and what it releases.

use super::Mail;
use crate::model::{Cause, Durability, IdempotencyKey, MessageId, NewEntry, ReplyTo, StreamId, Unfinished};

/// A point where the session becomes durable: everything one `commit` writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boundary {
    /// Drawn for this boundary; the same again is the same boundary.
    pub commit: String,
    /// The number of the last entry the writer knows of.
    pub after: u64,
    /// Boundaries of the turn at the head that the writer knows of.
    pub boundaries: u64,
    /// The turn that its entries belong to.
    pub turn: u64,
    /// Turns that have ended once this is written.
    pub turns: u64,
    /// Entries to append, in order.
    pub entries: Vec<NewEntry>,
    /// What becomes of the agent's state.
    pub state: StateChange,
    /// The message whose turn it is, where that is known and goes on: it must be at the head of the inbox.
    pub of: Option<Head>,
    /// The message that is done, if one is: it must be at the head of the inbox.
    pub done: Option<Done>,
    /// How far the turn of the message that is at the head afterwards got, if it is in the middle.
    pub unfinished: Option<Unfinished>,
    /// Failed runs of the message that is at the head afterwards.
    pub tries: u32,
    /// If set, the session is not runnable until this much later.
    pub backoff: Option<std::time::Duration>,
    /// If set, the session is set aside, with its mail kept: the cause and a sentence.
    pub quarantine: Option<(Cause, String)>,
    /// How long `own` is lengthened to.
    pub own_ttl: std::time::Duration,
    /// How many waiting messages to return.
    pub page: usize,
    /// What has it before it is `Done`.
    pub class: Durability,
}

/// A message at the head of an inbox, as it must be found there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Its number.
    pub number: u64,
    /// Its name.
    pub message: MessageId,
}

/// What a boundary does to the agent's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateChange {
    /// It stays.
    Keep,
    /// It becomes this.
    Set(String),
    /// There is none any more.
    Clear,
}

/// A message that is done with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// Its number.
    pub number: u64,
    /// Its name.
    pub message: MessageId,
    /// The sender's own key, if any: the answer is kept under it.
    pub id: Option<IdempotencyKey>,
    /// Where the answer goes, if anywhere.
    pub reply_to: Option<ReplyTo>,
    /// The JSON of an [`Envelope`](crate::model::Envelope).
    pub answer: String,
    /// Whether the answer is sealed, where there is a key: its message was.
    pub sealed: bool,
    /// If set, the message is given up on, for this reason and after this many tries.
    pub dead: Option<(String, u32)>,
}

impl Boundary {
    /// Whom it must find at the head.
    pub fn head(&self) -> Option<Head> {
        let done = self.done.as_ref().map(|done| Head { number: done.number, message: done.message });
        done.or(self.of)
    }

    /// Where its reply may go with the commit itself: nothing has to be waited for before it is told.
    pub fn replies_at_once_to(&self) -> Option<&ReplyTo> {
        let done = self.done.as_ref().filter(|_| self.class == Durability::MEMORY)?;
        done.reply_to.as_ref()
    }
}

/// What a commit came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Commit {
    /// It is written, now or by an earlier call with the same commit id (then `out` is empty: the duty delivers), and has reached its class.
    Done {
        /// Replies that may be handed out now.
        out: Vec<OutReply>,
        /// The first waiting messages.
        mail: Vec<Mail>,
    },
    /// It is written, as for `Done`, but did not reach its class in time: nothing of it may be told yet. Ask again.
    Unknown {
        /// Replies that may be handed out once it is `Done`.
        out: Vec<OutReply>,
    },
    /// A later claim came, or the session was reaped or deleted; nothing was changed, and never will be by this lease.
    Fenced,
    /// The writer is buried or unknown; nothing was changed.
    Lost,
    /// The server has fewer entries or boundaries than the writer knows of, or another message at the head: it lost writes.
    /// Nothing was changed.
    Behind {
        /// The number of the last entry it has.
        seq: u64,
    },
}

/// Who delivers replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deliverer {
    /// Who wrote them, for the first time and just now: nobody else takes them up yet, and nobody need look whether they were delivered.
    Writer,
    /// Anybody else, or later.
    Duty,
}

/// A reply in the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutReply {
    /// Where it stands in `out`.
    pub id: StreamId,
    /// Where it goes.
    pub to: ReplyTo,
    /// The JSON of an [`Envelope`](crate::model::Envelope).
    pub payload: String,
}
