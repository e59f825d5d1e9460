//! As many failovers as one likes: `scripts/failovers`.

use std::{
    env,
    fmt::{self, Write},
    fs,
    str::FromStr,
    time::Duration,
};

use super::{BOUND, Load, MEMORY, REPLICATED, TURNS, Tally};

/// Servers of which one takes another's place.
pub trait Replaceable {
    /// What is replaced, as a report calls them.
    const WHAT: &'static str;

    /// When another has taken its place, as a report says it.
    const NAMED: &'static str;

    /// Waits until the next may be replaced.
    fn wait_until_ready(&self);

    /// Kills the next at once; which it was.
    fn kill(&mut self) -> usize;

    /// Waits until another has taken its place.
    fn wait_for_failover_from(&self, old: usize);

    /// Starts one that was killed again, as a replica that nobody promotes before it has caught up.
    fn revive(&mut self, old: usize);

    /// Replaces the next by hand, and returns when that is done.
    fn fail_over(&mut self);

    /// How many elections there were.
    fn elections(&self) -> u64;
}

/// What is done to each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// It is killed at once.
    Kill,
    /// It is ordered to hand over.
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
    /// Until another had its place.
    named: Duration,
    /// Until each session at `memory` was told a turn again.
    memory: Duration,
    /// From the return of a killed server, which follows then, or from `memory` on, until the same at `replicas:1`.
    replicated: Duration,
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [named, memory, replicated] =
            [self.named, self.memory, self.replicated].map(|time| time.as_secs_f64());
        write!(
            f,
            "another after {named:.2} s, turns at memory after {memory:.2} s, at replicas:1 {replicated:.2} s later"
        )
    }
}

/// Replaces servers under `load`, as often and as the environment says, and reports what became of the turns that were told.
pub async fn run<T: Replaceable>(servers: &mut T, load: Load) {
    let count: usize = variable("TENURE_FAILOVERS").parse().expect("a number of failovers");
    let how: How = variable("TENURE_FAILOVERS_HOW").parse().expect("kill or hand");
    load.wait_for_more(REPLICATED, TURNS, BOUND).await;
    let (mut times, before) = (Vec::new(), servers.elections());
    for n in 1..=count {
        let took = one(how, servers, &load).await;
        println!("failover {n} of {count}: {took}; {} turns told", load.told(MEMORY) + load.told(REPLICATED));
        times.push(took);
    }
    load.finish(BOUND).await;
    let (memory, replicated) = (load.tally(MEMORY).await, load.tally(REPLICATED).await);
    let report = report::<T>(how, &times, memory, replicated, servers.elections() - before);
    println!("{report}");
    if let Ok(path) = env::var("TENURE_FAILOVERS_REPORT") {
        fs::write(path, report).expect("the report can be written");
    }
    assert_eq!((replicated.lost, replicated.twice, memory.twice), (0, 0, 0));
}

async fn one<T: Replaceable>(how: How, servers: &mut T, load: &Load) -> Times {
    servers.wait_until_ready();
    let began = tokio::time::Instant::now();
    let killed = match how {
        How::Kill => {
            let old = servers.kill();
            servers.wait_for_failover_from(old);
            Some(old)
        }
        How::Hand => {
            servers.fail_over();
            None
        }
    };
    let named = began.elapsed();
    load.wait_for_more(MEMORY, 1, BOUND).await;
    let memory = began.elapsed();
    if let Some(old) = killed {
        servers.revive(old);
    }
    let follows = tokio::time::Instant::now();
    load.wait_for_more(REPLICATED, 1, BOUND).await;
    let replicated = follows.elapsed();
    load.wait_for_more(REPLICATED, TURNS, BOUND).await;
    Times { named, memory, replicated }
}

fn report<T: Replaceable>(
    how: How,
    times: &[Times],
    memory: Tally,
    replicated: Tally,
    elections: u64,
) -> String {
    let done = match how {
        How::Kill => "killed",
        How::Hand => "replaced by hand",
    };
    let mut text = format!(
        "{} {} {done} under load, one after the other; {elections} elections.\n\n",
        times.len(),
        T::WHAT
    );
    text += "| class | told | lost | twice | told that it is unknown |\n|---|---|---|---|---|\n";
    for (class, Tally { told, lost, twice, unknown, .. }) in [("memory", memory), ("replicas:1", replicated)]
    {
        writeln!(text, "| `{class}` | {told} | {lost} | {twice} | {unknown} |").expect("a string takes it");
    }
    text += "\n| from | until | median | longest |\n|---|---|---|---|\n";
    row(&mut text, &format!("that | {}", T::NAMED), times.iter().map(|times| times.named));
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
