//! The report of a run, in Markdown.

use std::{collections::BTreeMap, env, fmt::Write, time::Duration};

use super::{
    ledger::{Door, Note},
    plan::Kind,
    run::{Memory, Outcome},
    storm::Struck,
};

/// The report.
pub fn of(outcome: &Outcome) -> String {
    let mut text = String::new();
    [head, faults, waits, workers, complaints, broken].iter().for_each(|part| text += &part(outcome));
    text
}

/// During which faults a message waited for its reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum During {
    Quiet,
    One(Kind),
    Several,
}

impl During {
    fn of(note: &Note, struck: &[Struck]) -> Option<Self> {
        let answered = note.answered?;
        let mut kinds = struck.iter().filter(|struck| struck.began <= answered && struck.ended >= note.sent);
        let first = kinds.next().map(|struck| struck.fault.kind);
        Some(match first {
            None => Self::Quiet,
            Some(kind) if kinds.all(|struck| struck.fault.kind == kind) => Self::One(kind),
            Some(_) => Self::Several,
        })
    }
}

fn head(outcome: &Outcome) -> String {
    let Outcome { scenario, book, struck, sessions, stormed, calmed, .. } = outcome;
    let commit = env::var("TENURE_CHAOS_COMMIT").unwrap_or_else(|_| "unknown".to_owned());
    let plain = book.notes.values().filter(|note| note.door == Door::Plain).count();
    let answered = book.notes.values().filter(|note| note.answered.is_some()).count();
    let repeats: usize = book.notes.values().map(|note| note.tries.saturating_sub(1) as usize).sum();
    let verdict = if outcome.broken.is_empty() { "every rule held" } else { "RULES WERE BROKEN" };
    let mut rows = Rows::new(
        "# Chaos\n\nWritten by `scripts/chaos`; [failover.md](failover.md#chaos) says what it does and proves.\n\n| | |\n|---|---|\n",
    );
    rows.row("verdict", verdict);
    rows.row("seed", scenario.seed);
    rows.row("commit", commit);
    rows.row("under faults for", time(*stormed));
    rows.row("lease", time(scenario.lease));
    rows.row("faults", struck.len());
    rows.row("senders, sessions", format!("{}, {sessions}", scenario.pace.senders));
    rows.row("messages", format!("{}, {plain} of them by the plain door", book.notes.len()));
    rows.row("answered", answered);
    rows.row("sent again by the same id", repeats);
    rows.row(
        "longest that a reply came behind one to a later message of its session",
        time(overtaken(outcome)),
    );
    rows.row("all answered and at rest after the last fault within", time(*calmed));
    rows.0
}

/// By how much replies are overtaken: those that their turn's worker could not push are left to upkeep.
fn overtaken(outcome: &Outcome) -> Duration {
    let mut first_later = BTreeMap::new();
    let mut longest = Duration::ZERO;
    let mut notes: Vec<_> = outcome.book.notes.values().collect();
    notes.sort_by_key(|note| std::cmp::Reverse(note.n));
    for note in notes {
        let Some(answered) = note.answered else { continue };
        let later = first_later.entry(&note.session).or_insert(answered);
        longest = longest.max(answered.saturating_sub(*later));
        *later = answered.min(*later);
    }
    longest
}

fn faults(outcome: &Outcome) -> String {
    let mut waits: BTreeMap<During, Vec<Duration>> = BTreeMap::new();
    for note in outcome.book.notes.values() {
        if let (Some(during), Some(wait)) = (During::of(note, &outcome.struck), note.wait()) {
            waits.entry(during).or_default().push(wait);
        }
    }
    let longest = |during| {
        waits.get(&during).and_then(|waits| waits.iter().max()).map_or("".to_owned(), |wait| time(*wait))
    };
    let mut rows = Rows::new(
        "\n## Faults\n\nThe wait of a message is from its first try to its reply. Of the waits during which only faults of one kind were under way, the longest:\n\n| fault | times | longest wait |\n|---|---|---|\n",
    );
    for kind in Kind::all() {
        let times = outcome.struck.iter().filter(|struck| struck.fault.kind == kind).count();
        rows.row(kind, format!("{times} | {}", longest(During::One(kind))));
    }
    rows.row("several kinds at once", format!("| {}", longest(During::Several)));
    rows.row("none", format!("| {}", longest(During::Quiet)));
    rows.0
}

fn waits(outcome: &Outcome) -> String {
    let mut rows = Rows::new(
        "\n## Senders\n\n| sender | messages | half waited at most | 99 of 100 | longest |\n|---|---|---|---|---|\n",
    );
    for sender in 0..outcome.scenario.pace.senders {
        let notes = outcome.book.notes.values().filter(|note| note.sender == sender);
        let mut waits: Vec<_> = notes.filter_map(Note::wait).collect();
        waits.sort_unstable();
        let at = |share: usize| waits.get((waits.len() * share / 100).min(waits.len().saturating_sub(1)));
        let shown = [at(50), at(99), waits.last()].map(|wait| wait.map_or("".to_owned(), |wait| time(*wait)));
        rows.row(sender + 1, format!("{} | {}", waits.len(), shown.join(" | ")));
    }
    rows.0
}

fn workers(outcome: &Outcome) -> String {
    let Memory { fresh, end, survivor } = outcome.memory;
    let mut rows = Rows::new("\n## Workers\n\n| | |\n|---|---|\n");
    rows.row("changes of owner in histories", outcome.changes_of_owner);
    rows.row("sessions taken over from workers that were given up", outcome.journal.reaped);
    rows.row("dead workers noticed by their lifeline", outcome.journal.by_lifeline.len());
    rows.row("workers given up because their lease ran out", outcome.journal.by_lease.len());
    rows.row("of all these, alive, and told so", outcome.told);
    rows.row(
        "sessions quarantined after three such owners in a row, and freed in the end",
        outcome.freed.len(),
    );
    let cut_short = outcome.struck.iter().filter(|struck| struck.failed.is_some()).count();
    rows.row("drains cut short while Redis was away", cut_short);
    rows.row("largest resident memory of a fresh worker", mib(fresh));
    rows.row("largest in the end", mib(end));
    let (begin, most, now) = survivor;
    let story = format!("{} fresh, {} at most, {} in the end", mib(begin), mib(most), mib(now));
    rows.row("the worker that lived through all of it", story);
    let (keys, most) = outcome.keys;
    rows.row("keys in the end", format!("{keys} (at most {most} allowed)"));
    rows.0
}

fn complaints(outcome: &Outcome) -> String {
    let mut rows = Rows::new("\n## What senders were told instead of an answer\n\n| | times |\n|---|---|\n");
    for (complaint, times) in &outcome.book.complaints {
        rows.row(complaint, times);
    }
    rows.0
}

fn broken(outcome: &Outcome) -> String {
    let lines = outcome.broken.iter().map(|line| format!("- {line}\n"));
    let all: String = lines.collect();
    if all.is_empty() { all } else { format!("\n## Broken rules\n\n{all}") }
}

/// Rows of a table of two columns, or more if the second says so.
struct Rows(String);

impl Rows {
    fn new(head: &str) -> Self {
        Self(head.to_owned())
    }

    fn row(&mut self, name: impl std::fmt::Display, value: impl std::fmt::Display) {
        writeln!(self.0, "| {name} | {value} |").expect("a string takes all");
    }
}

fn time(duration: Duration) -> String {
    match duration.as_secs_f64() {
        short if short < 1.0 => format!("{:.0} ms", short * 1000.0),
        long if long < 120.0 => format!("{long:.1} s"),
        longest => format!("{:.1} min", longest / 60.0),
    }
}

fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
