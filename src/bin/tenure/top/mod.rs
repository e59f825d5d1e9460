//! `tenure top`.

mod events;
mod gather;
mod sample;
mod screen;
mod snapshot;
mod terminal;

use std::{env, time::Duration};

use tenure::Env;

use self::{gather::Gatherer, snapshot::Snapshot};
use crate::{
    connect,
    conversation::has_person,
    failure::{Exit, Failure, redacted},
    global::Global,
    output, values,
};

/// Watch a fleet: workers, sessions, turns a second, failovers, what waits and how long
///
/// Reads only. q, Esc or Ctrl-C leaves. With --json one object a look, which is how programs watch; while Redis does
/// not answer, or refuses, the object holds `time` and `problem` alone.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// How often to look
    #[arg(long, default_value = "1s", value_parser = values::duration, value_name = "TIME")]
    every: Duration,
    /// End after so many looks; with --json the exit code is 5 if the last one had no answer, 4 if this user may not look
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
}

const EXAMPLES: &str = "\
Examples:
  tenure top
  tenure top --every 5s
  tenure top --json --count 2 --every 10s | jq .turns_per_second";

/// Looking more often would cost the server more than it tells.
const SOONEST: Duration = Duration::from_millis(100);

pub(crate) async fn run(Args { every, count }: Args, global: &Global) -> Result<(), Failure> {
    if every < SOONEST {
        return Err(Failure::new(Exit::Usage, "--every: at least 100ms"));
    }
    let gatherer = Gatherer::new(connect::options(global)?);
    if global.json {
        return print(gatherer, every, count).await;
    }
    if !has_person(global) || env::var_os("TERM").is_some_and(|term| term == "dumb") {
        let line = "top needs a terminal, as input and as output: add --json to print one object a look";
        return Err(Failure::new(Exit::Usage, line));
    }
    let title = format!("{}  namespace {}", redacted(&global.address()?), global.namespace);
    terminal::show(gatherer, every, count, &title).await
}

/// Prints what every look saw, until there were enough or Ctrl-C.
async fn print(mut gatherer: Gatherer, every: Duration, count: Option<u64>) -> Result<(), Failure> {
    let env = Env::system();
    let mut left = count;
    loop {
        let next = env.now().plus(every);
        let snapshot = tokio::select! {
            biased;
            _ = tokio::signal::ctrl_c() => return Ok(()),
            snapshot = gatherer.look() => snapshot,
        };
        output::json(&snapshot)?;
        left = left.map(|left| left - 1);
        if left == Some(0) {
            return answered(snapshot);
        }
        tokio::select! {
            biased;
            _ = tokio::signal::ctrl_c() => return Ok(()),
            () = env.sleep_until(next) => (),
        }
    }
}

fn answered(last: Snapshot) -> Result<(), Failure> {
    last.problem.map_or(Ok(()), |problem| Err(problem.failure))
}
