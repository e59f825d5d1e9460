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
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) failure: Option<String>,
    #[serde(skip)]
    pub(super) order: u64,
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
    steps: u64,
    faults: BTreeMap<&'static str, u64>,
    /// Distinct ones.
    interleavings: usize,
    longest: Option<Longest>,
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

impl Summary {
    pub(super) fn add(&mut self, row: &Row) {
        self.summary = true;
        self.seeds += 1;
        self.failed += u64::from(!row.ok);
        self.steps += row.steps;
        for (fault, count) in &row.faults {
            *self.faults.entry(fault).or_default() += count;
        }
        self.orders.insert(row.order);
        self.interleavings = self.orders.len();
        if self.longest.as_ref().is_none_or(|longest| longest.steps < row.steps) {
            self.longest = Some(Longest { scenario: row.scenario, seed: row.seed, steps: row.steps });
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
        vec![
            ("seeds", format!("{} ({} failed)", self.seeds, self.failed)),
            ("steps", format!("{} ({pace:.0} a second)", self.steps)),
            ("faults", if faults.is_empty() { "none".to_owned() } else { faults.join(", ") }),
            ("interleavings", format!("{} distinct", self.interleavings)),
            ("longest", longest),
            ("elapsed", format!("{:.1} s", self.elapsed)),
        ]
    }
}
