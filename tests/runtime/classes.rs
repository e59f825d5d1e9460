//! Durability classes: a reply keeps the one that its commit was written at.

use std::time::Duration;

use tenure::{
    Home, WorkerHandle,
    client::{Client, ClientError, Outgoing},
    model::{Door, Durability, Envelope, NewMessage, ReplyTo, WorkerConfig},
    store::{DeadLetter, Refused, Relay, Relayed, RelayedKind, Store},
};

use crate::{faults::flaky_worker, flaky::Flaky, fleet::Fleet};

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
async fn a_turn_at_memory_leaves_nothing_to_deliver_and_one_at_a_class_does() {
    let fleet = Fleet::new(3);
    let (_worker, cable) = flaky_worker(&fleet, "here").await;
    assert_eq!(fleet.ask_text("echo/a", "hi").await, "hi");
    assert_eq!(cable.calls("deliver"), 0);
    let message = asking(&fleet, "echo/a", "r");
    fleet.store.send(&message).await.unwrap();
    assert_eq!(fleet.reply(&"r".parse().unwrap()).await.class, Some(REPLICATED));
    assert_eq!(cable.calls("deliver"), 1);
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

/// A message for an agent at `memory` that asks for `replicas:1`, accepted without.
fn asking(fleet: &Fleet, session: &str, list: &str) -> NewMessage {
    let reply_to = Some(list.parse().unwrap());
    NewMessage { durability: REPLICATED, reply_to, ..fleet.message(session, "hi") }
}

async fn reply_now(fleet: &Fleet, list: &str) -> Option<Envelope> {
    let reply = fleet.store.take_reply(&list.parse().unwrap(), Duration::ZERO).await.unwrap();
    reply.map(|reply| serde_json::from_str(&reply).unwrap())
}

async fn post(fleet: &Fleet, fields: &[(&str, &str)]) {
    let fields = fields.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()));
    fleet.store.post(Door::MAIN, &fields.collect::<Vec<_>>()).await.unwrap();
}

async fn left_at_the_door(fleet: &Fleet) -> usize {
    fleet.store.ingress(Door::MAIN, 10, Duration::ZERO).await.unwrap().entries.len()
}

