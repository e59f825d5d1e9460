//! Work finds a worker, evenly, and what cannot be served stands in nobody's way.

use std::time::Duration;

use tenure::{
    Agent, AgentError, Message, Reply, Turn, Worker, WorkerHandle,
    agents::Echo,
    client::Client,
    model::{Cause, TurnPolicy, WorkerConfig},
};

use crate::fleet::Fleet;

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn three_idle_workers_share_300_new_sessions_with_at_least_a_fifth_each() {
    for seed in 0..5 {
        let fleet = Fleet::new(seed);
        let workers = [fleet.worker("a").await, fleet.worker("b").await, fleet.worker("c").await];
        for n in 0..300 {
            fleet.send(&format!("echo/{n}"), "x").await;
        }
        fleet.until(MINUTE, async || workers.iter().map(|w| w.load().sessions).sum::<usize>() == 300).await;
        let shares = workers.each_ref().map(|worker| worker.load().sessions);
        assert!(shares.iter().all(|share| *share >= 60), "seed {seed}: {shares:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_sessions_of_an_unknown_agent_delay_nobody() {
    let fleet = Fleet::new(1);
    let _worker = fleet.worker("w").await;
    for n in 0..10_000 {
        fleet.send(&format!("nobody/{n}"), "x").await;
    }
    let start = fleet.env.now();
    assert_eq!(fleet.ask_text("echo/a", "hello").await, "hello");
    assert!(fleet.env.now().since(start) < Duration::from_millis(10));
    assert_eq!(fleet.sight("nobody/9999").await.waiting, 1);
}

#[tokio::test(start_paused = true)]
async fn a_full_worker_makes_room_by_letting_its_longest_idle_session_go() {
    let fleet = Fleet::new(2);
    let worker = fleet.worker_with("w", |config| WorkerConfig { capacity: 10, ..config }).await;
    for n in 0..30 {
        assert_eq!(fleet.ask_text(&format!("count/{n}"), "x").await, "1");
        assert!(worker.load().sessions <= 10);
    }
    assert_eq!(fleet.ask_text("count/0", "x").await, "2");
}

#[tokio::test(start_paused = true)]
async fn busy_sessions_are_not_put_out_and_the_rest_waits_for_room() {
    let fleet = Fleet::new(3);
    let worker = fleet.worker_with("w", |config| WorkerConfig { capacity: 5, ..config }).await;
    for n in 0..20 {
        fleet.send(&format!("slow/{n}"), "x").await;
    }
    let done = async || {
        assert!(worker.load().sessions <= 5);
        let mut turns = 0;
        for n in 0..20 {
            turns += fleet.sight(&format!("slow/{n}")).await.record.turns;
        }
        turns == 20
    };
    let took = fleet.until(MINUTE, done).await;
    assert!(took < Duration::from_secs(8), "four rounds of a second each, and little more: {took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_session_of_one_pool_is_never_claimed_by_another() {
    let fleet = Fleet::new(4);
    let _other =
        fleet.worker_with("w", |config| WorkerConfig { pool: "eu".parse().unwrap(), ..config }).await;
    let message =
        tenure::model::NewMessage { pool: "us".parse().unwrap(), ..fleet.message("private/a", "x") };
    {
        use tenure::store::Store;
        fleet.store.send(&message).await.unwrap();
    }
    fleet.env.sleep(MINUTE).await;
    assert_eq!(fleet.sight("private/a").await.record.turns, 0);
}

#[tokio::test(start_paused = true)]
async fn a_session_sent_to_before_its_agent_was_declared_finds_its_pool() {
    let fleet = Fleet::new(5);
    fleet.send("echo/early", "x").await;
    let _worker =
        fleet.worker_with("w", |config| WorkerConfig { pool: "eu".parse().unwrap(), ..config }).await;
    fleet.until(MINUTE, async || fleet.sight("echo/early").await.record.turns == 1).await;
    assert_eq!(fleet.sight("echo/early").await.record.pool.as_str(), "eu");
}

/// Takes half a minute for each turn, two at once in each worker.
struct Long;

impl Agent for Long {
    type State = ();

    fn policy(&self) -> TurnPolicy {
        TurnPolicy { concurrency: 2, ..TurnPolicy::default() }
    }

    async fn turn(&self, cx: &mut Turn<()>, _: Message) -> Result<Reply, AgentError> {
        cx.sleep(MINUTE / 2).await;
        Ok(Reply::none())
    }
}

async fn worker_of_long_turns(fleet: &Fleet, name: &str) -> WorkerHandle {
    let worker = Worker::builder(fleet.store.clone())
        .env(fleet.env.fork())
        .config(WorkerConfig::named(name.parse().unwrap()))
        .agent("echo", Echo)
        .agent("long", Long);
    worker.start().await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_worker_whose_agent_is_full_is_offered_no_more_of_it_though_it_has_the_least_to_do() {
    for seed in 0..5 {
        let fleet = Fleet::new(seed);
        let laden = worker_of_long_turns(&fleet, "laden").await;
        for n in 0..10 {
            fleet.ask_text(&format!("echo/{n}"), "x").await;
        }
        let free = worker_of_long_turns(&fleet, "free").await;
        // A renewal, so that every partition knows the loads.
        fleet.env.sleep(MINUTE / 12).await;
        let running = || (free.load().running, laden.load().running);
        for (n, expected) in [(1, 0), (2, 0), (2, 1), (2, 2)].into_iter().enumerate() {
            fleet.send(&format!("long/{n}"), "x").await;
            fleet.until(MINUTE / 60, async || running() == expected).await;
            // As long as it may take until everybody knows what is full.
            fleet.env.sleep(Duration::from_millis(300)).await;
        }
        assert_eq!(fleet.ask_text("echo/fresh", "x").await, "x");
        assert!(free.load().sessions == 3, "seed {seed}: only the full agent is not offered");
        fleet.send("long/waits", "x").await;
        let view =
            Client::new(fleet.store.clone(), fleet.env.fork()).session(&"long/waits".parse().unwrap()).await;
        assert_eq!(view.unwrap().cause, Some(Cause::Capacity));
        let took = fleet.until(MINUTE, async || fleet.sight("long/waits").await.record.turns == 1).await;
        assert!(took < Duration::from_secs(61), "seed {seed}: taken when there was room again: {took:?}");
    }
}
