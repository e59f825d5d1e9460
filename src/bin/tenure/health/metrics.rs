//! What a worker measures of itself, in Prometheus' text format.

use std::fmt::Write;

use tenure::{Readiness, runtime::Load, store::Tally};

/// A page of metrics: of the process' present incarnation, so that counters begin again with a fresh one.
pub(super) fn page(readiness: Readiness, load: Load, tally: &Tally) -> String {
    let seconds = |ms: u64| ms as f64 / 1_000.0;
    let mut page = Page::default();
    page.gauge(
        "tenure_ready",
        "1 while the worker takes sessions.",
        f64::from(u8::from(readiness == Readiness::Ready)),
    );
    page.gauge("tenure_sessions", "Sessions in its memory.", load.sessions as f64);
    page.gauge("tenure_turns_running", "Turns under way.", load.running as f64);
    page.counter("tenure_turns_total", "Turns that ended.", tally.turns);
    page.counter("tenure_sessions_reaped_total", "Sessions taken from workers that died.", tally.reaped);
    page.gauge(
        "tenure_upkeep_lag_seconds",
        "From one look of upkeep at each of its partitions to the next; at most 2 s is well.",
        seconds(tally.upkeep.round_ms),
    );
    if let Some(pass) = tally.upkeep.pass_ms {
        page.gauge(
            "tenure_index_pass_seconds",
            "The longest pass over a partition's index, so far; at most 600 s is well.",
            seconds(pass),
        );
    }
    page.0
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.metric(name, "gauge", help, value);
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.metric(name, "counter", help, value);
    }

    fn metric(&mut self, name: &str, kind: &str, help: &str, value: impl std::fmt::Display) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}");
    }
}

#[cfg(test)]
mod tests {
    use tenure::store::UpkeepLag;

    use super::*;

    #[test]
    fn each_metric_has_its_help_its_type_and_one_value() {
        let tally =
            Tally { turns: 7, upkeep: UpkeepLag { round_ms: 120, pass_ms: Some(4_500) }, ..Tally::default() };
        let page = page(Readiness::Draining, Load { sessions: 3, running: 1 }, &tally);
        let values: Vec<_> = page.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            values,
            [
                "tenure_ready 0",
                "tenure_sessions 3",
                "tenure_turns_running 1",
                "tenure_turns_total 7",
                "tenure_sessions_reaped_total 0",
                "tenure_upkeep_lag_seconds 0.12",
                "tenure_index_pass_seconds 4.5",
            ]
        );
        assert_eq!(page.lines().count(), 3 * values.len());
    }
}
