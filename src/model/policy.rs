//! How an agent wants its sessions treated.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

use super::{Durability, Pool};

/// What happens to an unfinished turn when its owner died.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Resume {
    /// It waits for the next message, or for somebody to ask.
    #[default]
    Lazy,
    /// It goes on with no request.
    Eager,
}

impl fmt::Display for Resume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lazy => "lazy",
            Self::Eager => "eager",
        })
    }
}

impl FromStr for Resume {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "lazy" => Ok(Self::Lazy),
            "eager" => Ok(Self::Eager),
            _ => Err(format!("`{word}` is not a resume policy: write eager or lazy")),
        }
    }
}

/// How long a failed message waits before its next try: `first`, doubled each time, at most `max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// After the first failure.
    pub first: Duration,
    /// Never longer than this.
    pub max: Duration,
}

impl Backoff {
    /// The wait after the `tries`-th failure, counted from 1.
    pub fn delay(self, tries: u32) -> Duration {
        let doublings = tries.saturating_sub(1).min(31);
        self.first.saturating_mul(1 << doublings).min(self.max)
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: Duration::from_millis(100), max: Duration::from_secs(30) }
    }
}

/// How a worker runs an agent's turns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TurnPolicy {
    /// Runs of one message that may fail before it is given up on; at least 1.
    pub tries: u32,
    /// The wait between them.
    pub backoff: Backoff,
    /// How many entries of its history a turn is given; 0 is none.
    pub history: usize,
    /// How long one run may take.
    pub timeout: Duration,
    /// How many turns of this agent one worker runs at once; at least 1.
    pub concurrency: usize,
    /// How long a session stays in memory with nothing to do; the worker's own if absent.
    pub idle: Option<Duration>,
    /// What happens to an unfinished turn when its owner died.
    pub resume: Resume,
    /// What its commits reach before anything of them is told; the worker's own class if absent.
    pub durability: Option<Durability>,
}

impl Default for TurnPolicy {
    fn default() -> Self {
        Self {
            tries: 5,
            backoff: Backoff::default(),
            history: 50,
            timeout: Duration::from_secs(60),
            concurrency: 1_000,
            idle: None,
            resume: Resume::default(),
            durability: None,
        }
    }
}

/// What the fleet lets clients know of an agent, as the last worker to start declared it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentDeclaration {
    /// The pool whose workers serve it.
    pub pool: Pool,
    /// Its resume policy.
    pub resume: Resume,
    /// The class its commits reach before they are reported.
    pub durability: Durability,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_up_to_its_limit() {
        let backoff = Backoff::default();
        let ms: Vec<_> = (1..=5).map(|n| backoff.delay(n).as_millis()).collect();
        assert_eq!(ms, [100, 200, 400, 800, 1600]);
        assert_eq!(backoff.delay(u32::MAX), backoff.max);
    }
}
