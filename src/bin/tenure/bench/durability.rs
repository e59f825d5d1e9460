//! `tenure bench durability`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::Serialize;
use tenure::{
    Env,
    model::Durability,
    store::redis::{CheckStatus, Role, class_checks},
};

use super::{
    failover::{
        self,
        own_server::{Keeps, OwnServer},
    },
    figures::{Figures, to_thousandths},
    report_file::expect_writable,
    turns::{self, Interrupt, ratio},
};
use crate::{
    connect,
    failure::{Exit, Failure},
    global::Global,
    output,
    table::table,
};

/// Measure what each durability class costs, beside the same scripts and waits without a worker
///
/// With --redis-server it starts a primary and a replica of its own for each class, else the server at --redis must honour
/// the classes: see `tenure doctor`. Each figure is the median of rounds, each of which is a run as of `tenure bench turns --raw`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The classes [default: memory and replicas:1; of a server of its own all that it can honour]
    #[arg(long, value_delimiter = ',', value_name = "CLASS")]
    classes: Option<Vec<Durability>>,
    /// How many messages are under way at any time
    #[arg(long, value_delimiter = ',', default_value = "1,16,256", value_name = "NUMBER")]
    in_flight: Vec<usize>,
    /// How many messages are measured, in each round; a tenth of them one by one
    #[arg(long, default_value_t = 20_000, value_name = "NUMBER")]
    messages: usize,
    /// How many rounds there are
    #[arg(long, default_value_t = 3, value_name = "NUMBER")]
    rounds: usize,
    /// How long each message is, in bytes of text
    #[arg(long, default_value_t = 100, value_name = "BYTES")]
    payload: usize,
    /// The program of a server, to start a primary and a replica of its own
    #[arg(long, env = "TENURE_BENCH_SERVER", value_name = "PROGRAM")]
    redis_server: Option<PathBuf>,
    /// Write the table to this file, in Markdown
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  tenure bench durability --redis-server redis-server --report figures.md
  tenure bench durability --classes memory,fsync,fsync+replicas:1 --in-flight 256 --json";

/// What is measured of a server of its own, where it can.
const ALL: [Durability; 4] = [
    Durability::MEMORY,
    Durability { fsync: false, replicas: 1 },
    Durability { fsync: true, replicas: 0 },
    Durability { fsync: true, replicas: 1 },
];

/// What `--json` prints of each.
#[derive(Clone, Serialize)]
struct Row {
    bench: &'static str,
    class: Durability,
    in_flight: usize,
    messages: usize,
    rounds: usize,
    #[serde(flatten)]
    turns: Figures,
    raw: Figures,
    /// Turns a second over those of `raw`, in the same round.
    ratio: f64,
}

pub(crate) async fn run(args: Args, global: &Global) -> Result<(), Failure> {
    if args.rounds == 0 {
        return Err(Failure::new(Exit::Usage, "--rounds: at least 1"));
    }
    expect_writable(args.report.as_ref())?;
    let before = failover::load_average();
    let (mut interrupt, mut rows) = (Interrupt::listen()?, Vec::new());
    for class in args.classes.clone().unwrap_or_else(|| args.usual()) {
        let own = interrupt.or(args.own(class)).await?;
        let global = match &own {
            Some(own) => &Global { redis: own.primary.url(), redis_url_file: None, ..global.clone() },
            None => global,
        };
        if args.classes.is_none() && !honours(class, global).await? {
            continue;
        }
        for in_flight in &args.in_flight {
            let row = args.measure(class, *in_flight, global).await?;
            if global.json {
                output::json(&row)?;
            }
            rows.push(row);
        }
    }
    if let Some(file) = &args.report {
        write(&rows, &failover::setting(&before), file)?;
    }
    if global.json { Ok(()) } else { table(HEADER, &rows.iter().map(Row::cells).collect::<Vec<_>>()) }
}

/// A primary and a replica; end with this value.
struct Own {
    primary: OwnServer,
    /// Only to be there.
    _replica: OwnServer,
}

