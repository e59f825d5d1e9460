//! As many failovers as one likes: `scripts/failovers`.

use std::{env, fmt::Write, fs, str::FromStr, time::Duration};

use super::{
    BOUND, DOWN_AFTER, MEMORY, REPLICATED, SESSIONS, TURNS,
    load::{Load, Tally},
    support::sentinel::Watched,
    workers,
};

/// What is done to the primary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// It is killed at once.
    Kill,
    /// `SENTINEL FAILOVER`: it stays, and takes writes until it is told.
    Hand,
}

impl FromStr for How {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "kill" => Ok(Self::Kill),
            "hand" => Ok(Self::Hand),
            _ => Err(word.to_owned()),
        }
    }
}

/// How long a failover took, from what was done.
#[derive(Debug, Clone, Copy)]
struct Times {
    /// Until the sentinels named another.
    named: Duration,
    /// Until each session at `memory` was told a turn again.
    memory: Duration,
    /// From the return of a killed server, which follows then, or from `memory` on, until the same at `replicas:1`.
    replicated: Duration,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes as long as it is told: scripts/failovers"]
async fn as_many_primaries_are_replaced_as_asked_for_and_no_turn_that_was_told_at_replicas_1_is_lost() {
    let count: usize = variable("TENURE_FAILOVERS").parse().expect("a number of failovers");
    let how: How = variable("TENURE_FAILOVERS_HOW").parse().expect("kill or hand");
    let mut watched = Watched::start_with(DOWN_AFTER);
    let (_workers, _folder) = workers(&watched.url());
    let load = Load::start(&watched.url(), &[MEMORY, REPLICATED], SESSIONS).await;
    load.wait_for_more(REPLICATED, TURNS, BOUND).await;
    let mut times = Vec::new();
    for n in 1..=count {
        times.push(one(how, &mut watched, &load).await);
        println!("failover {n} of {count}: {:?}", times.last().expect("there is one"));
    }
    load.finish(BOUND).await;
    let (memory, replicated) = (load.tally(MEMORY).await, load.tally(REPLICATED).await);
    let report = report(how, &times, memory, replicated, watched.elections());
    println!("{report}");
    if let Ok(path) = env::var("TENURE_FAILOVERS_REPORT") {
        fs::write(path, report).expect("the report can be written");
    }
    assert_eq!((replicated.lost, replicated.twice, memory.twice), (0, 0, 0));
}

async fn one(how: How, watched: &mut Watched, load: &Load) -> Times {
    watched.wait_until_ready();
    let began = tokio::time::Instant::now();
    let old = match how {
        How::Kill => {
            let old = watched.kill_primary();
            watched.wait_for_failover_from(old);
            old
        }
        How::Hand => watched.fail_over(),
    };
    let named = began.elapsed();
    load.wait_for_more(MEMORY, 1, BOUND).await;
    let memory = began.elapsed();
    if how == How::Kill {
        watched.revive(old);
    }
    let follows = tokio::time::Instant::now();
    load.wait_for_more(REPLICATED, 1, BOUND).await;
    let replicated = follows.elapsed();
    load.wait_for_more(REPLICATED, TURNS, BOUND).await;
    Times { named, memory, replicated }
}

fn report(how: How, times: &[Times], memory: Tally, replicated: Tally, elections: u64) -> String {
    let done = match how {
        How::Kill => "killed",
        How::Hand => "replaced by hand",
    };
    let mut text = format!(
        "{} primaries {done} under load, one after the other; {elections} elections.\n\n",
        times.len()
    );
    text += "| class | told | lost | twice | told that it is unknown |\n|---|---|---|---|---|\n";
    for (class, Tally { told, lost, twice, unknown }) in [("memory", memory), ("replicas:1", replicated)] {
        writeln!(text, "| `{class}` | {told} | {lost} | {twice} | {unknown} |").expect("a string takes it");
    }
    text += "\n| from | until | median | longest |\n|---|---|---|---|\n";
    row(&mut text, "that | sentinels name another", times.iter().map(|times| times.named));
    row(&mut text, "that | each session at `memory` had a turn", times.iter().map(|times| times.memory));
    let replicated = times.iter().map(|times| times.replicated);
    row(&mut text, "a replica may follow again | the same at `replicas:1`", replicated);
    text
}

fn row(text: &mut String, what: &str, times: impl Iterator<Item = Duration>) {
    let mut times: Vec<_> = times.collect();
    times.sort();
    let (median, longest) = (times[times.len() / 2], times[times.len() - 1]);
    writeln!(text, "| {what} | {:.2} s | {:.2} s |", median.as_secs_f64(), longest.as_secs_f64())
        .expect("a string takes it");
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("scripts/failovers sets {name}"))
}
