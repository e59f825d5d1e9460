//! `tenure sim`: runs seeds.

use std::{
    io::{IsTerminal, Write, stderr},
    num::NonZeroUsize,
    path::PathBuf,
    time::Duration,
};

use tenure::{
    Env,
    runtime::Moment,
    sim::{Scenario, strategy::StrategyName},
};

use super::{
    again::aside,
    failing::{self, Failing},
    pool::{Pool, Ran},
    row::Summary,
    seeds::Seeds,
};
use crate::{
    failure::{Exit, Failure},
    output, table,
};

#[derive(clap::Args)]
pub(super) struct Args {
    /// Run this one alone; all of `tenure sim ls` without it
    #[arg(long, value_name = "NAME")]
    scenario: Option<String>,
    /// The seeds of each scenario, both ends included
    #[arg(long, value_name = "FIRST..LAST", default_value = "1..100")]
    seeds: Seeds,
    /// Who goes next: random, pct, fair-pct, pos, idpct, coverage or round-robin, with options as in pct:depth=5
    #[arg(long, default_value = "random")]
    strategy: StrategyName,
    /// How many run at a time
    #[arg(long, value_name = "N", default_value = "1")]
    jobs: NonZeroUsize,
    /// Where the schedules of seeds that fail are written
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
}

/// Of so many seeds that fail the schedule is shown and made smaller; of the others there is a line.
const SHOWN: u64 = 3;

/// How an interrupted program ends.
const INTERRUPTED: i32 = 130;

pub(super) fn scenario(name: &str) -> Result<&'static Scenario, Failure> {
    Scenario::named(name).ok_or_else(|| {
        Failure::new(Exit::NotFound, format!("there is no scenario {name}: see `tenure sim ls`"))
    })
}

pub(super) async fn run(args: Args, json: bool) -> Result<(), Failure> {
    let scenarios = match &args.scenario {
        Some(name) => vec![scenario(name)?],
        None => Scenario::all().iter().collect(),
    };
    let seeds_each = args.seeds.0.end() - args.seeds.0.start() + 1;
    let env = Env::system();
    let mut progress = Progress::of(env.clone(), seeds_each.saturating_mul(scenarios.len() as u64), json);
    let (mut summary, begun) = (Summary::default(), env.now());
    let mut pool = Pool::start(&scenarios, &args.seeds.0, &args.strategy, args.jobs.get());
    let mut interrupt = std::pin::pin!(tokio::signal::ctrl_c());
    let interrupted = loop {
        let runs = tokio::select! {
            biased;
            _ = &mut interrupt => break true,
            runs = pool.next() => runs,
        };
        let Some(runs) = runs else { break false };
        for ran in &runs {
            progress.clear();
            summary.add(&ran.0);
            tell(ran, &args, summary.failed(), json)?;
        }
        progress.show(&summary);
    };
    progress.clear();
    end(summary.took(env.now().since(begun)), interrupted, json)
}

/// What is said of one run.
fn tell((row, report): &Ran, args: &Args, failed: u64, json: bool) -> Result<(), Failure> {
    if json {
        output::json(row)?;
    }
    let Some(report) = report else { return Ok(()) };
    let failing = Failing { scenario: scenario(row.scenario)?, report, strategy: &args.strategy };
    let file = failing.write(&args.out)?;
    failing::say(&failing.line(&file), json)?;
    if failed <= SHOWN {
        failing::say(&aside(|| failing.details()), json)?;
    }
    Ok(())
}

fn end(summary: Summary, interrupted: bool, json: bool) -> Result<(), Failure> {
    if json {
        output::json(&summary)?;
    } else {
        table::facts(&summary.facts())?;
    }
    if interrupted {
        std::process::exit(INTERRUPTED);
    }
    match summary.failed() {
        0 => Ok(()),
        failed => Err(Failure::new(
            Exit::Failed,
            format!("{failed} of {} seeds failed: run one again as its line says", summary.seeds()),
        )),
    }
}

/// A line that says how far it is, for who watches.
struct Progress {
    env: Env,
    of: u64,
    shown: Option<Moment>,
    is_watched: bool,
}

impl Progress {
    const EVERY: Duration = Duration::from_millis(200);

    fn of(env: Env, of: u64, json: bool) -> Self {
        Self { env, of, shown: None, is_watched: stderr().is_terminal() && !json }
    }

    fn show(&mut self, summary: &Summary) {
        let now = self.env.now();
        if !self.is_watched || self.shown.is_some_and(|shown| now.since(shown) < Self::EVERY) {
            return;
        }
        eprint!("\r{} of {} seeds, {} failed", summary.seeds(), self.of, summary.failed());
        _ = stderr().flush();
        self.shown = Some(now);
    }

    fn clear(&mut self) {
        if self.shown.take().is_some() {
            eprint!("\r\x1b[K");
        }
    }
}
