//! An agent has one home: workers that have another idea of it do not start, and nobody's sessions are left alone for that.

use std::time::Duration;

use tenure::{
    Home, Readiness, StartError, WorkerHandle,
    client::{Client, Outgoing},
    model::{Pool, WorkerConfig},
    store::{MemoryStore, Store},
};

use crate::{faults::flaky_worker, flaky::Flaky, fleet::Fleet};

const MINUTE: Duration = Duration::from_secs(60);
const LEASE: Duration = Duration::from_secs(10);

fn client(fleet: &Fleet) -> Client<MemoryStore> {
    Client::new(fleet.store.clone(), fleet.env.fork())
}

fn of(pool: &str) -> WorkerConfig {
    WorkerConfig { pool: pool.parse().unwrap(), ..WorkerConfig::named(pool.parse().unwrap()) }
}

fn moved_to(pool: &str) -> Home {
    Home::In(pool.parse().unwrap())
}

/// Who refuses a worker, and the sentence that says so.
fn refusal(started: Result<WorkerHandle, StartError>) -> (Vec<String>, String) {
    let Err(err) = started else { panic!("it started") };
    let said = err.to_string();
    let StartError::ServedElsewhere { workers, .. } = err else { panic!("{said}") };
    (workers.iter().map(|worker| worker.name().to_owned()).collect(), said)
}

async fn members(fleet: &Fleet) -> Vec<String> {
    let members = fleet.store.members().await.unwrap();
    members.iter().map(|member| member.worker.name().to_owned()).collect()
}

async fn home(fleet: &Fleet, agent: &str) -> Pool {
    fleet.store.agents().await.unwrap().known[&agent.parse().unwrap()].pool.clone()
}

