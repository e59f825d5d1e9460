//! As many failovers as one likes: `scripts/failovers`.

use std::{env, fmt::Write, fs, time::Duration};

use super::{
    BOUND, MEMORY, REPLICATED, SESSIONS, TURNS,
    load::{Load, Tally},
    support::sentinel::Watched,
    workers,
};

/// How long a failover took, from the kill.
#[derive(Debug, Clone, Copy)]
struct Times {
    /// Until the sentinels named another.
    named: Duration,
    /// Until each session at `memory` was told a turn again.
    memory: Duration,
    /// From the return of the killed server, which follows then, until the same at `replicas:1`.
    replicated: Duration,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes as long as it is told: scripts/failovers"]
async fn as_many_primaries_are_killed_as_asked_for_and_no_turn_that_was_told_at_replicas_1_is_lost() {
    let count: usize = variable("TENURE_FAILOVERS").parse().expect("a number of failovers");
    let mut watched = Watched::start();
    let (_workers, _folder) = workers(&watched.url());
    let load = Load::start(&watched.url(), &[MEMORY, REPLICATED], SESSIONS).await;
    load.wait_for_more(REPLICATED, TURNS, BOUND).await;
    let mut times = Vec::new();
    for n in 1..=count {
        times.push(one(&mut watched, &load).await);
        println!("failover {n} of {count}: {:?}", times.last().expect("there is one"));
    }
    load.finish(BOUND).await;
    let (memory, replicated) = (load.tally(MEMORY).await, load.tally(REPLICATED).await);
    let report = report(&times, memory, replicated);
    println!("{report}");
    if let Ok(path) = env::var("TENURE_FAILOVERS_REPORT") {
        fs::write(path, report).expect("the report can be written");
    }
    assert_eq!((replicated.lost, replicated.twice, memory.twice), (0, 0, 0));
}

async fn one(watched: &mut Watched, load: &Load) -> Times {
    watched.wait_until_ready();
    let began = tokio::time::Instant::now();
    let old = watched.kill_primary();
    watched.wait_for_failover_from(old);
    let named = began.elapsed();
    load.wait_for_more(MEMORY, 1, BOUND).await;
    let memory = began.elapsed();
    watched.revive(old);
    let follows = tokio::time::Instant::now();
    load.wait_for_more(REPLICATED, 1, BOUND).await;
    let replicated = follows.elapsed();
    load.wait_for_more(REPLICATED, TURNS, BOUND).await;
    Times { named, memory, replicated }
}

fn report(times: &[Times], memory: Tally, replicated: Tally) -> String {
    let mut text = format!("{} primaries killed under load, one after the other.\n\n", times.len());
    text += "| class | told | lost | twice | told that it is unknown |\n|---|---|---|---|---|\n";
    for (class, Tally { told, lost, twice, unknown }) in [("memory", memory), ("replicas:1", replicated)] {
        writeln!(text, "| `{class}` | {told} | {lost} | {twice} | {unknown} |").expect("a string takes it");
    }
    text += "\n| from | until | median | longest |\n|---|---|---|---|\n";
    row(&mut text, "kill | sentinels name another", times.iter().map(|times| times.named));
    row(&mut text, "kill | each session at `memory` had a turn", times.iter().map(|times| times.memory));
    let replicated = times.iter().map(|times| times.replicated);
    row(&mut text, "a replica follows again | the same at `replicas:1`", replicated);
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
