//! Durability classes: a reply keeps the one that its commit was written at.

use std::time::Duration;

use tenure::{
    WorkerHandle,
    client::{Client, ClientError, Outgoing},
    model::{Durability, NewMessage, ReplyTo, WorkerConfig},
    store::Store,
};

use crate::fleet::Fleet;

const MINUTE: Duration = Duration::from_secs(60);
const REPLICATED: Durability = Durability { fsync: false, replicas: 1 };

async fn worker_at(fleet: &Fleet, name: &str, durability: Durability) -> WorkerHandle {
    fleet.worker_with(name, |config| WorkerConfig { durability, ..config }).await
}

/// A worker at `replicas:1` has written a reply to `message` that no replica has, and died; the next one declares `memory`.
async fn left_by_a_dead_worker(fleet: &Fleet, message: NewMessage) -> WorkerHandle {
    let dead = worker_at(fleet, "a", REPLICATED).await;
    fleet.store.set_replicas(0);
    let session = message.session.to_string();
    fleet.store.send(&message).await.unwrap();
    fleet.store.set_replicas(1);
    // Its claim is through; its commit is not.
    fleet.until(MINUTE, async || fleet.sight(&session).await.record.owner.is_some()).await;
    fleet.store.set_replicas(0);
    fleet.until(MINUTE, async || fleet.history(&session).await.len() == 2).await;
    dead.kill().await;
    worker_at(fleet, "b", Durability::MEMORY).await
}

#[tokio::test(start_paused = true)]
async fn a_reply_left_behind_waits_for_the_class_of_its_commit_and_not_for_what_is_declared_by_then() {
    let fleet = Fleet::new(1);
    let key: ReplyTo = "my:replies".parse().unwrap();
    let message = NewMessage { reply_to: Some(key.clone()), ..fleet.message("slow/alice", "hi") };
    let _worker = left_by_a_dead_worker(&fleet, message).await;
    fleet.env.sleep(MINUTE).await;
    assert_eq!(fleet.store.take_reply(&key, Duration::ZERO).await.unwrap(), None, "no replica has it");
    fleet.store.set_replicas(1);
    assert_eq!(fleet.reply(&key).await.class, Some(REPLICATED));
}

#[tokio::test(start_paused = true)]
async fn an_answer_asked_for_again_is_told_at_the_class_of_its_commit() {
    let fleet = Fleet::new(2);
    let message = NewMessage { id: Some("k1".parse().unwrap()), ..fleet.message("slow/bob", "hi") };
    let _worker = left_by_a_dead_worker(&fleet, message.clone()).await;
    let client = Client::new(fleet.store.clone(), fleet.env.fork());
    let again = || Outgoing::text(message.session.clone(), "hi").id("k1".parse().unwrap());
    let unknown = client.ask(again(), Duration::from_secs(5)).await.unwrap_err();
    assert!(matches!(unknown, ClientError::NotReached(REPLICATED)), "{unknown:?}");
    fleet.store.set_replicas(1);
    assert_eq!(client.ask(again(), MINUTE).await.unwrap().class, REPLICATED);
}