async fn asked(fleet: &Fleet, session: &str) -> String {
    let answer = client(fleet).ask(Outgoing::text(session.parse().unwrap(), "x"), MINUTE).await.unwrap();
    answer.reply.unwrap().as_text().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_worker_with_an_agent_in_another_pool_than_those_who_serve_it_does_not_start_and_says_all() {
    let fleet = Fleet::new(1);
    let _gpu = [
        fleet.worker_of("a", "gpu", Home::Own).await.unwrap(),
        fleet.worker_of("b", "gpu", Home::Own).await.unwrap(),
    ];
    let (by, said) = refusal(fleet.worker_of("c", "cpu", Home::Own).await);
    assert_eq!(by, ["a", "b"]);
    for word in ["agent count", "pool gpu", "served by a-", ", b-", "pool cpu", "drain"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    assert_eq!(members(&fleet).await, ["a", "b"], "nothing is seen of it");
    assert_eq!(home(&fleet, "count").await.as_str(), "gpu");
}

#[tokio::test(start_paused = true)]
async fn of_two_workers_that_start_at_once_with_two_homes_one_starts() {
    let fleet = Fleet::new(2);
    let (store, cable) = Flaky::new(fleet.store.clone(), fleet.env.fork());
    // It has declared, nobody sees it yet, and it is held up: what it found is not so any more.
    cable.lose_next("join");
    let early = fleet.start(store, of("gpu"), Home::Own);
    let late = async {
        fleet.until(MINUTE, async || cable.has_lost()).await;
        fleet.worker_of("cpu", "cpu", Home::Own).await.unwrap()
    };
    let (early, late) = tokio::join!(early, late);
    assert_eq!(refusal(early).0, ["cpu"]);
    assert_eq!(members(&fleet).await, ["cpu"], "it has left again");
    assert_eq!(home(&fleet, "count").await.as_str(), "cpu");
    assert_eq!(asked(&fleet, "count/a").await, "1");
    late.drain().await;
}

#[tokio::test(start_paused = true)]
async fn an_agent_moves_when_those_who_served_it_are_gone() {
    let fleet = Fleet::new(3);
    let gpu = fleet.worker_of("gpu", "gpu", Home::Own).await.unwrap();
    gpu.drain().await;
    let cpu = fleet.worker_of("cpu", "cpu", Home::Own).await.unwrap();
    assert_eq!(home(&fleet, "count").await.as_str(), "cpu");
    cpu.kill().await;
    refusal(fleet.worker_of("gpu", "gpu", Home::Own).await);
    fleet.env.sleep(LEASE + Duration::from_millis(1)).await;
    fleet.worker_of("gpu", "gpu", Home::Own).await.expect("the dead count until their lease is over");
}

#[tokio::test(start_paused = true)]
async fn a_worker_of_the_former_pool_that_knows_of_the_move_serves_what_was_left_there() {
    let fleet = Fleet::new(4);
    let old = fleet.worker_of("old", "old", Home::Own).await.unwrap();
    assert_eq!(asked(&fleet, "count/a").await, "1");
    old.drain().await;
    let _new = fleet.worker_of("new", "new", Home::Own).await.unwrap();
    client(&fleet).send(Outgoing::text("count/a".parse().unwrap(), "x")).await.unwrap();
    fleet.env.sleep(MINUTE).await;
    assert_eq!(
        fleet.sight("count/a").await.record.turns,
        1,
        "it belongs to the pool it was first claimed in"
    );
    refusal(fleet.worker_of("old", "old", Home::Own).await);
    let _old = fleet.worker_of("old", "old", moved_to("new")).await.unwrap();
    fleet.until(MINUTE, async || fleet.sight("count/a").await.record.turns == 2).await;
    asked(&fleet, "count/b").await;
    assert_eq!(fleet.sight("count/b").await.record.pool.as_str(), "new");
    refusal(fleet.worker_of("third", "third", Home::Own).await);
}

#[tokio::test(start_paused = true)]
async fn an_agent_without_a_home_of_its_own_keeps_nobody_from_starting_and_is_always_served() {
    let fleet = Fleet::new(5);
    let gpu = fleet.worker_of("gpu", "gpu", Home::Found).await.unwrap();
    let _cpu = fleet.worker_of("cpu", "cpu", Home::Found).await.unwrap();
    assert_eq!(home(&fleet, "echo").await.as_str(), "gpu", "where it is served");
    assert_eq!(asked(&fleet, "echo/a").await, "x");
    gpu.drain().await;
    let _disk = fleet.worker_of("disk", "disk", Home::Found).await.unwrap();
    assert_eq!(home(&fleet, "echo").await.as_str(), "disk", "nobody served it there any more");
    assert_eq!(asked(&fleet, "echo/b").await, "x");
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_comes_back_after_its_agents_moved_serves_what_is_its_pools_and_gets_no_new_sessions() {
    let fleet = Fleet::new(6);
    let (store, cable) = Flaky::new(fleet.store.clone(), fleet.env.fork());
    let first = fleet.start(store, of("gpu"), Home::Own).await.unwrap();
    assert_eq!(asked(&fleet, "count/old").await, "1");
    let buried = first.id();
    cable.cut();
    fleet.env.sleep(LEASE * 3).await;
    let second = fleet.worker_of("cpu", "cpu", Home::Own).await.unwrap();
    fleet.env.sleep(MINUTE).await;
    cable.heal();
    fleet.until(MINUTE, async || first.readiness() == Readiness::Ready && first.id() != buried).await;
    assert_eq!(members(&fleet).await, ["cpu", "gpu"]);
    assert_eq!(asked(&fleet, "count/old").await, "2", "nobody else may");
    fleet.env.sleep(MINUTE).await;
    assert_eq!(home(&fleet, "count").await.as_str(), "cpu", "who is there keeps it");
    asked(&fleet, "count/new").await;
    assert_eq!(fleet.sight("count/new").await.record.pool.as_str(), "cpu");
    second.drain().await;
    fleet.until(MINUTE, async || home(&fleet, "count").await.as_str() == "gpu").await;
}

#[tokio::test(start_paused = true)]
async fn a_home_that_a_failed_start_left_behind_is_set_right_by_those_who_serve_the_agent() {
    let fleet = Fleet::new(7);
    let (store, cable) = Flaky::new(fleet.store.clone(), fleet.env.fork());
    let first = fleet.start(store, of("gpu"), Home::Own).await.unwrap();
    let lived = first.id();
    cable.cut();
    fleet.until(MINUTE, async || members(&fleet).await.is_empty()).await;
    // Another start of elsewhere comes as far as this, and no further.
    let agent = "count".parse().unwrap();
    let mut there = fleet.store.agents().await.unwrap().known[&agent].clone();
    there.pool = "cpu".parse().unwrap();
    fleet.store.declare(&"cpu-00000001".parse().unwrap(), &agent, &there).await.unwrap();
    cable.heal();
    fleet.until(MINUTE, async || home(&fleet, "count").await.as_str() == "gpu").await;
    assert_eq!(first.id(), lived, "it was not buried, and did not start anew");
    assert_eq!(asked(&fleet, "count/a").await, "1");
}

#[tokio::test(start_paused = true)]
async fn a_worker_whose_agents_row_can_no_longer_be_read_goes_on_with_it_and_leaves_the_row_as_it_is() {
    let fleet = Fleet::new(31);
    let (_worker, cable) = flaky_worker(&fleet, "here").await;
    assert_eq!(asked(&fleet, "count/a").await, "1");
    cable.spoil_row("count".parse().unwrap());
    let (looks, declared) = (cable.calls("agents"), cable.calls("declare"));
    fleet.until(MINUTE, async || cable.calls("agents") > looks + 20).await;
    assert_eq!(asked(&fleet, "count/a").await, "2");
    assert_eq!(cable.calls("declare"), declared);
}
