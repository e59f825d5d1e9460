//! Requests and replies get lost, and workers are cut off: nothing is lost, nothing done twice.

use std::time::Duration;

use tenure::{
    Worker, WorkerHandle,
    agents::Echo,
    model::WorkerConfig,
    store::{Look, Store},
};

use crate::{
    flaky::{Cable, Flaky},
    fleet::{Count, Fleet, Moody, Slow},
};

const MINUTE: Duration = Duration::from_secs(60);

pub async fn flaky_worker(fleet: &Fleet, name: &str) -> (WorkerHandle, Cable) {
    let (store, cable) = Flaky::new(fleet.store.clone(), fleet.env.fork());
    let builder = Worker::builder(store)
        .env(fleet.env.fork())
        .config(WorkerConfig::named(name.parse().unwrap()))
        .agent("echo", Echo)
        .agent("count", Count)
        .agent("moody", Moody::default())
        .agent("slow", Slow);
    (builder.start().await.unwrap(), cable)
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_is_cut_off_stops_before_its_lease_ends_and_writes_nothing_later() {
    let fleet = Fleet::new(1);
    let (first, cable) = flaky_worker(&fleet, "first").await;
    for n in 0..10 {
        assert_eq!(fleet.ask_text(&format!("count/{n}"), "x").await, "1");
    }
    for n in 0..9 {
        fleet.send("slow/a", &n.to_string()).await;
    }
    fleet.until(MINUTE, async || first.load().running == 1).await;
    let old = first.id();
    cable.cut();
    fleet.until(Duration::from_secs(10), async || first.load().sessions == 0).await;
    let second = fleet.worker("second").await;
    for n in 0..10 {
        fleet.send(&format!("count/{n}"), "y").await;
    }
    fleet.until(MINUTE, async || fleet.sight("slow/a").await.record.turns == 9).await;
    cable.heal();
    fleet.until(MINUTE, async || first.id() != old).await;
    let expected: Vec<_> = (0..9).map(|n| n.to_string()).collect();
    assert_eq!(fleet.texts("slow/a").await, expected, "each once, in order");
    for n in 0..10 {
        let session = format!("count/{n}");
        assert_eq!(fleet.texts(&session).await, ["x", "y"]);
        assert_eq!(fleet.sight(&session).await.record.owner.unwrap().worker, second.id());
    }
}

#[tokio::test(start_paused = true)]
async fn trust_ends_on_time_though_the_server_keeps_a_look_waiting() {
    let fleet = Fleet::new(4);
    let (worker, cable) = flaky_worker(&fleet, "w").await;
    for n in 0..10 {
        fleet.ask_text(&format!("count/{n}"), "x").await;
    }
    for n in 0..30 {
        fleet.send("slow/a", &n.to_string()).await;
    }
    fleet.until(MINUTE, async || worker.load().sessions == 11).await;
    cable.give_up_after(MINUTE);
    cable.cut();
    fleet.until(Duration::from_secs(10), async || worker.load().sessions == 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_look_after_an_outage_that_is_not_answered_is_made_again_long_before_the_lease_is_over() {
    let fleet = Fleet::new(6);
    let (_worker, cable) = flaky_worker(&fleet, "w").await;
    assert_eq!(fleet.ask_text("count/a", "x").await, "1");
    cable.cut();
    fleet.send("count/a", "y").await;
    cable.lose_next("refresh");
    cable.heal();
    fleet.until(MINUTE, async || cable.has_lost()).await;
    fleet.until(Duration::from_secs(2), async || fleet.sight("count/a").await.record.turns == 2).await;
}

#[tokio::test(start_paused = true)]
async fn trust_ends_on_time_though_the_server_keeps_the_announcement_waiting() {
    let fleet = Fleet::new(5);
    let (worker, cable) = flaky_worker(&fleet, "w").await;
    for n in 0..30 {
        fleet.send("slow/a", &n.to_string()).await;
    }
    fleet.until(MINUTE, async || worker.load().running == 1).await;
    cable.give_up_after(MINUTE);
    cable.lose_next("announce");
    fleet.until(MINUTE, async || cable.has_lost()).await;
    cable.cut();
    fleet.until(Duration::from_secs(10), async || worker.load().sessions == 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_cut_shorter_than_the_lease_costs_nothing_but_time() {
    let fleet = Fleet::new(2);
    let (worker, cable) = flaky_worker(&fleet, "w").await;
    assert_eq!(fleet.ask_text("count/a", "x").await, "1");
    let epoch = fleet.sight("count/a").await.record.epoch;
    let id = worker.id();
    cable.cut();
    fleet.send("count/a", "y").await;
    fleet.env.sleep(Duration::from_secs(4)).await;
    cable.heal();
    fleet.until(MINUTE, async || fleet.sight("count/a").await.record.turns == 2).await;
    assert_eq!(worker.id(), id);
    assert_eq!(fleet.sight("count/a").await.record.epoch, epoch, "the same claim");
}

#[tokio::test(start_paused = true)]
async fn a_cut_longer_than_trust_but_noticed_by_nobody_ends_in_a_new_claim() {
    let fleet = Fleet::new(3);
    let (worker, cable) = flaky_worker(&fleet, "w").await;
    assert_eq!(fleet.ask_text("count/a", "x").await, "1");
    cable.cut();
    fleet.until(MINUTE, async || worker.load().sessions == 0).await;
    fleet.send("count/a", "y").await;
    fleet.env.sleep(Duration::from_secs(20)).await;
    cable.heal();
    fleet.until(MINUTE, async || fleet.sight("count/a").await.record.turns == 2).await;
    assert_eq!(fleet.texts("count/a").await, ["x", "y"]);
}

#[tokio::test(start_paused = true)]
async fn with_one_call_in_ten_lost_every_message_is_still_one_turn_in_order() {
    for seed in 0..6 {
        let fleet = Fleet::new(seed);
        let mut workers = Vec::new();
        for name in ["a", "b", "c"] {
            let (worker, cable) = flaky_worker(&fleet, name).await;
            cable.lose(50);
            workers.push((worker, cable));
        }
        for n in 0..300 {
            fleet.send(&format!("count/{}", n % 23), &n.to_string()).await;
            if n == 100 {
                workers[0].1.cut();
            }
            if n == 200 {
                workers[1].0.kill().await;
            }
            fleet.env.sleep(Duration::from_millis(5)).await;
        }
        workers[0].1.heal();
        for session in 0..23 {
            let expected: Vec<_> = (0..300).filter(|n| n % 23 == session).map(|n| n.to_string()).collect();
            let name = format!("count/{session}");
            fleet.until(MINUTE * 5, async || fleet.texts(&name).await.len() >= expected.len()).await;
            assert_eq!(fleet.texts(&name).await, expected, "seed {seed}");
            let entries = fleet.history(&name).await;
            assert!(entries.windows(2).all(|pair| pair[0].id < pair[1].id), "seed {seed}");
        }
        assert!(
            fleet
                .store
                .dead(fleet.store.partitions().of(&"count/1".parse().unwrap()), None, 9)
                .await
                .unwrap()
                .is_empty()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_is_claimed_again_of_a_server_that_lost_our_last_claim_of_it() {
    let fleet = Fleet::new(9);
    let (worker, cable) = flaky_worker(&fleet, "w").await;
    fleet.send("slow/a", "x").await;
    fleet.until(MINUTE, async || worker.load().running == 1).await;
    let replica = fleet.store.fork();
    let first = fleet.sight("slow/a").await.record.epoch;
    // Out of reach for as long as it takes to stop trusting: it claims the session a second time.
    cable.cut();
    fleet.until(MINUTE, async || worker.load().sessions == 0).await;
    cable.heal();
    fleet.until(MINUTE, async || fleet.sight("slow/a").await.record.epoch != first).await;
    cable.replace(replica.clone());
    // Its commit is refused there, in the name of its own first claim.
    let session = "slow/a".parse().unwrap();
    let turns = async || match replica.look(&session).await.unwrap() {
        Look::Here(sight) => sight.record.turns,
        other => panic!("{other:?}"),
    };
    fleet.until(Duration::from_secs(30), async || turns().await == 1).await;
}
