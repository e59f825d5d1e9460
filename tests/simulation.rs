//! Every scenario holds, on a fixed set of seeds, and seeds that failed once are run for ever.
//!
//! `tenure sim` runs as many more as there is time for; `scripts/soak` for a given time.

#[path = "../examples/simulate.rs"]
mod simulate;

use std::{fs, path::Path};

use tenure::sim::{
    Report, Scenario,
    strategy::{Campaign, StrategyName},
};

/// The strategies that are run here, each on so many seeds of each scenario.
const FIXED: [(&str, u64); 3] = [("random", 4), ("pct:depth=3", 3), ("pos", 3)];

fn run(scenario: &Scenario, seed: u64, strategy: &str) -> Report {
    let strategy: StrategyName = strategy.parse().unwrap();
    let mut strategy = Campaign::new(strategy).strategy(seed);
    scenario.simulation(seed).run_with(&mut *strategy)
}

fn assert_ok(scenario: &Scenario, seed: u64, strategy: &str) {
    let report = run(scenario, seed, strategy);
    if let Some(failure) = report.failure {
        let name = scenario.name;
        panic!("{failure} · again: tenure sim replay --scenario {name} --seed {seed} --strategy {strategy}");
    }
}

/// Every fourth scenario, so that several processes share the work.
fn every_fourth_holds(from: usize) {
    for scenario in Scenario::all().iter().skip(from).step_by(4) {
        for (strategy, seeds) in FIXED {
            for seed in 1..=seeds {
                assert_ok(scenario, seed, strategy);
            }
        }
    }
}

#[test]
fn every_scenario_holds_first_share() {
    every_fourth_holds(0);
}

#[test]
fn every_scenario_holds_second_share() {
    every_fourth_holds(1);
}

#[test]
fn every_scenario_holds_third_share() {
    every_fourth_holds(2);
}

#[test]
fn every_scenario_holds_fourth_share() {
    every_fourth_holds(3);
}

/// A file has a line `scenario seed strategy`; what follows a `#` says what was wrong.
#[test]
fn seeds_that_failed_once_fail_no_more() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/seeds");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    for file in files.iter().filter(|file| file.extension().is_some_and(|kind| kind == "seed")) {
        let text = fs::read_to_string(file).unwrap();
        let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
        for line in lines.filter(|line| !line.is_empty()) {
            let [name, seed, strategy] = line.split_whitespace().collect::<Vec<_>>()[..] else {
                panic!("{}: `{line}` is not `scenario seed strategy`", file.display());
            };
            let scenario = Scenario::named(name).unwrap_or_else(|| panic!("there is no scenario {name}"));
            assert_ok(scenario, seed.parse().unwrap(), strategy);
        }
    }
}

#[test]
fn a_scenario_run_twice_is_the_same_run() {
    for scenario in Scenario::all() {
        let [one, other] = [0; 2].map(|_| run(scenario, 5, "pct:depth=3"));
        assert_eq!(one.trace_hash, other.trace_hash, "{}", scenario.name);
    }
}

#[test]
fn a_scenario_replays_bit_for_bit() {
    for scenario in Scenario::all() {
        let first = run(scenario, 2, "random");
        let again = scenario.simulation(2).replay(&first.trace.recorded());
        assert_eq!(again.trace_hash, first.trace_hash, "{}", scenario.name);
    }
}

/// The example of `docs/simulation.md` does what it says.
#[test]
fn the_example_finds_its_race_and_makes_it_small() {
    simulate::main();
}
