//! `tenure workers`.

use serde::Serialize;
use tenure::{
    model::{AgentName, Pool, WorkerId},
    store::{Member, MemberState},
};

use crate::{
    connect,
    failure::Failure,
    global::Global,
    output::{self, Time},
    table::table,
};

/// List the workers that are there
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Only those of this pool
    #[arg(long)]
    pool: Option<Pool>,
}

const EXAMPLES: &str = "\
Examples:
  tenure workers --pool gpu
  tenure workers --json | jq -s 'map(.sessions) | add'";

pub(crate) async fn run(Args { pool }: Args, global: &Global) -> Result<(), Failure> {
    let client = connect::for_reading(global).await?;
    let mut members = client.workers().await?;
    members.retain(|member| pool.as_ref().is_none_or(|pool| *pool == member.pool));
    if global.json {
        return members.iter().try_for_each(|member| output::json(&Report::of(member)));
    }
    let rows: Vec<_> = members.iter().map(row).collect();
    table(HEADER, &rows)
}

const HEADER: [&str; 8] = ["WORKER", "STATE", "POOL", "AGENTS", "SESSIONS", "RUNNING", "CAPACITY", "SINCE"];

fn row(member: &Member) -> [String; 8] {
    let agents: Vec<_> = member.agents.iter().map(AgentName::as_str).collect();
    [
        member.worker.to_string(),
        state(member.state).to_owned(),
        member.pool.to_string(),
        agents.join(","),
        member.sessions.to_string(),
        member.running.to_string(),
        member.capacity.to_string(),
        Time(member.since).to_string(),
    ]
}

fn state(state: MemberState) -> &'static str {
    match state {
        MemberState::Ready => "ready",
        MemberState::Draining => "draining",
    }
}

/// What `--json` prints of a worker.
#[derive(Serialize)]
struct Report<'m> {
    worker: &'m WorkerId,
    pool: &'m Pool,
    agents: &'m [AgentName],
    sessions: usize,
    running: usize,
    capacity: usize,
    since: Time,
    state: MemberState,
}

impl<'m> Report<'m> {
    fn of(member: &'m Member) -> Self {
        let Member { worker, pool, agents, sessions, running, capacity, since, state, full: _, tally: _ } =
            member;
        let (sessions, running, capacity) = (*sessions, *running, *capacity);
        Self { worker, pool, agents, sessions, running, capacity, since: Time(*since), state: *state }
    }
}
