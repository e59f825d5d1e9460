//! What is told of a run, and of all runs together.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde::Serialize;
use tenure::sim::Report;

/// One seed's run, in a line.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Row {
    pub(super) scenario: &'static str,
    pub(super) seed: u64,
    pub(super) ok: bool,
    pub(super) steps: u64,
    pub(super) faults: BTreeMap<&'static str, u64>,
    pub(super) trace_hash: String,
    /// The longest that something runnable waited for an owner while nothing stood in the way, in milliseconds.
    pub(super) longest_unowned_ms: u64,
    /// Checks that came to no answer.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) undecided: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) failure: Option<String>,
    #[serde(skip)]
    pub(super) order: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Row {
    pub(super) fn of(scenario: &'static str, report: &Report) -> Self {
        Self {
            scenario,
            seed: report.seed,
            ok: report.is_ok(),
            steps: report.steps,
            faults: report.faults.clone(),
            trace_hash: format!("{:016x}", report.trace_hash),
            longest_unowned_ms: u64::try_from(report.longest_unowned.as_millis()).unwrap_or(u64::MAX),
            undecided: report.undecided,
            failure: report.failure.as_ref().map(ToString::to_string),
            order: report.trace.order(),
        }
    }
}

/// All runs together.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Summary {
    /// True: tells it from the rows.
    summary: bool,
    seeds: u64,
    failed: u64,
    /// Checks that came to no answer.
    undecided: u64,
    steps: u64,
    faults: BTreeMap<&'static str, u64>,
    /// Distinct ones.
    interleavings: usize,
    longest: Option<Longest>,
    /// The longest that something runnable waited for an owner while nothing stood in the way.
    longest_unowned: Option<Unowned>,
    /// Seconds of wall time.
    elapsed: f64,
    #[serde(skip)]
    orders: BTreeSet<u64>,
}

/// The run with the most steps.
#[derive(Debug, Clone, Serialize)]
struct Longest {
    scenario: &'static str,
    seed: u64,
    steps: u64,
}

/// The run with the longest wait for an owner.
#[derive(Debug, Clone, Serialize)]
struct Unowned {
    scenario: &'static str,
    seed: u64,
    ms: u64,
}

impl Summary {
    pub(super) fn add(&mut self, row: &Row) {
        self.summary = true;
        self.seeds += 1;
        self.failed += u64::from(!row.ok);
        self.undecided += row.undecided;
        self.steps += row.steps;
        for (fault, count) in &row.faults {
            *self.faults.entry(fault).or_default() += count;
        }
        self.orders.insert(row.order);
        self.interleavings = self.orders.len();
        if self.longest.as_ref().is_none_or(|longest| longest.steps < row.steps) {
            self.longest = Some(Longest { scenario: row.scenario, seed: row.seed, steps: row.steps });
        }
        let ms = row.longest_unowned_ms;
        if self.longest_unowned.as_ref().is_none_or(|longest| longest.ms < ms) {
            self.longest_unowned = Some(Unowned { scenario: row.scenario, seed: row.seed, ms });
        }
    }

    pub(super) fn took(self, elapsed: Duration) -> Self {
        let elapsed = (elapsed.as_secs_f64() * 1000.0).round() / 1000.0;
        Self { summary: true, elapsed, ..self }
    }

    pub(super) fn seeds(&self) -> u64 {
        self.seeds
    }

    pub(super) fn failed(&self) -> u64 {
        self.failed
    }

    /// For people: a name and a value each.
    pub(super) fn facts(&self) -> Vec<(&'static str, String)> {
        let pace = self.steps as f64 / self.elapsed.max(0.001);
        let faults: Vec<_> = self.faults.iter().map(|(fault, count)| format!("{count} {fault}")).collect();
        let longest = self.longest.as_ref();
        let longest = longest.map_or("-".to_owned(), |longest| {
            format!("{} steps ({} seed {})", longest.steps, longest.scenario, longest.seed)
        });
        let unowned = self.longest_unowned.as_ref();
        let unowned = unowned.map_or("-".to_owned(), |longest| {
            format!("{} ms at most ({} seed {})", longest.ms, longest.scenario, longest.seed)
        });
        vec![
            ("seeds", format!("{} ({} failed)", self.seeds, self.failed)),
            ("undecided", format!("{} checks", self.undecided)),
            ("steps", format!("{} ({pace:.0} a second)", self.steps)),
            ("faults", if faults.is_empty() { "none".to_owned() } else { faults.join(", ") }),
            ("interleavings", format!("{} distinct", self.interleavings)),
            ("longest", longest),
            ("unowned", unowned),
            ("elapsed", format!("{:.1} s", self.elapsed)),
        ]
    }
}
