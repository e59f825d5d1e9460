//! What a case came to, and whether that is within its bars.

use std::{fs, io, path::Path, time::Duration};

use serde::Serialize;

use super::{
    super::figures::{in_ms, percentile},
    Case,
};
use crate::{failure::Failure, output, table::table};

/// What may not be exceeded, and what was measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Bar {
    /// With its unit.
    name: &'static str,
    value: f64,
    bar: f64,
    ok: bool,
}

impl Bar {
    /// Kept by a value that is not greater.
    pub(super) fn at_most(name: &'static str, value: f64, bar: f64) -> Self {
        Self { name, value, bar, ok: value <= bar }
    }

    /// Kept by this number and no other.
    pub(super) fn exactly(name: &'static str, value: usize, bar: usize) -> Self {
        Self { name, value: value as f64, bar: bar as f64, ok: value == bar }
    }

    /// The same for a time.
    pub(super) fn within(name: &'static str, value: Duration, bar: Duration) -> Self {
        Self::at_most(name, in_ms(value), in_ms(bar))
    }

    /// `p99_ms 115/400`, with a word where it is missed.
    fn words(&self) -> String {
        let missed = if self.ok { "" } else { "MISSED " };
        format!("{missed}{} {}/{}", self.name, short(self.value), short(self.bar))
    }
}

fn short(value: f64) -> f64 {
    if value < 10.0 { (value * 10.0).round() / 10.0 } else { value.round() }
}

/// What was measured in one case.
#[derive(Debug, Default)]
pub(super) struct Measured {
    /// One for each session, in order.
    pub(super) samples: Vec<Duration>,
    pub(super) bars: Vec<Bar>,
    /// How many sessions each of the others got, most first.
    pub(super) spread: Vec<usize>,
    /// What else there is to say, for people.
    pub(super) note: Option<String>,
}

impl Measured {
    pub(super) fn of(mut samples: Vec<Duration>) -> Self {
        samples.sort_unstable();
        Self { samples, ..Self::default() }
    }

    pub(super) fn percentile(&self, percent: usize) -> Duration {
        percentile(&self.samples, percent)
    }

    /// By how much the share furthest from the mean differs from it, in percent of the mean.
    pub(super) fn unevenness(&self) -> f64 {
        let mean = self.spread.iter().sum::<usize>() as f64 / self.spread.len().max(1) as f64;
        let furthest = self.spread.iter().map(|share| (*share as f64 - mean).abs()).fold(0.0, f64::max);
        (furthest / mean.max(1.0) * 1_000.0).round() / 10.0
    }
}

/// What `--json` prints of a case.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    bench: &'static str,
    case: Case,
    sessions: usize,
    survivors: usize,
    lease_ms: f64,
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
    bars: Vec<Bar>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    spread: Vec<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    samples_ms: Vec<f64>,
}

impl Report {
    pub(super) fn new(
        case: Case,
        sessions: usize,
        survivors: usize,
        lease: Duration,
        measured: Measured,
    ) -> Self {
        let ms = |percent| in_ms(measured.percentile(percent));
        Self {
            bench: "failover",
            case,
            sessions,
            survivors,
            lease_ms: in_ms(lease),
            p50_ms: ms(50),
            p99_ms: ms(99),
            max_ms: ms(100),
            bars: measured.bars,
            spread: measured.spread,
            note: measured.note,
            samples_ms: measured.samples.into_iter().map(in_ms).collect(),
        }
    }

    fn passes(&self) -> bool {
        self.bars.iter().all(|bar| bar.ok)
    }

    fn row(&self) -> [String; 8] {
        let bars: Vec<_> = self.bars.iter().map(Bar::words).collect();
        let spread = (!self.spread.is_empty()).then(|| format!("{:?}", self.spread));
        let rest: Vec<_> = spread.into_iter().chain(self.note.clone()).collect();
        [
            self.case.to_string(),
            self.sessions.to_string(),
            format!("{:.0} ms", self.p50_ms),
            format!("{:.0} ms", self.p99_ms),
            format!("{:.0} ms", self.max_ms),
            if self.passes() { "pass" } else { "fail" }.to_owned(),
            bars.join(", "),
            output::or_dash((!rest.is_empty()).then(|| rest.join("; "))),
        ]
    }
}

const HEADER: [&str; 8] = ["CASE", "SESSIONS", "P50", "P99", "MAX", "BARS", "MEASURED/BAR", "SPREAD, NOTES"];

/// Prints one object a line, or a table.
pub(super) fn print(reports: &[Report], json: bool) -> Result<(), Failure> {
    if json {
        return reports.iter().try_for_each(output::json);
    }
    table(HEADER, &reports.iter().map(Report::row).collect::<Vec<_>>())
}

/// Writes the table in Markdown, under a line that says what it was measured on.
pub(super) fn write(reports: &[Report], setting: &str, file: &Path) -> io::Result<()> {
    let row = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut text = format!("{setting}\n\n");
    text += &row(&HEADER.map(str::to_lowercase));
    text += &row(&HEADER.map(|_| "---".to_owned()));
    reports.iter().for_each(|report| text += &row(&report.row()));
    fs::write(file, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_kept_up_to_and_with_its_own_value() {
        let bar = |ms| Bar::within("p99_ms", Duration::from_millis(ms), Duration::from_millis(400));
        assert_eq!(bar(400).words(), "p99_ms 400/400");
        assert_eq!(bar(401).words(), "MISSED p99_ms 401/400");
        assert!(!Bar::exactly("lost", 1, 0).ok && !Bar::exactly("told", 0, 1).ok);
    }

    #[test]
    fn unevenness_is_the_distance_from_the_mean_of_whoever_is_furthest() {
        let of = |spread: &[usize]| Measured { spread: spread.to_vec(), ..Measured::default() }.unevenness();
        assert_eq!(of(&[7_237, 6_821, 5_942]), 10.9);
        assert_eq!(of(&[5, 5, 5]), 0.0);
        assert_eq!(of(&[]), 0.0);
    }
}
