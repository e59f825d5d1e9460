//! Whether what was written has reached its class, and what may be told of it if not.

use super::{Claim, Commit, Relay, Sent};

/// Whether a write has reached a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// It has, and so has all that was written before it.
    Reached,
    /// Not in time. It may have since, and may yet be lost.
    Unknown,
}

impl Sent {
    /// What may be told of it.
    pub(in crate::store) fn acknowledged(self, reach: Reach) -> Self {
        match (reach, self) {
            (Reach::Unknown, Self::Accepted { .. } | Self::Repeat { .. }) => Self::Unknown,
            (_, sent) => sent,
        }
    }
}

impl Relay {
    /// What may be told of it.
    pub(in crate::store) fn acknowledged(self, reach: Reach) -> Self {
        match (reach, self) {
            (Reach::Unknown, Self::Taken(_)) => Self::Unknown,
            (_, relayed) => relayed,
        }
    }
}

impl Claim {
    /// What may be told of it.
    pub(in crate::store) fn acknowledged(self, reach: Reach) -> Self {
        match (reach, self) {
            (Reach::Unknown, Self::Won(_)) => Self::Unknown,
            (_, claim) => claim,
        }
    }
}

impl Commit {
    /// What may be told of it.
    pub(in crate::store) fn acknowledged(self, reach: Reach) -> Self {
        match (reach, self) {
            (Reach::Unknown, Self::Done { out, .. }) => Self::Unknown { out },
            (_, commit) => commit,
        }
    }
}
