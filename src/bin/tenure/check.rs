//! `tenure check`.

use std::path::PathBuf;

use serde::Serialize;
use tenure::{
    agents::file::{AgentSpec, Kind, Level, Reading},
    model::{AgentName, ShownDuration},
};
use url::Url;

use crate::{
    agents_file,
    failure::{Exit, Failure},
    global::Global,
    output::{self, or_dash},
    table::table,
};

/// Check an agents file: every agent with its settings, every mistake with its line
///
/// Reads what a worker would read, variables of the environment and programs in PATH included, and
/// starts nothing. Values of env and headers are not shown.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The file
    #[arg(default_value = agents_file::USUAL)]
    file: PathBuf,
}

const EXAMPLES: &str = "\
Examples:
  tenure check
  tenure check shop/agents.toml --json | jq -c 'select(.level)'";

pub(crate) fn run(Args { file }: Args, global: &Global) -> Result<(), Failure> {
    let Reading { agents, problems, file } = Reading::of(&file, &agents_file::variable);
    let rows: Vec<_> = agents.iter().map(|(name, spec)| Row::of(name, spec)).collect();
    if global.json {
        rows.iter().try_for_each(output::json)?;
        problems.iter().try_for_each(output::json)?;
    } else {
        if !rows.is_empty() {
            print(&rows)?;
        }
        problems.iter().try_for_each(|problem| match problem.level {
            Level::Error => output::line(format!("error: {problem}")),
            Level::Warning => output::line(format!("warning: {problem}")),
        })?;
    }
    match problems.iter().filter(|problem| problem.level == Level::Error).count() {
        0 => Ok(()),
        1 => Err(Failure::new(Exit::Usage, format!("{file} has an error: correct it and check again"))),
        errors => Err(Failure::new(
            Exit::Usage,
            format!("{file} has {errors} errors: correct them and check again"),
        )),
    }
}

/// An agent as the file and the defaults have it.
#[derive(Serialize)]
struct Row<'f> {
    agent: &'f AgentName,
    r#type: &'static str,
    /// Where its table is; none for the built-in echo that no table mentions.
    line: Option<usize>,
    #[serde(flatten)]
    target: Target<'f>,
    pool: Option<String>,
    moved_from: Option<String>,
    resume: String,
    durability: String,
    tries: u32,
    backoff: Backoff,
    history: usize,
    timeout: String,
    concurrency: usize,
    idle: Option<String>,
}

/// What takes its turns, and which values it is given: their names alone.
#[derive(Serialize)]
#[serde(untagged)]
enum Target<'f> {
    Echo {},
    Exec { command: &'f [String], program: String, env: Vec<&'f str> },
    Http { url: String, headers: Vec<&'f str> },
}

#[derive(Serialize)]
struct Backoff {
    first: String,
    max: String,
}

impl<'f> Row<'f> {
    fn of(agent: &'f AgentName, AgentSpec { line, kind, policy, pool, moved_from }: &'f AgentSpec) -> Self {
        let shown = |duration| ShownDuration(duration).to_string();
        Self {
            agent,
            r#type: kind.name(),
            line: (*line > 0).then_some(*line),
            target: Target::of(kind),
            pool: pool.as_ref().map(ToString::to_string),
            moved_from: moved_from.as_ref().map(ToString::to_string),
            resume: policy.resume.to_string(),
            durability: policy.durability.unwrap_or_default().to_string(),
            tries: policy.tries,
            backoff: Backoff { first: shown(policy.backoff.first), max: shown(policy.backoff.max) },
            history: policy.history,
            timeout: shown(policy.timeout),
            concurrency: policy.concurrency,
            idle: policy.idle.map(shown),
        }
    }

    /// Where it is served.
    fn place(&self) -> String {
        let pool = or_dash(self.pool.as_ref());
        match &self.moved_from {
            Some(from) => format!("{pool} (from {from})"),
            None => pool,
        }
    }
}

impl<'f> Target<'f> {
    fn of(kind: &'f Kind) -> Self {
        match kind {
            Kind::Echo => Self::Echo {},
            Kind::Exec(exec) => Self::Exec {
                command: &exec.command,
                program: exec.program.display().to_string(),
                env: exec.env.keys().map(String::as_str).collect(),
            },
            Kind::Http(http) => Self::Http {
                url: without_query(&http.url),
                headers: http.headers.keys().map(String::as_str).collect(),
            },
        }
    }

    fn cell(&self) -> String {
        match self {
            Self::Echo {} => "-".to_owned(),
            Self::Exec { command, .. } => command.join(" ").escape_debug().to_string(),
            Self::Http { url, .. } => url.clone(),
        }
    }
}

/// What stands in a query may be a key.
fn without_query(url: &Url) -> String {
    match url.as_str().split_once('?') {
        Some((shown, _)) => format!("{shown}?***"),
        None => url.to_string(),
    }
}

const HEADER: [&str; 12] = [
    "AGENT",
    "TYPE",
    "RUNS",
    "POOL",
    "TRIES",
    "BACKOFF",
    "HISTORY",
    "TIMEOUT",
    "TURNS",
    "IDLE",
    "RESUME",
    "DURABILITY",
];

fn print(rows: &[Row<'_>]) -> Result<(), Failure> {
    let cells: Vec<_> = rows.iter().map(cells).collect();
    table(HEADER, &cells)
}

fn cells(row: &Row<'_>) -> [String; 12] {
    [
        row.agent.to_string(),
        row.r#type.to_owned(),
        row.target.cell(),
        row.place(),
        row.tries.to_string(),
        format!("{}..{}", row.backoff.first, row.backoff.max),
        row.history.to_string(),
        row.timeout.clone(),
        row.concurrency.to_string(),
        or_dash(row.idle.as_ref()),
        row.resume.clone(),
        row.durability.clone(),
    ]
}
