//! The plain door: any entry ends in a history or in `dead`, in order, once.

use std::{sync::Arc, time::Duration};

use tenure::{
    Home, Worker, WorkerHandle,
    agents::Echo,
    model::{Door, Partition, ReplyTo, SessionId, Settings, StreamId, WorkerConfig},
    store::{MemoryStore, Relay, Relayed, RelayedKind, Store},
};

use crate::{
    flaky::{Cable, Flaky},
    fleet::Fleet,
    log::Log,
};

const MINUTE: Duration = Duration::from_secs(60);

async fn post(fleet: &Fleet, fields: &[(&str, &[u8])]) {
    post_at(fleet, Door::MAIN, fields).await;
}

async fn post_at(fleet: &Fleet, door: Door, fields: &[(&str, &[u8])]) {
    let fields: Vec<_> =
        fields.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.to_vec())).collect();
    fleet.store.post(door, &fields).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn entries_of_the_plain_door_become_turns_in_order_and_are_removed() {
    let fleet = Fleet::new(1);
    let _worker = fleet.worker("w").await;
    for n in 0..500 {
        let to = format!("count/{}", n % 7);
        post(&fleet, &[("to", to.as_bytes()), ("body", n.to_string().as_bytes())]).await;
    }
    for session in 0..7 {
        let expected: Vec<_> = (0..500).filter(|n| n % 7 == session).map(|n| n.to_string()).collect();
        let name = format!("count/{session}");
        fleet.until(MINUTE, async || fleet.texts(&name).await == expected).await;
    }
    fleet
        .until(MINUTE, async || {
            fleet.store.ingress(Door::MAIN, 10, Duration::ZERO).await.unwrap().entries.is_empty()
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn entries_of_every_door_become_turns_in_the_order_of_that_door() {
    let fleet = Fleet::new(6);
    let _workers = [fleet.worker("v").await, fleet.worker("w").await];
    let doors: Vec<_> = fleet.store.partitions().doors().collect();
    for n in 0..30 {
        for door in &doors {
            let to = format!("count/{door}");
            post_at(&fleet, *door, &[("to", to.as_bytes()), ("body", n.to_string().as_bytes())]).await;
        }
    }
    let expected: Vec<_> = (0..30).map(|n| n.to_string()).collect();
    for door in doors {
        let name = format!("count/{door}");
        fleet.until(MINUTE, async || fleet.texts(&name).await == expected).await;
        let seen = async || fleet.store.ingress(door, 10, Duration::ZERO).await.unwrap();
        fleet.until(MINUTE, async || seen().await.entries.is_empty()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_malformed_at_a_door_goes_to_dead_in_the_partition_that_relays_it() {
    let fleet = Fleet::new(7);
    let _worker = fleet.worker("w").await;
    let door = fleet.store.partitions().doors().last().unwrap();
    post_at(&fleet, door, &[("to", b"no slash"), ("body", b"x"), ("reply_to", b"my:replies")]).await;
    let error = fleet.reply(&"my:replies".parse().unwrap()).await.error.unwrap();
    assert_eq!(error.reason, "malformed");
    let dead = fleet.store.dead(door.partition(), None, 10).await.unwrap();
    assert_eq!(dead.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_malformed_entry_goes_to_dead_with_an_error_reply_and_stops_nobody() {
    let fleet = Fleet::new(2);
    let _worker = fleet.worker("w").await;
    let key: ReplyTo = "my:replies".parse().unwrap();
    post(&fleet, &[("to", b"no slash"), ("body", b"x"), ("reply_to", b"my:replies")]).await;
    let error = fleet.reply(&key).await.error.unwrap();
    assert_eq!(error.reason, "malformed");
    post(&fleet, &[("to", b"echo/a"), ("body", b"x"), ("reply_to", b"my:replies")]).await;
    let envelope = fleet.reply(&key).await;
    assert_eq!(envelope.reply.unwrap().unwrap().as_text().as_deref(), Some("x"));
    let dead = fleet.store.dead(Partition(0), None, 10).await.unwrap();
    assert_eq!(dead.iter().map(|letter| letter.reason.as_str()).collect::<Vec<_>>(), ["malformed"]);
}

#[tokio::test(start_paused = true)]
async fn relaying_goes_on_with_another_worker_when_the_relay_dies() {
    let fleet = Fleet::new(3);
    let first = fleet.worker("first").await;
    for n in 0..50 {
        post(&fleet, &[("to", b"count/a"), ("body", n.to_string().as_bytes())]).await;
    }
    fleet.until(MINUTE, async || fleet.texts("count/a").await.len() > 10).await;
    first.kill().await;
    for n in 50..100 {
        post(&fleet, &[("to", b"count/a"), ("body", n.to_string().as_bytes())]).await;
    }
    let _second = fleet.worker("second").await;
    let expected: Vec<_> = (0..100).map(|n| n.to_string()).collect();
    fleet.until(MINUTE, async || fleet.texts("count/a").await == expected).await;
}

async fn echo_worker(fleet: &Fleet) -> (WorkerHandle, Cable) {
    let (store, cable) = Flaky::new(fleet.store.clone(), fleet.env.fork());
    let builder = Worker::builder(store).env(fleet.env.fork()).agent("echo", Echo);
    (builder.start().await.unwrap(), cable)
}

#[tokio::test(start_paused = true)]
async fn an_entry_in_doubt_goes_to_dead_though_its_first_relaying_fails() {
    let fleet = Fleet::new(4);
    let session: SessionId = "echo/a".parse().unwrap();
    let partition = fleet.store.partitions().of(&session);
    // As if the door had given ids of an hour from now, and went back.
    let ahead = StreamId { millis: fleet.env.wall().plus(MINUTE * 60).0, seq: 0 };
    let earlier = RelayedKind::Message(Box::new(fleet.message("echo/a", "earlier")));
    fleet.store.relay(partition, Door::MAIN, None, &[Relayed { id: ahead, what: earlier }]).await.unwrap();
    let (_worker, cable) = echo_worker(&fleet).await;
    fleet.until(MINUTE, async || fleet.texts("echo/a").await == ["earlier"]).await;
    cable.lose_next("relay");
    post(&fleet, &[("to", b"echo/a"), ("body", b"in doubt")]).await;
    fleet.until(MINUTE, async || cable.has_lost()).await;
    let reasons = async || {
        let dead = fleet.store.dead(partition, None, 10).await.unwrap();
        dead.into_iter().map(|letter| letter.reason).collect::<Vec<_>>()
    };
    fleet.until(MINUTE, async || reasons().await == ["ambiguous"]).await;
    post(&fleet, &[("to", b"echo/a"), ("body", b"later")]).await;
    fleet.until(MINUTE, async || fleet.texts("echo/a").await == ["earlier", "later"]).await;
    assert_eq!(reasons().await, ["ambiguous"]);
}

#[tokio::test(start_paused = true)]
async fn an_entry_whose_taking_the_server_forgot_is_taken_again() {
    let fleet = Fleet::new(5);
    let earlier = MemoryStore::new("test".parse().unwrap(), Settings::default(), Arc::new(fleet.env.clone()));
    let (_worker, cable) = echo_worker(&fleet).await;
    let now_and_then = [fleet.store.clone(), earlier.clone()];
    for store in &now_and_then {
        let fields = [("to", "echo/a"), ("body", "x")];
        let fields = fields.map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()));
        store.post(Door::MAIN, &fields).await.unwrap();
    }
    fleet.until(MINUTE, async || fleet.texts("echo/a").await == ["x"]).await;
    cable.replace(earlier.clone());
    let after = Fleet { store: earlier, env: fleet.env.clone() };
    fleet.until(MINUTE, async || after.texts("echo/a").await == ["x"]).await;
}

/// A session of `count`, by its name, in another partition than those of `others`.
fn elsewhere(fleet: &Fleet, others: &[&str]) -> String {
    let partition = |name: &str| fleet.store.partitions().of(&name.parse().unwrap());
    let taken: Vec<_> = others.iter().map(|name| partition(name)).collect();
    (0..).map(|n| format!("count/{n}")).find(|name| !taken.contains(&partition(name))).unwrap()
}

#[tokio::test(start_paused = true)]
async fn while_a_partition_is_silent_its_entries_stay_in_order_and_those_of_others_go_on() {
    let fleet = Fleet::new(8);
    let other = elsewhere(&fleet, &["count/a"]);
    let (store, cable) = Flaky::new(fleet.store.clone(), fleet.env.fork());
    let config = WorkerConfig::named("w".parse().unwrap());
    let _worker = fleet.start(store, config, Home::Own).await.unwrap();
    let say = async |n: u32| {
        for name in ["count/a", &other] {
            post(&fleet, &[("to", name.as_bytes()), ("body", n.to_string().as_bytes())]).await;
        }
    };
    let said = |last: u32| (0..=last).map(|n| n.to_string()).collect::<Vec<_>>();
    let left = async || fleet.store.ingress(Door::MAIN, 1_000, Duration::ZERO).await.unwrap().entries.len();
    say(0).await;
    for name in ["count/a", &other] {
        fleet.until(MINUTE, async || fleet.texts(name).await == said(0)).await;
    }
    cable.silence(fleet.store.partitions().of(&"count/a".parse().unwrap()));
    // However long that one is waited for, which is once.
    cable.give_up_after(MINUTE);
    for n in 1..=300 {
        say(n).await;
    }
    fleet.until(MINUTE * 2, async || fleet.texts(&other).await == said(300)).await;
    for n in 301..=310 {
        say(n).await;
        fleet.until(MINUTE / 20, async || fleet.texts(&other).await == said(n)).await;
    }
    fleet.until(MINUTE, async || left().await == 310).await;
    assert_eq!(fleet.texts("count/a").await, said(0), "none of them is taken");
    cable.silence_nobody();
    fleet.until(MINUTE * 3, async || fleet.texts("count/a").await == said(310)).await;
    fleet.until(MINUTE, async || left().await == 0).await;
    assert_eq!(fleet.texts(&other).await, said(310), "each once");
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_was_taken_and_of_whose_agent_nobody_can_read_stays_and_those_behind_it_go_on() {
    let fleet = Fleet::new(9);
    let partition = |name: &str| fleet.store.partitions().of(&name.parse().unwrap());
    let beside = (0..).map(|n| format!("count/{n}")).find(|name| partition(name) == partition("other/a"));
    let beside = beside.unwrap();
    let (store, cable) = Flaky::new(fleet.store.clone(), fleet.env.fork());
    cable.spoil_row("other".parse().unwrap());
    post(&fleet, &[("to", b"other/a"), ("body", b"x")]).await;
    // Its partition took it, and who relayed it got no further.
    let id = fleet.store.ingress(Door::MAIN, 1, Duration::ZERO).await.unwrap().last;
    let what = RelayedKind::Message(Box::new(fleet.message("other/a", "x")));
    let taken =
        fleet.store.relay(partition("other/a"), Door::MAIN, None, &[Relayed { id, what }]).await.unwrap();
    assert!(matches!(taken, Relay::Taken(_)), "{taken:?}");
    let _worker = fleet.start(store, WorkerConfig::named("w".parse().unwrap()), Home::Own).await.unwrap();
    for n in 0..3 {
        post(&fleet, &[("to", beside.as_bytes()), ("body", n.to_string().as_bytes())]).await;
    }
    fleet.until(MINUTE, async || fleet.texts(&beside).await == ["0", "1", "2"]).await;
    let left = fleet.store.ingress(Door::MAIN, 10, Duration::ZERO).await.unwrap().entries;
    assert_eq!(left.iter().map(|entry| entry.id).collect::<Vec<_>>(), [id]);
}

/// A worker, the way to its store, and a session in another partition than that of `count/a`.
async fn worker_beside_a(fleet: &Fleet) -> (WorkerHandle, Cable, String) {
    let (store, cable) = Flaky::new(fleet.store.clone(), fleet.env.fork());
    let config = WorkerConfig::named("w".parse().unwrap());
    let worker = fleet.start(store, config, Home::Own).await.unwrap();
    (worker, cable, elsewhere(fleet, &["count/a"]))
}

async fn post_text(fleet: &Fleet, to: &str, text: &str) {
    post(fleet, &[("to", to.as_bytes()), ("body", text.as_bytes())]).await;
}

/// Puts this partition's entries away: from the next one on all of them stay.
fn silence_a(fleet: &Fleet, cable: &Cable) -> Partition {
    let partition = fleet.store.partitions().of(&"count/a".parse().unwrap());
    cable.silence(partition);
    partition
}

#[tokio::test(start_paused = true)]
async fn however_many_entries_have_to_stay_the_one_behind_them_is_found_though_no_other_comes() {
    let fleet = Fleet::new(10);
    let (_worker, cable, other) = worker_beside_a(&fleet).await;
    silence_a(&fleet, &cable);
    for n in 0..1_000 {
        post_text(&fleet, "count/a", &n.to_string()).await;
    }
    post_text(&fleet, &other, "behind").await;
    fleet.until(MINUTE, async || fleet.texts(&other).await == ["behind"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_large_entry_among_many_that_have_to_stay_closes_no_door() {
    let fleet = Fleet::new(11);
    let (_worker, cable, other) = worker_beside_a(&fleet).await;
    silence_a(&fleet, &cable);
    post_text(&fleet, "count/a", &"x".repeat(1 << 20)).await;
    for n in 0..300 {
        post_text(&fleet, "count/a", &n.to_string()).await;
    }
    for n in 0..3 {
        post_text(&fleet, &other, &n.to_string()).await;
        fleet.until(MINUTE, async || fleet.texts(&other).await.len() == n + 1).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_door_is_closed_by_some_80_mib_that_have_to_stay_and_the_log_says_so_once() {
    let log = Log::of_warnings();
    let fleet = Fleet::new(12);
    let other = elsewhere(&fleet, &["count/a"]);
    let (store, cable) = Flaky::new(fleet.store.clone(), fleet.env.fork());
    silence_a(&fleet, &cable);
    for _ in 0..5 {
        post_text(&fleet, "count/a", &"x".repeat(15 << 20)).await;
    }
    let _worker = fleet.start(store, WorkerConfig::named("w".parse().unwrap()), Home::Own).await.unwrap();
    let closed = || log.lines_with("those behind them wait");
    fleet.until(MINUTE, async || !closed().is_empty()).await;
    // There is news, and no room for it.
    post_text(&fleet, &other, "0").await;
    fleet.env.sleep(MINUTE / 60).await;
    assert_eq!(fleet.texts(&other).await, [""; 0], "it waits");
    assert_eq!(closed().len(), 1, "{:?}", closed());
    cable.silence_nobody();
    fleet.until(MINUTE * 3, async || fleet.texts(&other).await == ["0"]).await;
}

#[tokio::test(start_paused = true)]
async fn ids_that_went_back_are_noticed_by_the_cursor_of_a_partition_that_is_away_also_by_who_begins_anew() {
    let fleet = Fleet::new(13);
    let (_worker, cable, other) = worker_beside_a(&fleet).await;
    let last = async || fleet.store.ingress(Door::MAIN, 0, Duration::ZERO).await.unwrap().last;
    post_text(&fleet, "count/a", "0").await;
    fleet.until(MINUTE, async || fleet.texts("count/a").await == ["0"]).await;
    // The door's server will come to know nothing of what follows; that of the partition has it.
    let (before, behind) = (last().await, fleet.store.fork());
    let ahead = StreamId { millis: fleet.env.wall().plus(MINUTE).0, seq: 0 };
    fleet.store.advance_ingress(Door::MAIN, ahead).await.unwrap();
    post_text(&fleet, "count/a", "1").await;
    fleet.until(MINUTE, async || fleet.texts("count/a").await == ["0", "1"]).await;
    let taken =
        Relayed { id: last().await, what: RelayedKind::Message(Box::new(fleet.message("count/a", "1"))) };
    let partition = silence_a(&fleet, &cable);
    behind.relay(partition, Door::MAIN, Some(before), &[taken]).await.unwrap();
    // Whatever door it looks at, it begins anew there.
    cable.cut();
    fleet.env.sleep(MINUTE / 30).await;
    cable.replace(behind.clone());
    cable.heal();
    let after = Fleet { store: behind, env: fleet.env.clone() };
    let left = async || after.store.ingress(Door::MAIN, 10, Duration::ZERO).await.unwrap().entries.len();
    post_text(&after, "count/a", "in doubt").await;
    post_text(&after, &other, "0").await;
    after.until(MINUTE, async || left().await == 1).await;
    // By now new ids are beyond that cursor, whoever noticed.
    fleet.env.sleep(MINUTE * 2).await;
    post_text(&after, &other, "1").await;
    after.until(MINUTE, async || left().await == 1).await;
    cable.silence_nobody();
    after.until(MINUTE * 3, async || left().await == 0).await;
    let dead = after.store.dead(partition, None, 10).await.unwrap();
    assert_eq!(dead.iter().map(|letter| letter.reason.as_str()).collect::<Vec<_>>(), ["ambiguous"]);
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_fails_when_it_is_asked_by_itself_does_not_have_all_others_asked_anew() {
    let fleet = Fleet::new(14);
    let (_worker, cable, other) = worker_beside_a(&fleet).await;
    for name in ["count/a", &other] {
        post_text(&fleet, name, "0").await;
        fleet.until(MINUTE, async || fleet.texts(name).await == ["0"]).await;
    }
    let all_asked = cable.calls("cursors of all");
    // Its relay is lost, it is asked whether it is back, and then how far it is: that is lost again.
    cable.lose_next("relay");
    post_text(&fleet, "count/a", "1").await;
    fleet.until(MINUTE, async || cable.has_lost()).await;
    cable.lose_after(1, "cursors");
    fleet.until(MINUTE, async || fleet.texts("count/a").await == ["0", "1"]).await;
    assert!(cable.has_lost(), "it was asked by itself");
    assert_eq!(cable.calls("cursors of all"), all_asked);
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_answers_and_never_takes_costs_the_others_half_of_the_time_at_most() {
    let fleet = Fleet::new(15);
    let (_worker, cable, other) = worker_beside_a(&fleet).await;
    let patience = Duration::from_secs(10);
    cable.give_up_after(patience);
    cable.deafen(fleet.store.partitions().of(&"count/a".parse().unwrap()));
    post_text(&fleet, "count/a", "stays").await;
    let (began, looks) = (fleet.env.now(), 20);
    fleet.until(MINUTE * 60, async || cable.calls("relay in vain") == looks).await;
    let lost = patience * u32::try_from(looks).unwrap();
    assert!(fleet.env.now().since(began) >= lost * 2 - patience * 3, "{:?}", fleet.env.now().since(began));
    post_text(&fleet, &other, "0").await;
    fleet.until(patience * 2, async || fleet.texts(&other).await == ["0"]).await;
}
