//! What a turn costs: processor time of all who take part in it.

use std::{process, time::Duration};

use serde::Serialize;

use super::super::{
    durability::median,
    figures::{Figures, Measured, to_thousandths},
    fleet::{Fleet, cpu_of},
    server::Server,
};
use crate::failure::Failure;

/// What a turn costs in one place.
#[derive(Clone, Copy, Serialize)]
pub(super) struct Cost {
    #[serde(flatten)]
    pub(super) figures: Figures,
    /// Of the benchmark itself.
    pub(super) client_us_per_turn: f64,
    /// Of all together.
    pub(super) us_per_turn: f64,
    /// Of the master that had most to do, over its even share.
    busiest: f64,
}

/// Processor time used so far.
pub(super) struct Spent {
    /// Of each server.
    servers: Vec<Duration>,
    workers: Duration,
    client: Duration,
}

impl Spent {
    pub(super) async fn until_now(fleet: &Fleet, meters: &mut [Server]) -> Result<Self, Failure> {
        let mut servers = Vec::new();
        for meter in meters {
            servers.push(meter.cpu().await?);
        }
        let client = cpu_of(process::id()).unwrap_or_default();
        Ok(Self { servers, workers: fleet.cpu(), client })
    }

    pub(super) fn since(self, before: &Self) -> Self {
        let each = self.servers.iter().zip(&before.servers);
        Self {
            servers: each.map(|(now, before)| now.saturating_sub(*before)).collect(),
            workers: self.workers.saturating_sub(before.workers),
            client: self.client.saturating_sub(before.client),
        }
    }

    pub(super) fn cost_of(self, elapsed: Duration, latencies: Vec<Duration>) -> Cost {
        let server: Duration = self.servers.iter().sum();
        let per_turn = |cpu: Duration| cpu.as_secs_f64() * 1e6 / latencies.len().max(1) as f64;
        let busiest = self.servers.iter().max().copied().unwrap_or_default();
        let even = server.as_secs_f64() / self.servers.len() as f64;
        let client_us_per_turn = rounded(per_turn(self.client));
        let us_per_turn = rounded(per_turn(server + self.workers + self.client));
        let busiest = to_thousandths(busiest.as_secs_f64() / even.max(f64::MIN_POSITIVE));
        let figures = Figures::of(Measured { elapsed, latencies, server, workers: Some(self.workers) });
        Cost { figures, client_us_per_turn, us_per_turn, busiest }
    }
}

fn rounded(figure: f64) -> f64 {
    (figure * 10.0).round() / 10.0
}

impl Cost {
    pub(super) fn medians(costs: &[Self]) -> Self {
        let of = |figure: fn(&Self) -> f64| to_thousandths(median(costs.iter().map(figure)));
        Self {
            figures: Figures::medians(&costs.iter().map(|cost| cost.figures).collect::<Vec<_>>()),
            client_us_per_turn: of(|cost| cost.client_us_per_turn),
            us_per_turn: of(|cost| cost.us_per_turn),
            busiest: of(|cost| cost.busiest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_costs_what_all_servers_the_worker_and_the_benchmark_used_for_it() {
        let ms = Duration::from_millis;
        let before = Spent { servers: vec![ms(10), ms(20)], workers: ms(5), client: ms(1) };
        let after = Spent { servers: vec![ms(13), ms(21)], workers: ms(7), client: ms(2) };
        let cost = after.since(&before).cost_of(ms(100), vec![ms(1); 100]);
        assert_eq!(cost.figures.server_us_per_turn, 40.0);
        assert_eq!(cost.figures.worker_us_per_turn, Some(20.0));
        assert_eq!((cost.client_us_per_turn, cost.us_per_turn), (10.0, 70.0));
        assert_eq!(cost.busiest, 1.5, "three of four milliseconds, where two would be even");
    }
}
