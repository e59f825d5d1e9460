//! Runs on several threads whose results come in order.

use std::{
    collections::BTreeMap,
    ops::RangeInclusive,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use tenure::sim::{Report, Scenario, strategy::StrategyName};
use tokio::sync::mpsc;

use super::{again::Runs, row::Row};

/// A run that is over; with all that is known of it if it failed.
pub(super) type Ran = (Row, Option<Box<Report>>);

/// Threads that run seeds.
pub(super) struct Pool {
    results: mpsc::Receiver<(usize, Vec<Ran>)>,
    /// What came before its turn.
    early: BTreeMap<usize, Vec<Ran>>,
    next: usize,
    stop: Arc<AtomicBool>,
}

/// Seeds that one thread runs one after the other.
struct Share {
    scenario: &'static Scenario,
    seeds: RangeInclusive<u64>,
}

/// How many seeds make a share where seeds do not guide each other.
const SHARE: u64 = 16;

impl Pool {
    pub(super) fn start(
        scenarios: &[&'static Scenario],
        seeds: &RangeInclusive<u64>,
        strategy: &StrategyName,
        jobs: usize,
    ) -> Self {
        let shares: Vec<_> =
            scenarios.iter().flat_map(|scenario| shared_out(scenario, seeds, strategy)).collect();
        let (done, results) = mpsc::channel(4 * jobs);
        let (shares, stop) = (Arc::new(Mutex::new(shares.into_iter().enumerate())), Arc::default());
        for _ in 0..jobs {
            let (shares, strategy, stop, done) =
                (shares.clone(), strategy.clone(), Arc::clone(&stop), done.clone());
            std::thread::spawn(move || {
                let take = || shares.lock().expect("nobody panics while taking a share").next();
                while let Some((number, share)) = take() {
                    if done.blocking_send((number, share.run(&strategy, &stop))).is_err() {
                        return;
                    }
                }
            });
        }
        Self { results, early: BTreeMap::new(), next: 0, stop }
    }

    /// The next runs, in order; none if there are no more.
    pub(super) async fn next(&mut self) -> Option<Vec<Ran>> {
        loop {
            if let Some(runs) = self.early.remove(&self.next) {
                self.next += 1;
                return Some(runs);
            }
            let (number, runs) = self.results.recv().await?;
            self.early.insert(number, runs);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn shared_out(
    scenario: &'static Scenario,
    seeds: &RangeInclusive<u64>,
    strategy: &StrategyName,
) -> Vec<Share> {
    let (mut from, last) = (*seeds.start(), *seeds.end());
    let mut shares = Vec::new();
    loop {
        let to = (*strategy.block(from).end()).max(from.saturating_add(SHARE - 1)).min(last);
        // A block is never cut in two: its later seeds need the earlier ones.
        let to = (*strategy.block(to).end()).min(last);
        shares.push(Share { scenario, seeds: from..=to });
        if to == last {
            return shares;
        }
        from = to + 1;
    }
}

impl Share {
    fn run(&self, strategy: &StrategyName, stop: &AtomicBool) -> Vec<Ran> {
        let mut runs = Runs::new(self.scenario, strategy);
        let first = *self.seeds.start();
        let mut seeds = self.seeds.clone();
        let mut done = Vec::new();
        for seed in seeds.by_ref() {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let report = if seed == first { runs.run_alone(seed) } else { runs.run(seed) };
            let row = Row::of(self.scenario.name, &report);
            done.push((row, (!report.is_ok()).then(|| Box::new(report))));
        }
        done
    }
}
