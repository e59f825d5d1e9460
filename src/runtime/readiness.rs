//! Whether a worker can be relied on at this moment.

use serde::Serialize;

/// What a worker is worth to those who send it work, or wait for it to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Readiness {
    /// It takes sessions, and believes in its leases everywhere.
    Ready,
    /// It hands off what it has, and takes nothing new.
    Draining,
    /// It was cut off from its server for so long that it does not believe in all of its leases.
    Untrusted,
    /// It has ended.
    Ended,
}

impl Readiness {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Draining => "draining",
            Self::Untrusted => "untrusted",
            Self::Ended => "ended",
        }
    }
}
