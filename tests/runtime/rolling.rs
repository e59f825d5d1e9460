//! A fleet is restarted under load, one worker after the other.

use std::{cell::Cell, time::Duration};

use futures_util::future::join_all;

use crate::fleet::Fleet;

/// What a turn of `slow` takes.
const TURN: Duration = Duration::from_secs(1);

const SESSIONS: usize = 50;

/// How long each exchange took.
async fn load(fleet: &Fleet, session: &str, rest: Duration, over: &Cell<bool>) -> Vec<Duration> {
    let mut took = Vec::new();
    while !over.get() {
        let asked = fleet.env.now();
        assert_eq!(fleet.ask_text(session, &took.len().to_string()).await, took.len().to_string());
        took.push(fleet.env.now().since(asked));
        fleet.env.sleep(rest).await;
    }
    took
}

#[tokio::test(start_paused = true)]
async fn a_rolling_restart_of_a_fleet_loses_no_turn_and_delays_none_by_more_than_a_turn() {
    for seed in 0..5 {
        let fleet = Fleet::new(seed);
        let mut workers = Vec::new();
        for name in ["a", "b", "c"] {
            workers.push((name, fleet.worker(name).await));
        }
        let over = Cell::new(false);
        let sessions: Vec<_> = (0..SESSIONS).map(|n| format!("slow/{n}")).collect();
        // Some never rest: their next message meets the very end of the turn that a drain waits for.
        let rest = |n: usize| TURN * u32::try_from(n % 5).unwrap() / 3;
        let loads =
            join_all(sessions.iter().enumerate().map(|(n, session)| load(&fleet, session, rest(n), &over)));
        let restart = async {
            fleet.env.sleep(TURN * 5).await;
            for (name, worker) in &mut workers {
                worker.drain().await;
                *worker = fleet.worker(name).await;
            }
            fleet.env.sleep(TURN * 5).await;
            over.set(true);
        };
        let (took, ()) = tokio::join!(loads, restart);
        for (session, took) in sessions.iter().zip(took) {
            let longest = took.iter().max().unwrap();
            assert!(*longest <= TURN * 2, "seed {seed}, {session}: {longest:?}");
            assert_eq!(fleet.texts(session).await.len(), took.len(), "seed {seed}, {session}: each once");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_offered_to_a_worker_that_begins_to_drain_runs_elsewhere_at_once() {
    for seed in 0..5 {
        let fleet = Fleet::new(seed);
        let (draining, _other) = (fleet.worker("a").await, fleet.worker("b").await);
        let sessions: Vec<_> = (0..20).map(|n| format!("echo/{n}")).collect();
        let asked = fleet.env.now();
        // About every other is offered to the one that was told, and still stands among those that take offers.
        let asks = join_all(sessions.iter().map(|session| fleet.ask_text(session, "x")));
        let (answers, ()) = tokio::join!(asks, draining.drain());
        assert!(answers.iter().all(|answer| answer == "x"));
        let took = fleet.env.now().since(asked);
        assert!(took < Duration::from_millis(10), "seed {seed}: {took:?}");
    }
}
