//! `tenure sessions`.

use tenure::{
    client::SessionView,
    model::{AgentName, Status},
};

use crate::{
    connect,
    failure::Failure,
    global::Global,
    output::{self, Time, or_dash},
    show,
    table::table,
    values,
};

/// List sessions
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Only those in this state: idle, running, passive, waiting, suspended, paused, stopped, quarantined
    #[arg(long, value_parser = values::status)]
    status: Option<Status>,
    /// Only those of this agent
    #[arg(long)]
    agent: Option<AgentName>,
    /// How many at most; 0 is all
    #[arg(long, default_value_t = 100, value_name = "NUMBER")]
    limit: usize,
}

const EXAMPLES: &str = "\
Examples:
  tenure sessions --status waiting
  tenure sessions --agent support --limit 0 --json | jq -r .session";

impl Args {
    fn wants(&self, view: &SessionView) -> bool {
        self.status.is_none_or(|status| status == view.status)
            && self.agent.as_ref().is_none_or(|agent| *agent == view.session.agent())
    }
}

pub(crate) async fn run(args: Args, global: &Global) -> Result<(), Failure> {
    let client = connect::for_reading(global).await?;
    let mut left = if args.limit == 0 { usize::MAX } else { args.limit };
    let mut rows = Vec::new();
    let mut pages = client.sessions().await?;
    while left > 0 {
        let Some(page) = pages.next_page().await? else { break };
        let wanted: Vec<_> = page.into_iter().filter(|view| args.wants(view)).take(left).collect();
        left -= wanted.len();
        match global.json {
            true => wanted.iter().try_for_each(|view| output::json(&show::Report::of(view)))?,
            false => rows.extend(wanted.iter().map(row)),
        }
    }
    if global.json {
        return Ok(());
    }
    table(HEADER, &rows)?;
    if left == 0 {
        eprintln!("these are the first {}: --limit 0 lists all", args.limit);
    }
    Ok(())
}

const HEADER: [&str; 8] = ["SESSION", "STATUS", "CAUSE", "OWNER", "TURNS", "WAITING", "POOL", "UPDATED"];

fn row(view: &SessionView) -> [String; 8] {
    [
        view.session.to_string(),
        view.status.to_string(),
        or_dash(view.cause),
        or_dash(view.owner.as_ref()),
        view.turns.to_string(),
        view.waiting.to_string(),
        or_dash(view.pool.as_ref()),
        or_dash(view.updated.map(Time)),
    ]
}
