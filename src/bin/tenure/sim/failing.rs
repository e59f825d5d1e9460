//! What is shown and kept of a seed that failed.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tenure::sim::{Failure as Broken, Report, Scenario, Simulation, strategy::StrategyName};

use super::again::Again;
use crate::{
    failure::{Exit, Failure},
    output,
};

/// A run that failed.
pub(super) struct Failing<'a> {
    pub(super) scenario: &'static Scenario,
    pub(super) report: &'a Report,
    pub(super) strategy: &'a StrategyName,
}

/// How many steps of a schedule are shown; the file has all.
const TAIL: usize = 40;

/// How many runs are spent on making one smaller.
const BUDGET: usize = 300;

impl Failing<'_> {
    /// Where the schedule is kept, for `tenure sim replay`.
    pub(super) fn write(&self, dir: &Path) -> Result<PathBuf, Failure> {
        let file = dir.join(format!("tenure-sim-{}-{}.jsonl", self.scenario.name, self.report.seed));
        let text = self.report.trace.to_jsonl();
        fs::write(&file, text).map_err(|err| {
            let line = format!("cannot write {}: {err}: say another folder with --out", file.display());
            Failure::new(Exit::Failed, line)
        })?;
        Ok(file)
    }

    /// The seed and how to have it again.
    pub(super) fn line(&self, file: &Path) -> String {
        let Self { scenario, report, strategy } = self;
        let again = Again { scenario: scenario.name, seed: report.seed, strategy };
        let broken = report.failure.as_ref().map(Broken::to_string).unwrap_or_default();
        format!(
            "FAILED {} seed {}: {broken}\n  again: {again}\n  or:    tenure sim replay {}",
            scenario.name,
            report.seed,
            file.display()
        )
    }

    /// Its last steps, the least that still fails, and what that depends on.
    pub(super) fn details(&self) -> String {
        let last = format!("  its last steps:\n{}", tail(&self.report.trace.render()));
        let made = || self.scenario.simulation(self.report.seed);
        let Some(smaller) = Simulation::smaller(made, self.report, BUDGET) else { return last };
        let (steps, faults) = (smaller.steps, &smaller.trace.faults);
        let why = smaller.failure.as_ref().map(Broken::to_string).unwrap_or_default();
        let faults: Vec<_> = faults.iter().map(|planned| format!("    {planned:?}")).collect();
        format!(
            "{last}\n  made smaller, {steps} steps: {why}\n  with these faults:\n{}\n  and what the last step depends on:\n{}",
            faults.join("\n"),
            tail(&smaller.trace.slice())
        )
    }
}

fn tail(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    let from = lines.len().saturating_sub(TAIL);
    lines[from..].join("\n")
}

/// To the person: beside the rows if there are rows.
pub(super) fn say(text: &str, json: bool) -> Result<(), Failure> {
    if json {
        eprintln!("{text}");
        return Ok(());
    }
    output::line(text)
}
