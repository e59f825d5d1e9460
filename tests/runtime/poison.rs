//! A message that kills its worker: set aside in the end, and nobody else with it.

use std::time::Duration;

use tenure::{
    WorkerHandle,
    model::{Cause, Hold},
    store::{FirstMessage, Free, Store},
};

use crate::fleet::Fleet;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// Sessions that run beside the poisonous one.
const BESIDE: usize = 1_000;

/// Kills the worker that runs `session` as soon as its run began; who that was.
async fn kill_its_owner(fleet: &Fleet, workers: &mut Vec<WorkerHandle>, session: &str) -> String {
    let mut at = None;
    fleet
        .until(HOUR, async || {
            let owner = fleet.sight(session).await.record.owner.map(|token| token.worker);
            at = workers.iter().position(|worker| Some(worker.id()) == owner);
            at.is_some()
        })
        .await;
    // Its run hangs: by now it began, and with it those that were claimed at the same time.
    fleet.env.sleep(Duration::from_millis(200)).await;
    let worker = workers.remove(at.expect("a living worker has it by now"));
    worker.kill().await;
    worker.id().to_string()
}

#[tokio::test(start_paused = true)]
async fn a_message_that_kills_three_owners_is_set_aside_and_a_thousand_sessions_beside_it_are_not() {
    let fleet = Fleet::new(1);
    let mut workers = vec![fleet.worker("w0").await];
    let beside: Vec<_> = (0..BESIDE).map(|n| format!("slow/{n}")).collect();
    for session in &beside {
        fleet.send(session, "fine").await;
    }
    fleet.send("moody/poison", "hang").await;
    workers.push(fleet.worker("w1").await);
    let mut died = Vec::new();
    for n in 2..=4 {
        died.push(kill_its_owner(&fleet, &mut workers, "moody/poison").await);
        workers.push(fleet.worker(&format!("w{n}")).await);
    }
    fleet.until(HOUR, async || fleet.sight("moody/poison").await.record.hold.is_some()).await;
    let sight = fleet.sight("moody/poison").await;
    assert!(matches!(sight.record.hold, Some(Hold::Quarantined { cause: Cause::Poison, .. })));
    let crashed: Vec<_> = sight.record.crashes.iter().map(|crash| crash.worker.to_string()).collect();
    assert_eq!((crashed, sight.waiting), (died, 1));

    for session in &beside {
        fleet.until(HOUR, async || fleet.sight(session).await.record.turns == 1).await;
        let record = fleet.sight(session).await.record;
        assert_eq!((record.hold, record.crashes.len()), (None, 0), "{session}");
        assert_eq!(fleet.texts(session).await, ["fine"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_owns_one_suspect_at_a_time() {
    let fleet = Fleet::new(2);
    let sessions: Vec<_> = (0..5).map(|n| format!("slow/{n}")).collect();
    for session in &sessions {
        fleet.send(session, "fine").await;
    }
    for name in ["first", "second"] {
        let worker = fleet.worker(name).await;
        fleet.until(MINUTE, async || worker.load().running == 5).await;
        worker.kill().await;
        fleet.env.sleep(MINUTE).await;
    }
    let third = fleet.worker("third").await;
    let begun = fleet.env.now();
    let mut most = 0;
    let all_done = async || {
        most = most.max(third.load().running);
        let mut done = true;
        for session in &sessions {
            done &= fleet.sight(session).await.record.turns == 1;
        }
        done
    };
    fleet.until(MINUTE, all_done).await;
    assert_eq!(most, 1);
    assert!(fleet.env.now().since(begun) >= Duration::from_secs(5), "one second each, one after the other");
}

#[tokio::test(start_paused = true)]
async fn a_suspect_that_waits_holds_up_neither_a_drain_nor_others() {
    let fleet = Fleet::new(3);
    for session in ["moody/a", "moody/b"] {
        fleet.send(session, "hang").await;
    }
    for name in ["first", "second"] {
        let worker = fleet.worker(name).await;
        fleet.until(MINUTE, async || worker.load().running == 2).await;
        worker.kill().await;
        fleet.env.sleep(MINUTE).await;
    }
    let third =
        fleet.worker_with("third", |config| tenure::model::WorkerConfig { grace: MINUTE, ..config }).await;
    fleet.until(MINUTE, async || third.load().sessions == 2).await;
    assert_eq!(third.load().running, 1);
    assert_eq!(fleet.ask_text("echo/c", "hello").await, "hello");
    let begun = fleet.env.now();
    third.drain().await;
    assert!(fleet.env.now().since(begun) < Duration::from_secs(10), "the run's limit, not more");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_message_is_given_up_on_unrun_and_those_behind_it_go_on() {
    let fleet = Fleet::new(4);
    let mut workers = vec![fleet.worker("w0").await];
    fleet.send("moody/poison", "hang").await;
    for n in 1..=3 {
        kill_its_owner(&fleet, &mut workers, "moody/poison").await;
        workers.push(fleet.worker(&format!("w{n}")).await);
    }
    fleet.until(HOUR, async || fleet.sight("moody/poison").await.record.hold.is_some()).await;
    fleet.send("moody/poison", "fine").await;
    let session = "moody/poison".parse().unwrap();
    let freed = fleet.store.free(&session, &Default::default(), FirstMessage::Drop).await.unwrap();
    assert_eq!(freed, Free::Freed);
    fleet.until(MINUTE, async || fleet.sight("moody/poison").await.record.turns == 2).await;
    let entries = fleet.history("moody/poison").await;
    let kinds: Vec<_> = entries.iter().map(|entry| entry.kind.as_str()).collect();
    assert_eq!(kinds, ["user", "event", "user", "assistant"]);
    assert!(entries[1].body.as_json().contains("\"dropped\""), "{:?}", entries[1].body);
}
