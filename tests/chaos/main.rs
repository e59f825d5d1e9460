//! Chaos: real worker processes, a real server, a network that goes wrong, and senders who keep a ledger.
//!
//! What goes wrong follows from a seed; what must hold in the end is told by the ledger, which is kept outside
//! Redis. The short form runs with all tests; `scripts/chaos MINUTES` runs the long form and writes `docs/chaos.md`.

#![allow(clippy::disallowed_methods, reason = "senders, proxies and faults are tasks beside what is tested")]

#[path = "../support/mod.rs"]
mod support;

mod check;
mod fleet;
mod journal;
mod ledger;
mod plan;
mod proxy;
mod report;
mod run;
mod sender;
mod storm;

use std::{env, fs, path::PathBuf, time::Duration};

use run::{Outcome, Scenario};
use sender::Pace;
use storm::Until;

/// Of the short form; any other must do as well.
const SEED: u64 = 7;
/// How many faults each part of the short form has: each kind once.
const FAULTS: usize = 8;

fn folder(name: &str) -> PathBuf {
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    target.parent().expect("the target folder").join("chaos").join(name)
}

fn variable<T: std::str::FromStr>(name: &str) -> Option<T> {
    env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name}={value} cannot be read")))
}

/// Fails with what was broken, and where more is to be found.
fn demand(outcome: &Outcome) {
    let Outcome { broken, scenario, .. } = outcome;
    let shown: Vec<_> = broken.iter().take(20).map(String::as_str).collect();
    assert!(
        broken.is_empty(),
        "seed {}: {} rules were broken, logs and ledger are in {}\n{}",
        scenario.seed,
        broken.len(),
        scenario.folder.display(),
        shown.join("\n")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_promise_is_kept_while_each_kind_of_fault_strikes() {
    let seed = variable("TENURE_CHAOS_SEED").unwrap_or(SEED);
    let scenario = Scenario {
        seed,
        until: Until::Faults(FAULTS),
        lease: Duration::from_secs(1),
        quiet: Duration::from_millis(500),
        pace: Pace { senders: 3, sessions_each: 4, think_ms: (10, 300), turn_ms: (0, 120) },
        folder: folder(&format!("short-{seed}")),
    };
    let outcome = scenario.run().await;
    println!("{}", report::of(&outcome));
    demand(&outcome);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes as long as it is told: scripts/chaos"]
async fn every_promise_is_kept_for_as_long_as_faults_strike() {
    let seed = variable("TENURE_CHAOS_SEED").expect("scripts/chaos gives a seed");
    let minutes: f64 = variable("TENURE_CHAOS_MINUTES").expect("scripts/chaos gives the minutes");
    let scenario = Scenario {
        seed,
        until: Until::Time(Duration::from_secs_f64(minutes * 60.0)),
        lease: Duration::from_secs(2),
        quiet: Duration::from_secs(4),
        pace: Pace { senders: 6, sessions_each: 5, think_ms: (50, 900), turn_ms: (0, 250) },
        folder: folder(&seed.to_string()),
    };
    let outcome = scenario.run().await;
    let report: PathBuf = variable("TENURE_CHAOS_REPORT").expect("scripts/chaos gives a place");
    fs::write(report, report::of(&outcome)).expect("the report can be written");
    demand(&outcome);
}
