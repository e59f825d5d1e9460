//! What the table of every agent may say, whatever its type.

use super::{
    report::Report,
    section::{Section, duration, whole, word},
};
use crate::model::{Backoff, Durability, Pool, Resume, ShownDuration, TurnPolicy};

/// The keys that every type knows.
pub(super) const KEYS: [&str; 11] = [
    "type",
    "tries",
    "backoff",
    "history",
    "timeout",
    "concurrency",
    "pool",
    "moved_from",
    "resume",
    "durability",
    "idle",
];

/// Most tries, most entries of a history, and most turns at once: beyond, it is a slip of the hand.
const MOST: u64 = 1_000_000;

/// Reads the policy of its turns; what is absent or wrong is the default.
pub(super) fn policy(section: &Section<'_>, report: &mut Report<'_>) -> TurnPolicy {
    let usual = TurnPolicy::default();
    let mut number = |key: &str, least: u64, usual: usize| {
        let read = section.read(key, report, |value| whole(value, least, MOST));
        read.map_or(usual, |number| usize::try_from(number).expect("at most a million"))
    };
    let tries = number("tries", 1, usual.tries as usize);
    let history = number("history", 0, usual.history);
    let concurrency = number("concurrency", 1, usual.concurrency);
    TurnPolicy {
        tries: u32::try_from(tries).expect("at most a million"),
        backoff: backoff(section, report),
        history,
        timeout: section.read("timeout", report, duration).unwrap_or(usual.timeout),
        concurrency,
        idle: section.read("idle", report, duration),
        resume: section.read("resume", report, word::<Resume>).unwrap_or_default(),
        durability: section.read("durability", report, word::<Durability>),
    }
}

fn backoff(section: &Section<'_>, report: &mut Report<'_>) -> Backoff {
    let usual = Backoff::default();
    let Some(table) = section.table("backoff", report) else { return usual };
    table.only(&["first", "max"], |_| None, report);
    let first = table.read("first", report, duration);
    let max = table.read("max", report, duration);
    let read = Backoff { first: first.unwrap_or(usual.first), max: max.unwrap_or(usual.max) };
    if read.first > read.max {
        let unsaid = |said: Option<_>| if said.is_none() { ", the default" } else { "" };
        let (first_said, max_said) = (unsaid(first), unsaid(max));
        let (first, max) = (ShownDuration(read.first), ShownDuration(read.max));
        let problem =
            format!("`backoff`: `first` ({first}{first_said}) is longer than `max` ({max}{max_said})");
        table.faulty(problem, report);
    }
    read
}

/// The pool whose workers serve it.
pub(super) fn pool(section: &Section<'_>, report: &mut Report<'_>) -> Option<Pool> {
    section.read("pool", report, word::<Pool>)
}

/// The pool that it belonged to before.
pub(super) fn moved_from(
    section: &Section<'_>,
    home: Option<&Pool>,
    report: &mut Report<'_>,
) -> Option<Pool> {
    section.read("moved_from", report, |value| match (word::<Pool>(value)?, home) {
        (_, None) => Err("expected `pool` too, for where it moved to".to_owned()),
        (from, Some(home)) if from == *home => Err("expected another pool than `pool`".to_owned()),
        (from, Some(_)) => Ok(from),
    })
}
