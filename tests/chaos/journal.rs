//! What workers logged of each other.

use std::collections::BTreeSet;

/// Read from the logs of all workers.
#[derive(Debug, Default)]
pub struct Journal {
    /// Incarnations that were buried because their lifeline broke.
    pub by_lifeline: BTreeSet<String>,
    /// Incarnations that were buried, at least in some partitions, because their lease ran out.
    pub by_lease: BTreeSet<String>,
    /// Sessions that were taken from the buried.
    pub reaped: u64,
    /// Lines that tell of a panic.
    pub panics: Vec<String>,
}

impl Journal {
    /// Adds what a worker logged.
    pub fn read(&mut self, log: &str) {
        for line in log.lines() {
            if line.contains("buried: its lifeline broke") {
                self.by_lifeline.extend(field(line, "worker"));
            } else if line.contains("buried: its lease ran out") {
                self.by_lease.extend(field(line, "worker"));
            } else if line.contains(" reaped ") {
                self.reaped += field(line, "sessions").and_then(|count| count.parse().ok()).unwrap_or(0);
            } else if line.contains("panicked at") {
                self.panics.push(line.to_owned());
            }
        }
    }

    /// Whether somebody buried this incarnation.
    pub fn was_given_up(&self, worker: &str) -> bool {
        self.by_lifeline.contains(worker) || self.by_lease.contains(worker)
    }
}

/// What stands behind `name=`.
fn field(line: &str, name: &str) -> Option<String> {
    line.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned)
}

#[test]
fn the_log_tells_who_was_buried_why_and_how_many_sessions_went_on() {
    let mut journal = Journal::default();
    journal.read(
        "2026 INFO tenure::runtime::lifeline: buried: its lifeline broke worker=w1-a partitions=64\n\
         2026 INFO tenure::runtime::lifeline: reaped worker=w1-a sessions=3\n\
         2026 INFO tenure::runtime::duty: buried: its lease ran out worker=w2-b partitions=2\n\
         2026 INFO tenure::runtime::duty: buried: its lease ran out worker=w2-b partitions=3\n\
         2026 INFO tenure::runtime::duty: reaped worker=w2-b sessions=4\n\
         thread 'main' panicked at src/lib.rs:1:1:\n",
    );
    assert_eq!(journal.by_lifeline, ["w1-a".to_owned()].into());
    assert_eq!(journal.by_lease, ["w2-b".to_owned()].into());
    assert_eq!((journal.reaped, journal.panics.len()), (7, 1));
}
