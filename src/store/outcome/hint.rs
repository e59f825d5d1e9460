//! What a worker is told without asking.

use super::Mail;
use crate::model::{SessionId, WorkerId};

/// Something a worker is told. A hint may be lost or late; nothing may hang on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hint {
    /// Look at this session, which is yours; perhaps with the message that arrived.
    Wake {
        /// The session.
        session: SessionId,
        /// What arrived.
        mail: Option<Box<Mail>>,
    },
    /// This session wants an owner.
    Offer {
        /// The session.
        session: SessionId,
    },
    /// This incarnation was buried in a partition: nothing that it does counts any more.
    Buried,
    /// Somebody wants this worker to hand off everything and end.
    Drain,
    /// A key that stands for somebody's time lapsed.
    Lapsed(Lapsed),
    /// Hints may have been lost: look at everything.
    Missed,
}

/// Whose time may be over. Said late or never, so nothing may hang on it either.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lapsed {
    /// A worker did not show itself for its lease.
    Worker(WorkerId),
    /// A session's `own` was not lengthened for six leases.
    Session(SessionId),
    /// Some may have lapsed unheard.
    Unheard,
}
