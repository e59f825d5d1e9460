//! One owner at a time, never orphaned.

use std::time::Duration;

use tenure::{
    Readiness,
    model::{Epoch, SessionId},
    store::{Claim, Claimant, Ground, Overdue, Purpose, Store, Suspect, memory::Meddling},
};

use crate::{faults::flaky_worker, fleet::Fleet};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn sessions_of_a_dead_worker_go_on_elsewhere_within_the_lease_and_a_sweep() {
    let fleet = Fleet::new(1);
    let first = fleet.worker("first").await;
    for n in 0..20 {
        assert_eq!(fleet.ask_text(&format!("count/{n}"), "x").await, "1");
    }
    let _second = fleet.worker("second").await;
    first.kill().await;
    for n in 0..20 {
        fleet.send(&format!("count/{n}"), "y").await;
    }
    let all_taken = async || {
        for n in 0..20 {
            if fleet.sight(&format!("count/{n}")).await.record.turns < 2 {
                return false;
            }
        }
        true
    };
    let took = fleet.until(MINUTE, all_taken).await;
    assert!(took <= Duration::from_secs(12), "{took:?}");
    for n in 0..20 {
        let entries = fleet.history(&format!("count/{n}")).await;
        assert!(entries.windows(2).all(|pair| pair[0].id < pair[1].id), "epochs never go back");
        assert!(entries[0].id.epoch < entries[2].id.epoch, "another owner");
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_its_owner_does_not_know_of_is_taken_up_by_it_within_a_lease() {
    let fleet = Fleet::new(21);
    let (owner, cable) = flaky_worker(&fleet, "owner").await;
    fleet.env.sleep(Duration::from_secs(1)).await;
    cable.cut();
    fleet.send("count/a", "x").await;
    fleet.until(MINUTE, async || owner.readiness() == Readiness::Untrusted).await;
    let looked = cable.calls("held");
    cable.heal();
    while cable.calls("held") == looked {
        fleet.env.sleep(Duration::from_millis(1)).await;
    }
    // A claim that was under way when the worker ceased to trust its lease, and takes effect only now.
    let late = Claimant {
        worker: owner.id(),
        pool: Default::default(),
        nonce: fleet.env.nonce(),
        own_ttl: MINUTE,
        seen: Epoch(0),
        overdue: Overdue::Spare,
        suspect: Suspect::Leave,
        purpose: Purpose::Run,
        class: Default::default(),
    };
    let session: SessionId = "count/a".parse().unwrap();
    assert!(matches!(fleet.store.claim(&session, &late, 10).await.unwrap(), Claim::Won(_)));
    let took = fleet.until(3 * MINUTE, async || fleet.sight("count/a").await.record.turns == 1).await;
    assert!(took <= Duration::from_secs(10), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_fleet_that_was_all_dead_resumes_with_the_first_worker() {
    let fleet = Fleet::new(2);
    let first = fleet.worker("first").await;
    for n in 0..10 {
        fleet.send(&format!("slow/{n}"), "x").await;
    }
    fleet.until(MINUTE, async || first.load().running == 10).await;
    first.kill().await;
    fleet.env.sleep(Duration::from_secs(30)).await;
    let _second = fleet.worker("second").await;
    for n in 0..10 {
        let session = format!("slow/{n}");
        fleet.until(MINUTE, async || fleet.sight(&session).await.record.turns == 1).await;
        let record = fleet.sight(&session).await.record;
        assert!(record.crashes.is_empty(), "its commit cleared the crash");
        assert_eq!(fleet.texts(&session).await, ["x"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_finishes_running_turns_and_hands_the_rest_to_others() {
    let fleet = Fleet::new(3);
    let first = fleet.worker("first").await;
    for n in 0..10 {
        fleet.send(&format!("slow/{n}"), "one").await;
        fleet.send(&format!("slow/{n}"), "two").await;
    }
    fleet.until(MINUTE, async || first.load().running == 10).await;
    let second = fleet.worker("second").await;
    let start = fleet.env.now();
    first.drain().await;
    let drained = fleet.env.now().since(start);
    assert!(drained < Duration::from_secs(2), "{drained:?}");
    for n in 0..10 {
        let session = format!("slow/{n}");
        fleet.until(MINUTE, async || fleet.sight(&session).await.record.turns == 2).await;
        assert_eq!(fleet.texts(&session).await, ["one", "two"]);
        let record = fleet.sight(&session).await.record;
        assert_eq!(record.owner.map(|token| token.worker), Some(second.id()));
        assert_eq!(record.tries, 0);
    }
    let snapshot = fleet.store.snapshot();
    for partition in snapshot.partitions.values() {
        assert!(partition.workers.get(&first.id()).is_none_or(Option::is_none), "it said goodbye");
        assert!(!partition.held.contains_key(&first.id()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_was_buried_drops_its_sessions_and_goes_on_as_a_fresh_incarnation() {
    let fleet = Fleet::new(4);
    let worker = fleet.worker("w").await;
    assert_eq!(fleet.ask_text("count/a", "x").await, "1");
    let old = worker.id();
    for partition in fleet.store.partitions().all() {
        fleet.store.bury(partition, &old, Ground::OwnWish).await.unwrap();
    }
    fleet.until(MINUTE, async || worker.id() != old).await;
    assert_eq!(fleet.ask_text("count/a", "x").await, "2");
    let record = fleet.sight("count/a").await.record;
    assert_eq!(record.owner.map(|token| token.worker), Some(worker.id()));
}

#[tokio::test(start_paused = true)]
async fn an_own_key_deleted_by_hand_robs_nobody_and_is_set_again() {
    let fleet = Fleet::new(5);
    let worker = fleet.worker("w").await;
    let _other = fleet.worker("other").await;
    fleet.ask("count/a", "x").await;
    let session: SessionId = "count/a".parse().unwrap();
    let partition = fleet.store.partitions().of(&session);
    let own = || fleet.store.snapshot().partitions[&partition].sessions[&session].own.clone();
    let before = own().unwrap();
    fleet.store.meddle(&session, Meddling::DeleteOwn);
    assert!(own().is_none());
    fleet.until(MINUTE, async || own().is_some()).await;
    assert_eq!(own().unwrap(), before, "the same owner under the same epoch");
    assert!(worker.load().sessions + _other.load().sessions == 1);
}

#[tokio::test(start_paused = true)]
async fn two_runs_of_one_seed_are_equal_to_the_last_operation() {
    async fn run(seed: u64) -> Vec<String> {
        let env = tenure::Env::seeded(seed);
        let store = tenure::store::MemoryStore::with_journal(
            "test".parse().unwrap(),
            tenure::model::Settings::default(),
            std::sync::Arc::new(env.clone()),
        );
        let fleet = Fleet { store, env };
        let workers = [fleet.worker("a").await, fleet.worker("b").await, fleet.worker("c").await];
        for n in 0..200 {
            fleet.send(&format!("count/{}", n % 37), &n.to_string()).await;
            fleet.send(&format!("moody/{}", n % 11), ["fail", "panic", "x"][n % 3]).await;
            if n == 100 {
                workers[0].kill().await;
            }
            if n == 150 {
                workers[1].drain().await;
            }
            fleet.env.sleep(Duration::from_millis(7)).await;
        }
        fleet.env.sleep(MINUTE).await;
        fleet.store.journal()
    }
    let first = run(7).await;
    assert!(first.len() > 1_000, "{}", first.len());
    assert_eq!(first, run(7).await);
    assert_ne!(first, run(8).await, "the seed matters");
}
