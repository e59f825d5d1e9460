//! Every option, checked once.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Durability, LeaseTimes, Pool, WorkerName};

/// What all that connect to a namespace must agree on; written once, by the first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Version of the layout of keys and records.
    pub layout: u32,
    /// How many partitions there are.
    pub partitions: u16,
    /// What is refused.
    pub limits: Limits,
}

/// What is too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Longest body, in bytes.
    pub body: usize,
    /// Most messages that may wait in one inbox.
    pub inbox: u64,
}

impl Settings {
    /// The layout that this version reads and writes.
    pub const LAYOUT: u32 = 1;

    /// The settings whose values differ between the two, each as `name: theirs, not ours`.
    pub fn differences(&self, theirs: &Self) -> Vec<String> {
        let pairs = [
            ("layout", u64::from(theirs.layout), u64::from(self.layout)),
            ("partitions", theirs.partitions.into(), self.partitions.into()),
            ("body limit", theirs.limits.body as u64, self.limits.body as u64),
            ("inbox limit", theirs.limits.inbox, self.limits.inbox),
        ];
        let differing = pairs.into_iter().filter(|(_, theirs, ours)| theirs != ours);
        differing.map(|(name, theirs, ours)| format!("{name}: {theirs}, not {ours}")).collect()
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self { layout: Self::LAYOUT, partitions: 64, limits: Limits::default() }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { body: 1 << 20, inbox: 1_000 }
    }
}

/// One worker's options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerConfig {
    /// What the operator calls it.
    pub name: WorkerName,
    /// The pool it serves.
    pub pool: Pool,
    /// How many sessions it owns at most.
    pub capacity: usize,
    /// Its lease.
    pub lease: LeaseTimes,
    /// How long a session stays in memory with nothing to do.
    pub idle: Duration,
    /// How long running turns may go on when it drains.
    pub grace: Duration,
    /// How often it looks whether the processes of its neighbours are there; in a large fleet less often.
    pub lifeline: Duration,
    /// What commits reach before anything of them is told, of agents that do not say it themselves.
    pub durability: Durability,
}

/// An option outside what makes sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{option}: {rule}")]
pub struct BadConfig {
    option: &'static str,
    rule: &'static str,
}

impl WorkerConfig {
    /// The defaults, under `name`.
    pub fn named(name: WorkerName) -> Self {
        Self {
            name,
            pool: Pool::default(),
            capacity: 10_000,
            lease: LeaseTimes::default(),
            idle: Duration::from_secs(60),
            grace: Duration::from_secs(30),
            lifeline: Duration::from_millis(50),
            durability: Durability::MEMORY,
        }
    }

    /// Refuses what cannot work; what passes needs no second look.
    pub fn check(self) -> Result<Self, BadConfig> {
        let rules = [
            (self.capacity > 0, "capacity", "at least 1"),
            (self.idle >= Duration::from_millis(1), "idle", "at least 1 ms"),
            (self.lifeline >= Duration::from_millis(1), "lifeline", "at least 1 ms"),
        ];
        match rules.into_iter().find(|(holds, ..)| !holds) {
            Some((_, option, rule)) => Err(BadConfig { option, rule }),
            None => Ok(self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differing_settings_are_named() {
        let ours = Settings::default();
        let theirs = Settings { partitions: 128, ..ours.clone() };
        assert_eq!(ours.differences(&theirs), ["partitions: 128, not 64"]);
        assert!(ours.differences(&ours).is_empty());
    }

    #[test]
    fn a_worker_without_capacity_is_refused() {
        let config = WorkerConfig::named("w".parse().unwrap());
        assert!(config.clone().check().is_ok());
        assert!(WorkerConfig { capacity: 0, ..config }.check().is_err());
    }
}
