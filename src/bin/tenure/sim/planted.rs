//! `tenure sim planted`: which strategy finds which planted bug, and how soon.

use std::{num::NonZeroUsize, sync::Mutex};

use serde::Serialize;
use tenure::sim::{Hunt, strategy::StrategyName};

use super::again::Runs;
use crate::{failure::Failure, output};

/// Plant one bug after the other and count the seeds until each strategy finds it, as a table in Markdown
#[derive(clap::Args)]
pub(super) struct Args {
    /// How many seeds each strategy has
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: u64,
    /// How many run at a time
    #[arg(long, value_name = "N", default_value = "1")]
    jobs: NonZeroUsize,
}

/// One strategy's hunt.
#[derive(Serialize)]
struct Row {
    bug: &'static str,
    scenario: &'static str,
    strategy: String,
    /// The first seed that found it.
    seed: Option<u64>,
}

pub(super) fn run(args: &Args, json: bool) -> Result<(), Failure> {
    let strategies: Vec<_> = StrategyName::all().collect();
    let hunts = Hunt::ALL.iter().flat_map(|hunt| strategies.iter().map(move |strategy| (hunt, strategy)));
    let (todo, done) = (Mutex::new(hunts.enumerate()), Mutex::new(Vec::new()));
    std::thread::scope(|threads| {
        for _ in 0..args.jobs.get() {
            threads.spawn(|| {
                let take = || todo.lock().expect("nobody panics while taking").next();
                while let Some((number, (hunt, strategy))) = take() {
                    let row = hunted(hunt, strategy, args.limit);
                    done.lock().expect("nobody panics while adding").push((number, row));
                }
            });
        }
    });
    let mut rows = done.into_inner().expect("nobody panicked");
    rows.sort_by_key(|(number, _)| *number);
    let rows: Vec<_> = rows.into_iter().map(|(_, row)| row).collect();
    if json {
        return rows.iter().try_for_each(output::json);
    }
    table(&strategies, &rows)
}

fn hunted(hunt: &Hunt, strategy: &StrategyName, limit: u64) -> Row {
    let mut runs = Runs::new(hunt.scenario(), strategy);
    let _planted = hunt.bug.plant();
    let seed = (1..=limit).find(|seed| !runs.run(*seed).is_ok());
    Row { bug: hunt.bug.as_str(), scenario: hunt.scenario, strategy: strategy.to_string(), seed }
}

fn table(strategies: &[StrategyName], rows: &[Row]) -> Result<(), Failure> {
    let words: Vec<_> = strategies.iter().map(StrategyName::word).collect();
    output::line(format!("| bug | scenario | {} | within |", words.join(" | ")))?;
    output::line(format!("|---|---|{}---|", "---|".repeat(words.len())))?;
    for (hunt, found) in Hunt::ALL.iter().zip(rows.chunks(strategies.len())) {
        let seeds = found.iter().map(|row| row.seed.map_or("-".to_owned(), |seed| seed.to_string()));
        let seeds = seeds.collect::<Vec<_>>().join(" | ");
        output::line(format!("| {} | `{}` | {seeds} | {} |", hunt.bug, hunt.scenario, hunt.within))?;
    }
    Ok(())
}
