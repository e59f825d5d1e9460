//! Ownership: who holds a session, under which epoch, and how long a holder may believe it.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

use super::{SessionId, WorkerId};

/// A moment of the server's clock, in milliseconds since 1970.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millis(pub u64);

impl Millis {
    /// The moment `by` later.
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(millis(by)))
    }

    /// The moment `by` earlier.
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(millis(by)))
    }

    /// How long after `earlier` this is; zero if it is before.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// A duration in whole milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Greater at every claim of a session; the claim's time in milliseconds, unless that went back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Drawn by the claimant for one claim, so that a repeated claim is known for what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nonce(pub u64);

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// What a holder shows with every write: `<worker>|<epoch>|<nonce>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token {
    /// The incarnation that claimed.
    pub worker: WorkerId,
    /// The claim's epoch.
    pub epoch: Epoch,
    /// The claim's nonce.
    pub nonce: Nonce,
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}|{}|{}", self.worker, self.epoch, self.nonce)
    }
}

impl FromStr for Token {
    type Err = String;

    fn from_str(given: &str) -> Result<Self, String> {
        let bad = || format!("`{given}` is not an owner's token");
        let mut parts = given.split('|');
        let (Some(worker), Some(epoch), Some(nonce), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(bad());
        };
        Ok(Self {
            worker: worker.parse().map_err(|_| bad())?,
            epoch: Epoch(epoch.parse().map_err(|_| bad())?),
            nonce: Nonce(u64::from_str_radix(nonce, 16).map_err(|_| bad())?),
        })
    }
}

/// The right to write to a session: made by a store's `claim` and by nothing else, never copied.
#[derive(Debug, PartialEq, Eq)]
pub struct Lease {
    session: SessionId,
    token: Token,
}

impl Lease {
    /// For stores: what a won claim gives.
    pub(crate) fn granted(session: SessionId, token: Token) -> Self {
        Self { session, token }
    }

    /// The session it is for.
    pub fn session(&self) -> &SessionId {
        &self.session
    }

    /// What is shown with every write.
    pub fn token(&self) -> &Token {
        &self.token
    }

    /// The epoch it was granted under.
    pub fn epoch(&self) -> Epoch {
        self.token.epoch
    }
}

/// A worker's lease in numbers: how long it is, how often renewed, how long trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseTimes {
    ttl: Duration,
}

/// Why a lease's length was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a lease of {0:?} is outside 1 s to 5 min")]
pub struct BadLeaseTimes(Duration);

impl LeaseTimes {
    /// The longest lease; a deadline further away than this is a clock that went back.
    pub const LONGEST: Duration = Duration::from_secs(300);
    /// The shortest lease.
    pub const SHORTEST: Duration = Duration::from_secs(1);

    /// A lease of length `ttl`, 1 s to 5 min.
    pub fn new(ttl: Duration) -> Result<Self, BadLeaseTimes> {
        if (Self::SHORTEST..=Self::LONGEST).contains(&ttl) {
            Ok(Self { ttl })
        } else {
            Err(BadLeaseTimes(ttl))
        }
    }

    /// How long the server grants.
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// How often it is renewed: every third.
    pub fn renew_every(&self) -> Duration {
        self.ttl / 3
    }

    /// How long its holder believes in it, counted from *before* the granted request was sent, so
    /// that a slow answer never lengthens trust: nine tenths.
    pub fn trusted_for(&self) -> Duration {
        self.ttl * 9 / 10
    }

    /// How long `own`, the registry's backstop, is set for: six leases.
    pub fn own_ttl(&self) -> Duration {
        self.ttl * 6
    }
}

impl Default for LeaseTimes {
    fn default() -> Self {
        Self { ttl: Duration::from_secs(10) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trust_ends_before_the_lease_and_leaves_room_for_two_renewals() {
        for secs in [1, 10, 300] {
            let times = LeaseTimes::new(Duration::from_secs(secs)).unwrap();
            assert!(times.trusted_for() < times.ttl());
            assert!(times.renew_every() * 2 < times.trusted_for());
        }
        assert!(LeaseTimes::new(Duration::from_millis(999)).is_err());
        assert!(LeaseTimes::new(Duration::from_secs(301)).is_err());
    }

    #[test]
    fn a_token_reads_back_as_written() {
        let token = Token { worker: "w.1-ab".parse().unwrap(), epoch: Epoch(17), nonce: Nonce(255) };
        assert_eq!(token.to_string(), "w.1-ab|17|00000000000000ff");
        assert_eq!(token.to_string().parse::<Token>().unwrap(), token);
        for bad in ["", "w|1", "w|x|1", "w|1|1|1", "|1|1"] {
            assert!(bad.parse::<Token>().is_err(), "{bad}");
        }
    }
}