/// Whether the server can, so that it is worth the while.
async fn honours(class: Durability, global: &Global) -> Result<bool, Failure> {
    let checks = class_checks(&connect::options(global)?, Role::Worker, &[class]).await;
    Ok(checks.iter().all(|check| check.status != CheckStatus::Fail))
}

impl Args {
    fn usual(&self) -> Vec<Durability> {
        if self.redis_server.is_some() { ALL.to_vec() } else { ALL[..2].to_vec() }
    }

    /// Servers of its own, that keep on disk only what the class asks for.
    async fn own(&self, class: Durability) -> Result<Option<Own>, Failure> {
        let Some(program) = &self.redis_server else { return Ok(None) };
        let keeps = if class.fsync { Keeps::Everything } else { Keeps::Nothing };
        let primary = OwnServer::start(program, keeps, &Env::system()).await?;
        let replica = primary.start_replica().await?;
        Ok(Some(Own { primary, _replica: replica }))
    }

    /// The medians of all rounds.
    async fn measure(&self, class: Durability, in_flight: usize, global: &Global) -> Result<Row, Failure> {
        let mut rounds = Vec::new();
        for _ in 0..self.rounds {
            rounds.push(self.round(class, in_flight, global).await?);
        }
        let ratio = to_thousandths(median(rounds.iter().map(|row| row.ratio)));
        let turns = Figures::medians(&rounds.iter().map(|row| row.turns).collect::<Vec<_>>());
        let raw = Figures::medians(&rounds.iter().map(|row| row.raw).collect::<Vec<_>>());
        Ok(Row { turns, raw, ratio, ..rounds.swap_remove(0) })
    }

    async fn round(&self, class: Durability, in_flight: usize, global: &Global) -> Result<Row, Failure> {
        let messages = if in_flight == 1 { self.messages.div_ceil(10) } else { self.messages };
        let run = turns::Args::of_class(class, in_flight, messages, self.payload);
        let (turns, raw) = turns::measured(&run, global).await?;
        let raw = raw.ok_or_else(|| Failure::new(Exit::Failed, "nothing was measured without a worker"))?;
        let (bench, rounds, ratio) = ("durability", self.rounds, ratio(&turns, &raw));
        Ok(Row { bench, class, in_flight, messages, rounds, turns, raw, ratio })
    }
}

pub(super) fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<_> = figures.collect();
    sorted.sort_by(f64::total_cmp);
    let half = sorted.len() / 2;
    match sorted.len() % 2 {
        1 => sorted[half],
        _ => sorted.get(half).map_or(0.0, |upper| (sorted[half - 1] + upper) / 2.0),
    }
}

const HEADER: [&str; 8] = ["CLASS", "IN FLIGHT", "TURNS/S", "P50", "P99", "SERVER/TURN", "RAW/S", "RATIO"];

impl Row {
    fn cells(&self) -> [String; 8] {
        [
            self.class.to_string(),
            self.in_flight.to_string(),
            format!("{:.0}", self.turns.turns_per_second),
            format!("{} ms", self.turns.p50_ms),
            format!("{} ms", self.turns.p99_ms),
            format!("{} µs", self.turns.server_us_per_turn),
            format!("{:.0}", self.raw.turns_per_second),
            self.ratio.to_string(),
        ]
    }
}

/// Writes the table in Markdown, under a line that says what it was measured on.
fn write(rows: &[Row], setting: &str, file: &Path) -> Result<(), Failure> {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut text = format!("{setting}\n\n");
    text += &line(&HEADER.map(str::to_lowercase));
    text += &line(&HEADER.map(|_| "---".to_owned()));
    rows.iter().for_each(|row| text += &line(&row.cells()));
    Ok(fs::write(file, text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_the_middle_or_the_mean_of_the_two_in_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), 2.5);
        assert_eq!(median([7.0].into_iter()), 7.0);
    }
}
