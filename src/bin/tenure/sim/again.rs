//! What names a run, so that it can be had again.

use std::{fmt, panic::resume_unwind};

use tenure::sim::{
    Report, Scenario,
    strategy::{Campaign, StrategyName},
};

/// The strategies of one scenario's runs.
pub(super) struct Runs {
    scenario: &'static Scenario,
    given: StrategyName,
    campaign: Campaign,
}

impl Runs {
    /// Learns first how long a run of the scenario is: some strategies spread what they do over that.
    pub(super) fn new(scenario: &'static Scenario, given: &StrategyName) -> Self {
        let steps = match given.word() {
            "random" | "pos" | "round-robin" => 0,
            _ => scenario.simulation(0).run().steps,
        };
        Self { scenario, given: given.clone(), campaign: Campaign::new(given.clone().for_runs_of(steps)) }
    }

    /// Runs the seeds of one block in order, and gives those that were asked for.
    pub(super) fn run(&mut self, seed: u64) -> Report {
        let mut strategy = self.campaign.strategy(seed);
        self.scenario.simulation(seed).run_with(&mut *strategy)
    }

    /// The run of one seed, after those that guide it.
    pub(super) fn run_alone(&mut self, seed: u64) -> Report {
        for guide in *self.given.block(seed).start()..seed {
            _ = self.run(guide);
        }
        self.run(seed)
    }
}

/// Does this on a thread of its own: a simulation has its own runtime, and cannot run inside of another.
pub(super) fn aside<T: Send>(run: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|threads| threads.spawn(run).join().unwrap_or_else(|panic| resume_unwind(panic)))
}

/// The command that runs a seed again.
pub(super) struct Again<'a> {
    pub(super) scenario: &'a str,
    pub(super) seed: u64,
    pub(super) strategy: &'a StrategyName,
}

impl fmt::Display for Again<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scenario, seed, strategy } = self;
        write!(f, "tenure sim replay --scenario {scenario} --seed {seed} --strategy {strategy}")?;
        match *strategy.block(*seed).start() {
            first if first < *seed => write!(f, "  (runs seeds {first} to {seed}: each guides the next)"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_that_others_guide_says_that_they_are_run_first() {
        let said = |seed, strategy: &str| {
            Again { scenario: "s", seed, strategy: &strategy.parse().unwrap() }.to_string()
        };
        assert!(said(300, "coverage").ends_with("(runs seeds 257 to 300: each guides the next)"));
        for alone in [said(257, "coverage"), said(300, "random")] {
            assert!(!alone.contains("guides"), "{alone}");
        }
    }
}
