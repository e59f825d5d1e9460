//! A test over many seeds.

use std::ops::RangeInclusive;

use super::{report::Report, simulation::Simulation};

/// The environment variable that picks the one seed a test runs, to see again what failed.
const SEED: &str = "TENURE_SIM_SEED";

/// Runs a simulation for every seed, for use in a `#[test]`.
///
/// With `TENURE_SIM_SEED=n` in the environment only seed `n` runs, and its schedule is printed step by step.
///
/// ```
/// use tenure::{agents::Echo, sim::{self, Simulation, Workload}};
///
/// sim::test(1..=3, |seed| {
///     Simulation::new(seed).agent("echo", Echo).workload(Workload::messages("echo", 2, 8))
/// });
/// ```
///
/// # Panics
/// If something does not hold for a seed; the message is one line with the seed and how to run it again.
pub fn test(seeds: RangeInclusive<u64>, simulation: impl Fn(u64) -> Simulation) {
    if let Some(seed) = the_one_seed() {
        let report = simulation(seed).run();
        print!("{}", report.trace.render());
        return assert_ok(&report);
    }
    for seed in seeds {
        assert_ok(&simulation(seed).run());
    }
}

fn the_one_seed() -> Option<u64> {
    let given = std::env::var(SEED).ok()?;
    Some(given.parse().unwrap_or_else(|_| panic!("{SEED} is `{given}`: it should be a number")))
}

fn assert_ok(Report { seed, failure, .. }: &Report) {
    if let Some(failure) = failure {
        panic!(
            "seed {seed}: {failure} · again, with its schedule: {SEED}={seed} cargo test -- --nocapture {}",
            this_test()
        );
    }
}

/// What the test that runs on this thread is called.
fn this_test() -> String {
    std::thread::current().name().filter(|name| *name != "main").unwrap_or_default().to_owned()
}
