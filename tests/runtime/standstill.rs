//! A runtime whose threads are blocked: nothing runs, and trust ends all the same.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use tenure::{
    Agent, AgentError, Env, Message, Reply, Turn, Worker,
    model::{LeaseTimes, Settings, WorkerConfig},
    store::{MemoryStore, Store},
};

use crate::fleet::Fleet;

const LEASE: Duration = Duration::from_secs(1);

/// Blocks the thread it runs on for longer than a lease, the first time.
struct Blocking(AtomicBool);

impl Agent for Blocking {
    type State = ();

    async fn turn(&self, _: &mut Turn<()>, _: Message) -> Result<Reply, AgentError> {
        let first = !self.0.swap(true, Ordering::Relaxed);
        if first {
            thread::sleep(LEASE * 2);
        }
        Ok(Reply::text(if first { "blocked" } else { "again" }))
    }
}

/// In real time, and on one thread: what blocks it blocks the worker's renewals and all else.
#[tokio::test]
async fn a_turn_that_blocked_the_runtime_for_longer_than_its_lease_writes_nothing() {
    let env = Env::system();
    let store = MemoryStore::new("test".parse().unwrap(), Settings::default(), Arc::new(env.clone()));
    let fleet = Fleet { store: store.clone(), env: env.clone() };
    let lease = LeaseTimes::new(LEASE).unwrap();
    let config = WorkerConfig { lease, ..WorkerConfig::named("w".parse().unwrap()) };
    let builder =
        Worker::builder(store).env(env).config(config).agent("blocking", Blocking(AtomicBool::new(false)));
    let worker = builder.with_watchdog().start().await.unwrap();
    assert_eq!(fleet.ask_text("blocking/a", "x").await, "again", "the first run was fenced");
    assert_eq!(fleet.texts("blocking/a").await, ["x"], "once");
    assert!(fleet.store.members().await.unwrap().iter().any(|member| member.worker == worker.id()));
    worker.drain().await;
}
