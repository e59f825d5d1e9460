//! `tenure sim replay`.

use std::{fs, path::PathBuf};

use serde::Serialize;
use tenure::sim::{Recorded, Report, Scenario, strategy::StrategyName};

use super::{
    again::{Runs, aside},
    run::scenario,
};
use crate::{
    failure::{Exit, Failure},
    output,
};

/// Run one seed again, and print its schedule step by step
///
/// A file is followed pick by pick; a seed is run as `tenure sim` does. Exits with 1 if the run fails, as it
/// should if it failed before, and says whether it was the same run bit for bit.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// What `tenure sim` wrote when the seed failed
    #[arg(required_unless_present = "seed", conflicts_with = "seed")]
    file: Option<PathBuf>,
    /// The scenario; for a file it is in the name
    #[arg(long, value_name = "NAME", required_unless_present = "file")]
    scenario: Option<String>,
    /// The seed
    #[arg(long, value_name = "N", requires = "scenario")]
    seed: Option<u64>,
    /// The strategy that it failed with
    #[arg(long, default_value = "random", conflicts_with = "file")]
    strategy: StrategyName,
}

const EXAMPLES: &str = "\
Examples:
  tenure sim replay --scenario nothing-is-lost-in-a-storm --seed 17 --strategy pct:depth=5
  tenure sim replay tenure-sim-nothing-is-lost-in-a-storm-17.jsonl";

#[derive(Serialize)]
struct Row<'a> {
    scenario: &'a str,
    seed: u64,
    ok: bool,
    steps: u64,
    trace_hash: String,
    /// Whether it was the recorded run, bit for bit.
    #[serde(skip_serializing_if = "Option::is_none")]
    same: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
}

pub(super) fn run(args: &Args, json: bool) -> Result<(), Failure> {
    let (scenario, report, same) = aside(|| again(args))?;
    tell(scenario.name, &report, same, json)?;
    match (&report.failure, same) {
        (_, Some(false)) => Err(Failure::new(
            Exit::Failed,
            "this is not the recorded run: it was recorded by another version, or the scenario has changed",
        )),
        (Some(failure), _) => Err(Failure::new(Exit::Failed, format!("seed {}: {failure}", report.seed))),
        (None, _) => Ok(()),
    }
}

type Ran = (&'static Scenario, Report, Option<bool>);

/// The run, and whether it is what a file has recorded.
fn again(args: &Args) -> Result<Ran, Failure> {
    match (&args.file, args.seed) {
        (Some(file), _) => from_file(file, args.scenario.as_deref()),
        (None, seed) => {
            let scenario = scenario(args.scenario.as_deref().unwrap_or_default())?;
            let report = Runs::new(scenario, &args.strategy).run_alone(seed.unwrap_or_default());
            Ok((scenario, report, None))
        }
    }
}

fn from_file(file: &PathBuf, named: Option<&str>) -> Result<Ran, Failure> {
    let bad = |why: String| {
        Failure::new(Exit::Usage, format!("{}: {why}: give a file of `tenure sim`", file.display()))
    };
    let text = fs::read_to_string(file).map_err(|err| bad(err.to_string()))?;
    let recorded = Recorded::from_jsonl(&text).map_err(bad)?;
    let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let in_name =
        stem.strip_prefix("tenure-sim-").and_then(|rest| rest.rsplit_once('-')).map(|(name, _)| name);
    let Some(name) = named.or(in_name) else {
        return Err(Failure::new(Exit::Usage, "the file's name does not say which scenario: add --scenario"));
    };
    let scenario = scenario(name)?;
    let report = scenario.simulation(recorded.seed).replay(&recorded);
    let same = report.trace_hash == recorded.hash;
    Ok((scenario, report, Some(same)))
}

fn tell(scenario: &str, report: &Report, same: Option<bool>, json: bool) -> Result<(), Failure> {
    let trace_hash = format!("{:016x}", report.trace_hash);
    if json {
        return output::json(&Row {
            scenario,
            seed: report.seed,
            ok: report.is_ok(),
            steps: report.steps,
            trace_hash,
            same,
            failure: report.failure.as_ref().map(ToString::to_string),
        });
    }
    output::line(report.trace.render().trim_end())?;
    let compared = match same {
        Some(true) => ", the recorded run bit for bit",
        Some(false) => ", NOT the recorded run",
        None => "",
    };
    output::line(format!("seed {}: {} steps, trace {trace_hash}{compared}", report.seed, report.steps))
}
