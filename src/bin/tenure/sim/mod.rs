//! `tenure sim`: a whole fleet under a scheduler that is trying to break it.

mod again;
mod failing;
mod ls;
#[cfg(feature = "planted-bugs")]
mod planted;
mod pool;
mod replay;
mod row;
mod run;
mod seeds;

use crate::{failure::Failure, global::Global};

/// Run simulated fleets, without Redis, and look for a schedule that breaks them
///
/// Every run is a function of its seed: one that fails fails again. Exits with 1 if a seed fails.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true, after_help = EXAMPLES)]
#[group(skip)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: run::Args,
    /// Plant this bug first: see `tenure sim planted`
    #[cfg(feature = "planted-bugs")]
    #[arg(long, global = true, value_name = "BUG", hide = true)]
    plant: Option<tenure::sim::Bug>,
}

#[derive(clap::Subcommand)]
enum Command {
    /// List the built-in scenarios, and what must hold in each
    #[command(after_help = "Example:\n  tenure sim ls --json")]
    Ls,
    Replay(replay::Args),
    #[cfg(feature = "planted-bugs")]
    #[command(hide = true)]
    Planted(planted::Args),
}

const EXAMPLES: &str = "\
Examples:
  tenure sim ls
  tenure sim --seeds 1..1000 --jobs 2
  tenure sim --scenario nothing-is-lost-in-a-storm --strategy pct:depth=5 --seeds 1..10000
  tenure sim replay --scenario nothing-is-lost-in-a-storm --seed 17 --strategy pct:depth=5
  tenure sim replay tenure-sim-nothing-is-lost-in-a-storm-17.jsonl";

pub(crate) async fn run(args: Args, global: &Global) -> Result<(), Failure> {
    #[cfg(feature = "planted-bugs")]
    if let Some(bug) = args.plant {
        bug.plant_everywhere();
    }
    match args.command {
        None => run::run(args.run, global.json).await,
        Some(Command::Ls) => ls::run(global.json),
        Some(Command::Replay(args)) => replay::run(&args, global.json),
        #[cfg(feature = "planted-bugs")]
        Some(Command::Planted(args)) => planted::run(&args, global.json),
    }
}
