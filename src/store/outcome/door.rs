//! Doors: how messages come in, and what becomes of them.

use std::collections::BTreeMap;

use crate::{
    model::{
        Body, Durability, IdempotencyKey, Message, MessageId, NewMessage, Partition, Pool, ReplyTo,
        SessionId, StreamId,
    },
    store::{StoreError, StoreResult},
};

/// What became of a message at a door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// It is in the inbox, under this name.
    Accepted {
        /// What it is called.
        message: MessageId,
        /// Its number in the session.
        number: u64,
    },
    /// It was accepted before. The first's reply, if there is one already, as the JSON of an [`Envelope`](crate::model::Envelope).
    Repeat {
        /// What the first is called.
        message: MessageId,
        /// The first's answer.
        answer: Option<String>,
    },
    /// It was accepted, now or before, but that did not reach its class in time. Ask again.
    Unknown,
    /// It was refused; nothing was changed (at the plain door: it is in `dead`).
    Refused(Refusal),
    /// The session belongs to another pool than the sender named; nothing was changed.
    OtherPool(Pool),
}

/// Why a message was refused at a door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The session was stopped.
    Stopped,
    /// Its inbox is full.
    Full,
    /// The body is too large.
    TooLarge,
    /// The entry is not a message; only at the plain door.
    Malformed,
    /// The session was written by a newer version; only at the plain door.
    Unreadable,
}

impl Refusal {
    /// The word for it, in `dead`, in error replies and in the CLI.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Full => "full",
            Self::TooLarge => "too_large",
            Self::Malformed => "malformed",
            Self::Unreadable => "unreadable",
        }
    }

    /// A sentence for the sender. The same texts stand in `lua/prelude.lua`.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Stopped => "the session is stopped and takes no messages",
            Self::Full => "the session's inbox is full",
            Self::TooLarge => "the body is larger than the limit",
            Self::Malformed => "the entry is not a message",
            Self::Unreadable => "the session was written by a newer version, or by hand",
        }
    }
}

/// An element of an inbox, as far as it can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mail {
    /// A message.
    Message(Message),
    /// A message whose body is not a JSON object of UTF-8 (its body here is what could be read, as text), and why.
    Malformed(Message, String),
    /// A record that this version cannot read, and why.
    Unreadable(String),
}

/// What was read at the plain door.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ingress {
    /// The oldest entries, in order.
    pub entries: Vec<IngressEntry>,
    /// The last id the stream ever gave.
    pub last: StreamId,
}

/// An entry of the plain door, unchecked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IngressEntry {
    /// Its id.
    pub id: StreamId,
    /// Its fields as given, in order; any bytes.
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
}

/// How far partitions are with a plain door.
#[derive(Debug, Default)]
pub struct Cursors {
    /// The last entry that each took; those that took none are left out.
    pub taken: BTreeMap<Partition, StreamId>,
    /// Those that gave no answer, or none that can be read, and why.
    pub unknown: BTreeMap<Partition, StoreError>,
}

impl Cursors {
    /// The last entry that `partition` took, if it took any; why not, if that is not known. A repeat says the same.
    pub fn of(&self, partition: Partition) -> Result<Option<StreamId>, &StoreError> {
        match self.unknown.get(&partition) {
            Some(error) => Err(error),
            None => Ok(self.taken.get(&partition).copied()),
        }
    }

    /// The same for one who wants no other.
    pub fn into_one(mut self, partition: Partition) -> StoreResult<Option<StreamId>> {
        match self.unknown.remove(&partition) {
            Some(error) => Err(error),
            None => Ok(self.taken.get(&partition).copied()),
        }
    }
}

/// An entry of the plain door, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relayed {
    /// Its id.
    pub id: StreamId,
    /// What it is.
    pub what: RelayedKind,
}

impl Relayed {
    /// What covers all messages of a batch.
    pub fn class(batch: &[Self]) -> Durability {
        let class = |relayed: &Self| match &relayed.what {
            RelayedKind::Message(message) => message.class,
            RelayedKind::Refuse(_) => Durability::MEMORY,
        };
        batch.iter().map(class).fold(Durability::MEMORY, Durability::with)
    }
}

/// What an entry of the plain door is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RelayedKind {
    /// A message: into its inbox, or, if the session refuses it, into `dead`.
    Message(Box<NewMessage>),
    /// None: into `dead`, and to its `reply_to`.
    Refuse(Box<Refused>),
}

/// An entry that goes to `dead` unread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The session, where one could be read.
    pub session: Option<SessionId>,
    /// The sender's own key, where one could be read.
    pub id: Option<IdempotencyKey>,
    /// Where the error goes, where that could be read.
    pub reply_to: Option<ReplyTo>,
    /// What it asked for over its agent's class, where that could be read.
    pub durability: Durability,
    /// `malformed`, `ambiguous`, `durability` or `unreadable`.
    pub reason: String,
    /// A sentence.
    pub sentence: String,
    /// What it held.
    pub body: Body,
}

/// What relaying a batch came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Relay {
    /// All of it was taken, each with its own outcome, and the cursor moved.
    Taken(Vec<Sent>),
    /// All of it was taken, but that did not reach the class of its messages in time: its entries must stay.
    Unknown,
    /// The cursor is elsewhere than the caller thought; nothing was taken.
    Elsewhere(Option<StreamId>),
    /// The session of this entry belongs to another pool than named; nothing was taken.
    OtherPool {
        /// Which entry of the batch, from 0.
        index: usize,
        /// The right pool.
        pool: Pool,
    },
}
