//! A process that died is noticed by its neighbours, and nobody else is taken for dead.

use std::{collections::BTreeMap, time::Duration};

use tenure::{
    WorkerHandle,
    model::{SessionId, Token, WorkerId},
    store::{Ground, Store},
};

use crate::{faults::flaky_worker, fleet::Fleet};

const MINUTE: Duration = Duration::from_secs(60);

/// Long enough for a fleet to have seen each other, and less than a lease.
const SEEN: Duration = Duration::from_secs(3);

/// Starts that many, which know each other when this returns.
async fn workers(fleet: &Fleet, count: usize) -> Vec<WorkerHandle> {
    let mut workers = Vec::new();
    for n in 0..count {
        workers.push(fleet.worker(&format!("w{n}")).await);
    }
    fleet.env.sleep(SEEN).await;
    workers
}

async fn owners(fleet: &Fleet, sessions: &[String]) -> BTreeMap<String, Option<Token>> {
    let mut owners = BTreeMap::new();
    for session in sessions {
        owners.insert(session.clone(), fleet.sight(session).await.record.owner);
    }
    owners
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("slow/{n}")).collect()
}

#[tokio::test(start_paused = true)]
async fn turns_of_a_dead_process_go_on_elsewhere_within_a_fraction_of_the_lease() {
    let fleet = Fleet::new(1);
    let workers = workers(&fleet, 4).await;
    let sessions = names(40);
    for session in &sessions {
        fleet.send(session, "x").await;
    }
    fleet
        .until(MINUTE, async || workers.iter().map(|worker| worker.load().running).sum::<usize>() == 40)
        .await;
    let before = owners(&fleet, &sessions).await;
    let dead = workers[1].id();
    workers[1].kill().await;
    let moved = async || {
        let now = owners(&fleet, &sessions).await;
        now.values().all(|owner| owner.as_ref().is_some_and(|token| token.worker != dead))
    };
    let took = fleet.until(MINUTE, moved).await;
    assert!(took <= Duration::from_millis(150), "{took:?}");
    let after = owners(&fleet, &sessions).await;
    let were =
        before.iter().filter(|(_, owner)| owner.as_ref().is_some_and(|token| token.worker == dead)).count();
    assert!(were > 0, "it had something to lose");
    let kept = before.iter().filter(|(session, owner)| after[*session] == **owner).count();
    assert_eq!(kept, 40 - were, "others keep owner and epoch");
    let done = async || {
        let mut turns = 0;
        for session in &sessions {
            turns += fleet.sight(session).await.record.turns;
        }
        turns == 40
    };
    fleet.until(MINUTE, done).await;
}

#[tokio::test(start_paused = true)]
async fn the_dead_leave_the_list_of_members_and_their_duties_are_taken() {
    let fleet = Fleet::new(2);
    let workers = workers(&fleet, 3).await;
    let dead = workers[0].id();
    workers[0].kill().await;
    let gone = async || fleet.store.members().await.unwrap().iter().all(|member| member.worker != dead);
    let took = fleet.until(MINUTE, gone).await;
    assert!(took < Duration::from_millis(200), "{took:?}");
    let all_kept = async || {
        let snapshot = fleet.store.snapshot();
        snapshot
            .partitions
            .values()
            .all(|partition| partition.duty.as_ref().is_some_and(|duty| duty.holder != dead))
    };
    fleet.until(Duration::from_secs(5), all_kept).await;
}

#[tokio::test(start_paused = true)]
async fn so_many_at_once_are_left_to_the_lease() {
    let fleet = Fleet::new(3);
    let workers = workers(&fleet, 4).await;
    fleet.send("slow/a", "x").await;
    fleet.until(MINUTE, async || fleet.sight("slow/a").await.record.owner.is_some()).await;
    let owner = fleet.sight("slow/a").await.record.owner.unwrap().worker;
    let at = fleet.env.now();
    let (dead, alive): (Vec<_>, Vec<_>) = {
        let survivor = workers.iter().position(|worker| worker.id() != owner).unwrap();
        workers.iter().enumerate().partition(|(n, _)| *n != survivor)
    };
    for (_, worker) in &dead {
        worker.kill().await;
    }
    assert_eq!(fleet.env.now(), at, "all at once");
    let taken = async || {
        fleet.sight("slow/a").await.record.owner.is_some_and(|token| token.worker == alive[0].1.id())
    };
    let took = fleet.until(MINUTE, taken).await;
    assert!(took > Duration::from_secs(5), "by the lease: {took:?}");
}

