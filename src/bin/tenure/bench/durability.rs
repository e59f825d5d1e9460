//! `tenure bench durability`.

use serde::Serialize;
use tenure::model::Durability;

use super::{
    figures::Figures,
    turns::{self, ratio},
};
use crate::{
    failure::{Exit, Failure},
    global::Global,
    output,
    table::table,
};

/// Measure what each durability class costs, beside the same scripts and waits without a worker
///
/// The server must honour the classes: see `tenure doctor`. Each figure is a run of its own, as of `tenure bench turns --raw`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The classes
    #[arg(long, value_delimiter = ',', default_value = "memory,replicas:1", value_name = "CLASS")]
    classes: Vec<Durability>,
    /// How many messages are under way at any time
    #[arg(long, value_delimiter = ',', default_value = "1,16,256", value_name = "NUMBER")]
    in_flight: Vec<usize>,
    /// How many messages are measured, of each class; a tenth of them one by one
    #[arg(long, default_value_t = 20_000, value_name = "NUMBER")]
    messages: usize,
    /// How long each message is, in bytes of text
    #[arg(long, default_value_t = 100, value_name = "BYTES")]
    payload: usize,
}

const EXAMPLES: &str = "\
Examples:
  tenure bench durability
  tenure bench durability --classes memory,fsync,fsync+replicas:1 --in-flight 256 --json";

/// What `--json` prints of each.
#[derive(Serialize)]
struct Row {
    bench: &'static str,
    class: Durability,
    in_flight: usize,
    messages: usize,
    #[serde(flatten)]
    turns: Figures,
    raw: Figures,
    /// Turns a second over those of `raw`.
    ratio: f64,
}

pub(crate) async fn run(args: Args, global: &Global) -> Result<(), Failure> {
    let mut rows = Vec::new();
    for class in &args.classes {
        for in_flight in &args.in_flight {
            let row = measure(&args, *class, *in_flight, global).await?;
            if global.json {
                output::json(&row)?;
            }
            rows.push(row);
        }
    }
    if global.json { Ok(()) } else { print(&rows) }
}

async fn measure(args: &Args, class: Durability, in_flight: usize, global: &Global) -> Result<Row, Failure> {
    let messages = if in_flight == 1 { args.messages.div_ceil(10) } else { args.messages };
    let run = turns::Args::of_class(class, in_flight, messages, args.payload);
    let (turns, raw) = turns::measured(&run, global).await?;
    let raw = raw.ok_or_else(|| Failure::new(Exit::Failed, "nothing was measured without a worker"))?;
    let ratio = ratio(&turns, &raw);
    Ok(Row { bench: "durability", class, in_flight, messages, turns, raw, ratio })
}

fn print(rows: &[Row]) -> Result<(), Failure> {
    let cells = |row: &Row| {
        [
            row.class.to_string(),
            row.in_flight.to_string(),
            format!("{:.0}", row.turns.turns_per_second),
            format!("{} ms", row.turns.p50_ms),
            format!("{} ms", row.turns.p99_ms),
            format!("{:.0}", row.raw.turns_per_second),
            row.ratio.to_string(),
        ]
    };
    let rows: Vec<_> = rows.iter().map(cells).collect();
    table(["CLASS", "IN FLIGHT", "TURNS/S", "P50", "P99", "RAW/S", "RATIO"], &rows)
}
