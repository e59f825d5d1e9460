//! What a run comes to: a rate, two percentiles, and the CPU it took on both sides.

use std::time::Duration;

use serde::Serialize;

use super::durability::median;

/// What was measured over one run.
#[derive(Debug)]
pub(super) struct Measured {
    /// From the first send to the last answer.
    pub(super) elapsed: Duration,
    /// Of each turn, from its send to its answer.
    pub(super) latencies: Vec<Duration>,
    /// CPU time of the server.
    pub(super) server: Duration,
    /// CPU time of the workers; none where there are none.
    pub(super) workers: Option<Duration>,
}

/// A run in figures.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Figures {
    pub(super) turns_per_second: f64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) server_us_per_turn: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) worker_us_per_turn: Option<f64>,
}

impl Figures {
    /// Each figure's median over several runs.
    pub(super) fn medians(runs: &[Self]) -> Self {
        let of = |figure: fn(&Self) -> f64| to_thousandths(median(runs.iter().map(figure)));
        let with_workers = runs.iter().all(|run| run.worker_us_per_turn.is_some());
        Self {
            turns_per_second: of(|run| run.turns_per_second),
            p50_ms: of(|run| run.p50_ms),
            p99_ms: of(|run| run.p99_ms),
            server_us_per_turn: of(|run| run.server_us_per_turn),
            worker_us_per_turn: with_workers.then(|| of(|run| run.worker_us_per_turn.unwrap_or_default())),
        }
    }

    pub(super) fn of(measured: Measured) -> Self {
        let Measured { elapsed, mut latencies, server, workers } = measured;
        latencies.sort_unstable();
        let turns = latencies.len().max(1) as f64;
        let per_turn = |cpu: Duration| rounded(cpu.as_secs_f64() * 1e6 / turns);
        Self {
            turns_per_second: rounded(turns / elapsed.as_secs_f64().max(1e-9)),
            p50_ms: in_ms(percentile(&latencies, 50)),
            p99_ms: in_ms(percentile(&latencies, 99)),
            server_us_per_turn: per_turn(server),
            worker_us_per_turn: workers.map(per_turn),
        }
    }
}

/// The smallest latency that is not exceeded by `percent` of all.
pub(super) fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

pub(super) fn in_ms(latency: Duration) -> f64 {
    (latency.as_secs_f64() * 1e6).round() / 1e3
}

pub(super) fn to_thousandths(figure: f64) -> f64 {
    (figure * 1e3).round() / 1e3
}

fn rounded(figure: f64) -> f64 {
    (figure * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_latency_that_was_measured() {
        let sorted: Vec<_> = (1..=200).map(Duration::from_millis).collect();
        assert_eq!(percentile(&sorted, 50), Duration::from_millis(100));
        assert_eq!(percentile(&sorted, 99), Duration::from_millis(198));
        assert_eq!(percentile(&sorted[..1], 99), Duration::from_millis(1));
        assert_eq!(percentile(&[], 50), Duration::ZERO);
    }
}
