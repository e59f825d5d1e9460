//! `tenure drain`.

use std::time::Duration;

use serde::Serialize;
use tenure::{Env, client::Client, model::WorkerId, store::Member};

use crate::{
    connect,
    failure::{Exit, Failure},
    global::Global,
    output, values,
};

/// Ask a worker to hand off its sessions and end
///
/// As SIGTERM does, from anywhere: turns that run may finish within the worker's grace period. Named by --name, all
/// incarnations of it that are there are asked.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The worker, as `tenure workers` lists it, or its name
    #[arg(value_parser = values::worker)]
    worker: String,
    /// Wait until it is gone, at most this long [default if given without one: 1m]
    #[arg(long, value_parser = values::duration, value_name = "TIME", num_args = 0..=1, require_equals = true, default_missing_value = "1m")]
    wait: Option<Duration>,
}

const EXAMPLES: &str = "\
Examples:
  tenure drain web-1-9f3c0a12
  tenure drain web-1 --wait=2m";

/// Between two looks at whether it is gone.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What `--json` prints of each worker that was asked.
#[derive(Serialize)]
struct Report<'w> {
    worker: &'w WorkerId,
    state: &'static str,
}

pub(crate) async fn run(Args { worker, wait }: Args, global: &Global) -> Result<(), Failure> {
    let client = connect::for_reading(global).await?;
    let meant: Vec<_> =
        members(&client).await?.into_iter().filter(|found| is_called(found, &worker)).collect();
    if meant.is_empty() {
        return Err(Failure::new(
            Exit::NotFound,
            format!("no worker is called {worker}: see `tenure workers`"),
        ));
    }
    for member in &meant {
        if !client.drain(&member.worker).await? {
            let line = format!(
                "{} does not listen: it died, or is cut off; its sessions are taken over",
                member.worker
            );
            return Err(Failure::new(Exit::Unavailable, line));
        }
    }
    if let Some(wait) = wait {
        until_gone(&client, &meant, wait).await?;
    }
    let state = if wait.is_some() { "gone" } else { "draining" };
    for member in &meant {
        match global.json {
            true => output::json(&Report { worker: &member.worker, state })?,
            false => output::line(format!("{} {state}", member.worker))?,
        }
    }
    Ok(())
}

async fn members(client: &Client<connect::Connected>) -> Result<Vec<Member>, Failure> {
    Ok(client.workers().await?)
}

fn is_called(member: &Member, name: &str) -> bool {
    member.worker.as_str() == name || member.worker.name() == name
}

async fn until_gone(
    client: &Client<connect::Connected>,
    meant: &[Member],
    wait: Duration,
) -> Result<(), Failure> {
    let env = Env::system();
    let until = env.now().plus(wait);
    loop {
        let there = members(client).await?;
        let left: Vec<_> =
            meant.iter().filter(|member| there.iter().any(|one| one.worker == member.worker)).collect();
        let Some(one) = left.first() else { return Ok(()) };
        if env.now() >= until {
            let line = format!(
                "{} is still draining after {wait:?}: wait longer, or see `tenure workers`",
                one.worker
            );
            return Err(Failure::new(Exit::Unavailable, line));
        }
        env.sleep(LOOK_EVERY).await;
    }
}
