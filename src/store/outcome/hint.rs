//! What a worker is told without asking.

use super::Mail;
use crate::model::SessionId;

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
    /// Hints may have been lost: look at everything.
    Missed,
}