async fn letters(fleet: &Fleet, session: &str) -> Vec<DeadLetter> {
    let at = fleet.store.partitions().of(&session.parse().unwrap());
    fleet.store.dead(at, None, 10).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_turn_reaches_what_its_message_asks_for_and_others_of_its_agent_do_not_wait() {
    let fleet = Fleet::new(3);
    let _worker = worker_at(&fleet, "a", Durability::MEMORY).await;
    fleet.store.set_replicas(0);
    fleet.store.send(&asking(&fleet, "slow/alice", "asked")).await.unwrap();
    assert_eq!(fleet.ask("slow/bob", "plain").await.class, None);
    fleet.env.sleep(MINUTE).await;
    assert_eq!(reply_now(&fleet, "asked").await, None, "no replica has it");
    assert_eq!(fleet.history("slow/alice").await.len(), 2, "though it is written");
    fleet.store.set_replicas(1);
    assert_eq!(fleet.reply(&"asked".parse().unwrap()).await.class, Some(REPLICATED));
}

#[tokio::test(start_paused = true)]
async fn every_boundary_of_the_turn_reaches_what_its_message_asks_for() {
    let fleet = Fleet::new(4);
    let _worker = worker_at(&fleet, "a", Durability::MEMORY).await;
    fleet.store.set_replicas(0);
    let failing = NewMessage { body: tenure::Body::text("fail once"), ..asking(&fleet, "moody/a", "asked") };
    fleet.store.send(&failing).await.unwrap();
    fleet.env.sleep(MINUTE).await;
    assert_eq!(fleet.history("moody/a").await, [], "its second run waits for the end of the first");
    fleet.store.set_replicas(1);
    assert_eq!(fleet.reply(&"asked".parse().unwrap()).await.class, Some(REPLICATED));
}

#[tokio::test(start_paused = true)]
async fn what_a_message_asks_for_holds_for_whoever_runs_it() {
    let fleet = Fleet::new(5);
    let first = worker_at(&fleet, "a", Durability::MEMORY).await;
    fleet.store.send(&asking(&fleet, "slow/alice", "asked")).await.unwrap();
    fleet.until(MINUTE, async || fleet.sight("slow/alice").await.record.owner.is_some()).await;
    first.kill().await;
    fleet.store.set_replicas(0);
    let _second = worker_at(&fleet, "b", Durability::MEMORY).await;
    fleet.until(MINUTE, async || fleet.history("slow/alice").await.len() == 2).await;
    fleet.env.sleep(MINUTE).await;
    assert_eq!(reply_now(&fleet, "asked").await, None);
    fleet.store.set_replicas(1);
    assert_eq!(fleet.reply(&"asked".parse().unwrap()).await.class, Some(REPLICATED));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_asks_for_less_than_its_agent_gets_what_the_agent_has() {
    let fleet = Fleet::new(6);
    let _worker = worker_at(&fleet, "a", REPLICATED).await;
    let client = Client::new(fleet.store.clone(), fleet.env.fork());
    let weaker = Outgoing::text("echo/a".parse().unwrap(), "hi").durability(Durability::MEMORY);
    assert_eq!(client.ask(weaker, MINUTE).await.unwrap().class, REPLICATED);
    let other = Outgoing::text("echo/a".parse().unwrap(), "hi").durability("fsync".parse().unwrap());
    assert_eq!(client.ask(other, MINUTE).await.unwrap().class, "fsync+replicas:1".parse().unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_client_is_told_at_once_what_its_server_lacks_and_nothing_is_sent() {
    let fleet = Fleet::new(7);
    fleet.store.set_provided(0);
    let client = Client::new(fleet.store.clone(), fleet.env.fork());
    let message = Outgoing::text("echo/a".parse().unwrap(), "hi").durability(REPLICATED);
    let refused = client.send(message).await.unwrap_err();
    assert!(matches!(refused, ClientError::Beyond { class: REPLICATED, .. }), "{refused:?}");
    assert!(refused.to_string().contains("0 replicas follow: ask for fewer"), "{refused}");
    assert_eq!(fleet.store.look(&"echo/a".parse().unwrap()).await.unwrap(), tenure::store::Look::Absent);
}

#[tokio::test(start_paused = true)]
async fn an_entry_of_the_plain_door_stays_until_what_it_asks_for_is_reached() {
    let fleet = Fleet::new(8);
    let _worker = worker_at(&fleet, "a", Durability::MEMORY).await;
    fleet.store.set_replicas(0);
    post(&fleet, &[("to", "echo/a"), ("body", "hi"), ("durability", "replicas:1"), ("reply_to", "r")]).await;
    fleet.env.sleep(MINUTE).await;
    assert_eq!((left_at_the_door(&fleet).await, reply_now(&fleet, "r").await), (1, None));
    fleet.store.set_replicas(1);
    assert_eq!(fleet.reply(&"r".parse().unwrap()).await.class, Some(REPLICATED));
    fleet.until(MINUTE, async || left_at_the_door(&fleet).await == 0).await;
    assert_eq!(fleet.texts("echo/a").await, ["hi"]);
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_asks_for_what_its_server_lacks_is_refused_and_holds_up_nobody() {
    let fleet = Fleet::new(9);
    let _worker = worker_at(&fleet, "a", Durability::MEMORY).await;
    fleet.store.set_provided(0);
    post(&fleet, &[("to", "echo/a"), ("body", "hi"), ("durability", "replicas:1"), ("reply_to", "r")]).await;
    post(&fleet, &[("to", "echo/a"), ("body", "next"), ("reply_to", "next")]).await;
    let error = fleet.reply(&"r".parse().unwrap()).await.error.expect("an error");
    assert_eq!(error.reason, "durability");
    assert_eq!(error.message, "replicas:1 is asked for: 0 replicas follow: ask for fewer");
    assert!(fleet.reply(&"next".parse().unwrap()).await.reply.is_some());
    let [letter] = &letters(&fleet, "echo/a").await[..] else { panic!("one letter") };
    assert_eq!((letter.reason.as_str(), letter.durability), ("durability", REPLICATED));
    fleet.until(MINUTE, async || left_at_the_door(&fleet).await == 0).await;

    // Once the replica is there it can be sent again, and asks for it again.
    let client = Client::new(fleet.store.clone(), fleet.env.fork());
    let id = tenure::client::DeadId::of(letter);
    assert!(matches!(client.retry(id).await, Err(ClientError::Beyond { .. })));
    fleet.store.set_provided(1);
    client.retry(id).await.unwrap();
    assert_eq!(fleet.reply(&"r".parse().unwrap()).await.class, Some(REPLICATED));
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_was_refused_by_a_relay_that_died_then_is_removed_by_the_next() {
    let fleet = Fleet::new(10);
    post(&fleet, &[("to", "echo/a"), ("body", "hi"), ("durability", "replicas:1"), ("reply_to", "r")]).await;
    let refused = Refused {
        session: Some("echo/a".parse().unwrap()),
        id: None,
        reply_to: Some("r".parse().unwrap()),
        durability: REPLICATED,
        reason: "durability".into(),
        sentence: "no".into(),
        body: tenure::Body::text("hi"),
    };
    relay_by_hand(&fleet, RelayedKind::Refuse(Box::new(refused))).await;
    fleet.store.set_provided(0);
    fleet.store.set_replicas(0);
    let _worker = worker_at(&fleet, "a", Durability::MEMORY).await;
    fleet.until(MINUTE, async || left_at_the_door(&fleet).await == 0).await;
    assert_eq!(letters(&fleet, "echo/a").await.len(), 1, "once");
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_was_taken_stays_until_its_class_is_reached_though_the_server_lacks_it_by_then() {
    let fleet = Fleet::new(11);
    post(&fleet, &[("to", "echo/a"), ("body", "hi"), ("durability", "replicas:1")]).await;
    let taken = NewMessage { durability: REPLICATED, ..fleet.message("echo/a", "hi") };
    relay_by_hand(&fleet, RelayedKind::Message(Box::new(taken))).await;
    fleet.store.set_provided(0);
    fleet.store.set_replicas(0);
    let _worker = worker_at(&fleet, "a", Durability::MEMORY).await;
    fleet.env.sleep(MINUTE * 5).await;
    assert_eq!(left_at_the_door(&fleet).await, 1);
    for _ in 0..3 {
        post(&fleet, &[("to", "echo/b"), ("body", "hi")]).await;
    }
    fleet.until(MINUTE, async || fleet.history("echo/b").await.len() == 6).await;
    fleet.until(MINUTE, async || left_at_the_door(&fleet).await == 1).await;
    fleet.store.set_replicas(1);
    fleet.until(MINUTE, async || left_at_the_door(&fleet).await == 0).await;
}

/// Takes the first entry of the door as `what`, and leaves it there.
async fn relay_by_hand(fleet: &Fleet, what: RelayedKind) {
    let id = fleet.store.ingress(Door::MAIN, 1, Duration::ZERO).await.unwrap().entries[0].id;
    let at = fleet.store.partitions().of(&"echo/a".parse().unwrap());
    fleet.store.relay(at, Door::MAIN, None, &[Relayed { id, what }]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_accepted_message_waits_a_minute_for_what_its_server_lacks_and_is_then_given_up_on_unrun() {
    let fleet = Fleet::new(12);
    let _worker = worker_at(&fleet, "a", Durability::MEMORY).await;
    fleet.store.set_provided(0);
    fleet.store.set_replicas(0);
    fleet.store.send(&asking(&fleet, "echo/a", "first")).await.unwrap();
    fleet.env.sleep(MINUTE / 2).await;
    assert_eq!(reply_now(&fleet, "first").await, None);
    assert!(fleet.history("echo/a").await.is_empty(), "it was not run");
    let error = fleet.reply(&"first".parse().unwrap()).await.error.expect("an error");
    assert_eq!(error.reason, "durability");
    let [letter] = &letters(&fleet, "echo/a").await[..] else { panic!("one letter") };
    assert_eq!(letter.durability, REPLICATED);

    fleet.store.send(&asking(&fleet, "echo/a", "second")).await.unwrap();
    fleet.env.sleep(MINUTE / 2).await;
    fleet.store.set_provided(1);
    fleet.store.set_replicas(1);
    assert_eq!(fleet.reply(&"second".parse().unwrap()).await.class, Some(REPLICATED), "its replica came");
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_drains_hands_off_a_message_that_waits_for_what_its_server_lacks() {
    let fleet = Fleet::new(13);
    let first = worker_at(&fleet, "a", Durability::MEMORY).await;
    fleet.store.set_provided(0);
    fleet.store.send(&asking(&fleet, "echo/a", "asked")).await.unwrap();
    fleet.until(MINUTE, async || fleet.sight("echo/a").await.record.owner.is_some()).await;
    fleet.env.sleep(MINUTE / 4).await;
    let before = fleet.env.now();
    first.drain().await;
    assert!(fleet.env.now().since(before) < MINUTE / 4);
    fleet.store.set_provided(1);
    let _second = worker_at(&fleet, "b", Durability::MEMORY).await;
    assert_eq!(fleet.reply(&"asked".parse().unwrap()).await.class, Some(REPLICATED));
}

/// What a claim would count as deaths of its owners now.
async fn crashes(fleet: &Fleet, session: &str) -> usize {
    fleet.sight(session).await.record.crashes_at_claim().len()
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_drains_gives_back_at_once_what_it_claimed_and_no_replica_has_and_that_is_no_crash() {
    let fleet = Fleet::new(14);
    let first = worker_at(&fleet, "a", REPLICATED).await;
    fleet.store.set_replicas(0);
    fleet.send("echo/alice", "hi").await;
    fleet.until(MINUTE, async || fleet.sight("echo/alice").await.record.owner.is_some()).await;
    let before = fleet.env.now();
    first.drain().await;
    assert!(fleet.env.now().since(before) < Duration::from_secs(5), "nothing runs that would need its grace");
    assert_eq!(fleet.sight("echo/alice").await.record.owner, None);
    assert_eq!(crashes(&fleet, "echo/alice").await, 0);
    assert!(fleet.history("echo/alice").await.is_empty(), "and nothing ran");

    fleet.store.set_replicas(1);
    let _second = worker_at(&fleet, "b", REPLICATED).await;
    fleet.until(MINUTE, async || fleet.history("echo/alice").await.len() == 2).await;
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_no_replica_has_when_the_grace_is_over_is_given_back_untold_and_is_no_crash() {
    let fleet = Fleet::new(15);
    let first = worker_at(&fleet, "a", REPLICATED).await;
    let (told, key): (_, ReplyTo) = (fleet.message("slow/bob", "hi"), "my:replies".parse().unwrap());
    fleet.store.send(&NewMessage { reply_to: Some(key.clone()), ..told }).await.unwrap();
    fleet.send("slow/bob", "next").await;
    fleet.until(MINUTE, async || fleet.sight("slow/bob").await.record.owner.is_some()).await;
    fleet.store.set_replicas(0);
    fleet.until(MINUTE, async || fleet.history("slow/bob").await.len() == 2).await;
    first.drain().await;
    assert_eq!(fleet.sight("slow/bob").await.record.owner, None);
    assert_eq!(crashes(&fleet, "slow/bob").await, 0);
    assert_eq!(reply_now(&fleet, "my:replies").await, None, "no replica has it");

    fleet.store.set_replicas(1);
    let _second = worker_at(&fleet, "b", REPLICATED).await;
    assert_eq!(fleet.reply(&key).await.class, Some(REPLICATED));
    fleet.until(MINUTE, async || fleet.texts("slow/bob").await == ["hi", "next"]).await;
}

#[tokio::test(start_paused = true)]
async fn an_entry_whose_class_nobody_can_tell_of_yet_keeps_no_other_session_waiting() {
    let fleet = Fleet::new(20);
    let (store, cable) = Flaky::new(fleet.store.clone(), fleet.env.fork());
    let _worker = fleet.start(store, WorkerConfig::named("a".parse().unwrap()), Home::Own).await.unwrap();
    cable.give_up_after(MINUTE);
    cable.lose_next("lacks");
    post(&fleet, &[("to", "echo/a"), ("body", "asks"), ("durability", "replicas:1")]).await;
    post(&fleet, &[("to", "echo/b"), ("body", "other")]).await;
    fleet.until(Duration::from_secs(5), async || fleet.texts("echo/b").await == ["other"]).await;
    assert!(cable.has_lost() && fleet.texts("echo/a").await.is_empty(), "it is still being looked at");
    fleet.until(MINUTE * 2, async || fleet.texts("echo/a").await == ["asks"]).await;
    fleet.until(MINUTE, async || left_at_the_door(&fleet).await == 0).await;
}

#[tokio::test(start_paused = true)]
async fn however_many_entries_wait_for_their_class_those_behind_them_are_taken_and_removed() {
    let fleet = Fleet::new(21);
    let _worker = worker_at(&fleet, "a", Durability::MEMORY).await;
    fleet.store.set_replicas(0);
    for _ in 0..600 {
        post(&fleet, &[("to", "echo/a"), ("body", "asks"), ("durability", "replicas:1")]).await;
    }
    post(&fleet, &[("to", "echo/b"), ("body", "other")]).await;
    fleet.until(MINUTE, async || fleet.texts("echo/b").await == ["other"]).await;
    fleet.env.sleep(MINUTE).await;
    let left = fleet.store.ingress(Door::MAIN, 1_000, Duration::ZERO).await.unwrap().entries.len();
    assert_eq!(left, 600, "those that wait, and no other");
    fleet.store.set_replicas(1);
    fleet.until(MINUTE * 20, async || fleet.texts("echo/a").await.len() == 600).await;
    fleet.until(MINUTE, async || left_at_the_door(&fleet).await == 0).await;
}

#[tokio::test(start_paused = true)]
async fn what_another_relay_took_stays_at_the_door_until_it_has_reached_its_class() {
    let fleet = Fleet::new(22);
    let _worker = worker_at(&fleet, "a", Durability::MEMORY).await;
    post(&fleet, &[("to", "echo/a"), ("body", "first")]).await;
    fleet.until(MINUTE, async || fleet.texts("echo/a").await == ["first"]).await;
    fleet.until(MINUTE, async || left_at_the_door(&fleet).await == 0).await;

    // Another holder of the duty takes the next entry before this worker sees it; no replica has that.
    let at = fleet.store.partitions().of(&"echo/a".parse().unwrap());
    let before = fleet.store.cursors(Door::MAIN, &[at]).await.unwrap().of(at).unwrap();
    fleet.store.set_replicas(0);
    let fields = [("to", "echo/a"), ("body", "second"), ("durability", "replicas:1")];
    let fields = fields.map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()));
    let id = fleet.store.post(Door::MAIN, &fields).await.unwrap();
    let message =
        NewMessage { durability: REPLICATED, class: REPLICATED, ..fleet.message("echo/a", "second") };
    let what = RelayedKind::Message(Box::new(message));
    let taken = fleet.store.relay(at, Door::MAIN, before, &[Relayed { id, what }]).await.unwrap();
    assert_eq!(taken, Relay::Unknown);

    fleet.env.sleep(Duration::from_secs(10)).await;
    assert_eq!(left_at_the_door(&fleet).await, 1, "it may be lost yet");
    fleet.store.set_replicas(1);
    fleet.until(MINUTE, async || left_at_the_door(&fleet).await == 0).await;
    fleet.until(MINUTE, async || fleet.texts("echo/a").await == ["first", "second"]).await;
}

#[tokio::test(start_paused = true)]
async fn an_error_of_an_agent_of_which_nobody_can_read_waits_for_what_covers_all_others() {
    let fleet = Fleet::new(23);
    let (store, cable) = Flaky::new(fleet.store.clone(), fleet.env.fork());
    cable.spoil_row("other".parse().unwrap());
    let config = WorkerConfig { durability: REPLICATED, ..WorkerConfig::named("a".parse().unwrap()) };
    let _worker = fleet.start(store, config, Home::Own).await.unwrap();
    fleet.store.set_replicas(0);
    let key: ReplyTo = "my:replies".parse().unwrap();
    post(&fleet, &[("to", "other/a"), ("body", "x"), ("reply_to", "my:replies")]).await;
    let partition = fleet.store.partitions().of(&"other/a".parse().unwrap());
    let dead = async || fleet.store.dead(partition, None, 10).await.unwrap().len();
    fleet.until(MINUTE, async || dead().await == 1).await;
    fleet.env.sleep(MINUTE).await;
    assert_eq!(fleet.store.take_reply(&key, Duration::ZERO).await.unwrap(), None, "no replica has it");
    fleet.store.set_replicas(1);
    assert_eq!(fleet.reply(&key).await.error.unwrap().reason, "unreadable");
}
