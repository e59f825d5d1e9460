//! Whether what was written has reached its class, and what may be told of it if not.

use super::{Claim, Commit, Relay, Sent};
use crate::model::Durability;

/// Whether a write has reached a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// It has, and so has all that was written before it.
    Reached,
    /// Not in time. It may have since, and may yet be lost.
    Unknown,
}

/// Why a server cannot honour a class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lack {
    /// What it has instead.
    pub found: String,
    /// The setting to change.
    pub advice: &'static str,
}

impl Lack {
    /// The word for it in `dead` and in error replies.
    pub const REASON: &str = "durability";

    /// A sentence for who asked for `class`.
    pub fn sentence(&self, class: Durability) -> String {
        format!("{class} is asked for: {}: {}", self.found, self.advice)
    }
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
            (Reach::Unknown, Self::Won(claimed)) => Self::Unknown(claimed),
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
