//! What a client's caller can do when it did not get what it asked for.

use std::time::Duration;

use super::DeadId;
use crate::{
    model::{Durability, ErrorReply, IdempotencyKey, MessageId, SessionId, Status, WorkerId},
    store::{Lack, Refusal, StoreError},
};

/// No result. A variant per decision the caller can make; the cause is its `source()`.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The session takes no such message, and nothing was changed. Repeating helps only if the reason goes away.
    #[error("{}", .0.sentence())]
    Refused(Refusal),
    /// There is no session of this name: no message was ever accepted for it, or it was deleted.
    #[error("there is no session {0}")]
    NoSession(SessionId),
    /// There is no dead letter of this id (any more).
    #[error("there is no dead letter {0}")]
    NoLetter(DeadId),
    /// The dead letter is no session's message but a malformed entry, or a reply that its key could not take: it
    /// can only be read and dropped.
    #[error("dead letter {0} is not a session's message")]
    NoMessage(DeadId),
    /// The agent gave up on the message; it is in `dead`.
    #[error("{}: {}", .error.reason, .error.message)]
    Failed {
        /// The message.
        message: MessageId,
        /// What the agent, or the worker for it, said.
        error: ErrorReply,
        /// Whether the message had been accepted before this call.
        repeat: bool,
    },
    /// The message is accepted, and no answer came in time. Asking again with the same id waits on.
    #[error("message {message} is accepted, but no answer came within {waited:?}")]
    NoAnswer {
        /// The session it is for.
        session: SessionId,
        /// The message.
        message: MessageId,
        /// The key to ask again with.
        id: IdempotencyKey,
        /// How long it was waited for.
        waited: Duration,
        /// Whether the message had been accepted before this call.
        repeat: bool,
    },
    /// A write got no answer: it may have happened. A send that has an `id` may be repeated with it.
    #[error("the outcome is unknown: {0}")]
    Unknown(#[source] StoreError),
    /// A message was accepted, but not at its class in time: it may yet be lost. Send again with the same id.
    #[error("the outcome is unknown: the message did not reach {0} in time, and may yet be lost")]
    NotReached(Durability),
    /// More is asked for than the agent's class, and the server lacks what that waits for. Nothing was sent by this call.
    #[error("{}: nothing was sent", .lack.sentence(*.class))]
    Beyond {
        /// What would have to be reached.
        class: Durability,
        /// What is lacking, and the setting to change.
        lack: Lack,
    },
    /// No answer, or not from a server that could give one. Nothing was changed by this call.
    #[error(transparent)]
    Store(StoreError),
    /// The session is not set aside (any more).
    #[error("session {0} is not quarantined")]
    NotQuarantined(SessionId),
    /// The session is not suspended (any more).
    #[error("session {session} is not suspended, it is {status}")]
    NotSuspended {
        /// The session.
        session: SessionId,
        /// What it is instead.
        status: Status,
    },
    /// Its owner is about to give it back, or died; another moment helps.
    #[error("session {session} is still owned by {owner}")]
    StillOwned {
        /// The session.
        session: SessionId,
        /// Its owner.
        owner: WorkerId,
    },
    /// Workers keep moving the session between pools.
    #[error("session {0} changes its pool faster than it can be followed")]
    Restless(SessionId),
}

impl ClientError {
    /// A read that failed, or a write that was turned away.
    pub(super) fn reading(err: StoreError) -> Self {
        Self::Store(err)
    }

    /// A write that failed.
    pub(super) fn writing(err: StoreError) -> Self {
        if err.may_have_happened() { Self::Unknown(err) } else { Self::Store(err) }
    }
}