#[tokio::test(start_paused = true)]
async fn one_dead_after_the_other_are_each_noticed() {
    let fleet = Fleet::new(4);
    let workers = workers(&fleet, 5).await;
    for worker in &workers[..4] {
        let dead = worker.id();
        worker.kill().await;
        let gone = async || fleet.store.members().await.unwrap().iter().all(|member| member.worker != dead);
        let took = fleet.until(MINUTE, gone).await;
        assert!(took < Duration::from_millis(200), "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_is_taken_for_dead_is_told_and_comes_back_as_a_fresh_incarnation() {
    let fleet = Fleet::new(5);
    let worker = fleet.worker("w").await;
    assert_eq!(fleet.ask_text("count/a", "x").await, "1");
    let old = worker.id();
    let partition = fleet.store.partitions().of(&"count/a".parse::<SessionId>().unwrap());
    fleet.store.bury(partition, &old, Ground::Lifeline).await.unwrap();
    let took = fleet.until(MINUTE, async || worker.id() != old).await;
    assert!(took < Duration::from_secs(1), "not only at its next renewal: {took:?}");
    assert_eq!(fleet.ask_text("count/a", "x").await, "2");
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_leaves_in_good_order_is_nobodys_death() {
    let fleet = Fleet::new(6);
    let workers = workers(&fleet, 3).await;
    for n in 0..12 {
        fleet.ask(&format!("count/{n}"), "x").await;
    }
    workers[0].drain().await;
    fleet.env.sleep(MINUTE).await;
    for n in 0..12 {
        assert_eq!(fleet.ask_text(&format!("count/{n}"), "y").await, "2");
        assert_eq!(fleet.sight(&format!("count/{n}")).await.record.crashes, []);
    }
}

/// How long it takes until each of these sessions has another owner than `old`.
async fn taken_from(fleet: &Fleet, old: &WorkerId, sessions: &[String]) -> Duration {
    let taken = async || {
        let now = owners(fleet, sessions).await;
        now.values().all(|owner| owner.as_ref().is_some_and(|token| token.worker != *old))
    };
    fleet.until(MINUTE, taken).await
}

#[tokio::test(start_paused = true)]
async fn sessions_of_a_worker_that_cannot_be_heard_go_on_within_its_lease_and_a_second_whoever_kept_their_partition()
 {
    let fleet = Fleet::new(7);
    let (first, cable) = flaky_worker(&fleet, "first").await;
    let sessions = names(100);
    for session in &sessions {
        fleet.send(session, "x").await;
    }
    let _others = [fleet.worker("second").await, fleet.worker("third").await];
    fleet.env.sleep(SEEN * 3).await;
    for session in &sessions {
        fleet.send(session, "y").await;
    }
    let old = first.id();
    cable.cut();
    let took = taken_from(&fleet, &old, &sessions).await;
    assert!(took <= Duration::from_secs(11), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_starts_after_all_died_takes_everything_within_the_lease_and_two_seconds() {
    let fleet = Fleet::new(8);
    let first = fleet.worker("first").await;
    let sessions = names(100);
    fleet.env.sleep(SEEN).await;
    for session in &sessions {
        fleet.send(session, "x").await;
    }
    fleet.until(MINUTE, async || first.load().running == 100).await;
    let old = first.id();
    first.kill().await;
    let _next = fleet.worker("next").await;
    let took = taken_from(&fleet, &old, &sessions).await;
    assert!(took <= Duration::from_secs(12), "{took:?}");
}
