//! Workers, clients and a primary whose replica stands still: nothing leaves before the replica has it.

#[path = "load/mod.rs"]
mod load;
mod support;

use std::{process::Command, time::Duration};

use load::{Load, MEMORY, REPLICATED, SYNCED, TURNS, Tally, workers};
use redis::AsyncCommands;
use serde_json::Value;
use support::{RedisServer, WorkerProcess, eventually, proxy::Proxy};
use tenure::{
    SessionId,
    client::Outgoing,
    model::{Body, Door, Durability, NewMessage, ReplyTo},
    store::{
        HistoryRange, RedisStore, Sent, Store,
        redis::{Options, REPLIES, Rights, Role},
    },
};

const BOUND: Duration = Duration::from_secs(30);

/// Longer than the duty leaves a reply to the worker that wrote it.
const LONG_ENOUGH_FOR_ANYBODY: Duration = Duration::from_secs(4);

/// Sessions of each class under load.
const SESSIONS: usize = 3;

fn followed() -> (RedisServer, RedisServer) {
    let primary = RedisServer::builder().option("repl-diskless-sync-delay", "0").start();
    let replica = RedisServer::builder().replica_of(&primary).start();
    primary.wait_for_replicas(1);
    (primary, replica)
}

fn tenure(server: &RedisServer, args: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tenure"));
    let ended = command.args(args).env("TENURE_REDIS", server.url()).env_remove("RUST_LOG").output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (ended.status.code().unwrap(), text(ended.stdout), text(ended.stderr))
}

async fn store(server: &RedisServer) -> RedisStore {
    RedisStore::connect(Options::new(server.url())).await.unwrap()
}

/// A message that is accepted at `memory`, whatever its agent declares: so that it is the turn that has to wait.
fn plain(session: &SessionId, text: &str, reply_to: &ReplyTo) -> NewMessage {
    NewMessage {
        session: session.clone(),
        message: tenure::Env::system().message_id(),
        id: None,
        reply_to: Some(reply_to.clone()),
        body: Body::text(text),
        group: None,
        resume: None,
        pool: Default::default(),
        durability: Default::default(),
        class: Durability::MEMORY,
    }
}

#[tokio::test]
async fn no_reply_leaves_while_the_replica_stands_still_and_one_turn_is_made_of_it() {
    let (primary, replica) = followed();
    let _worker = WorkerProcess::start(&primary.url(), &["--durability", "replicas:1"]);
    let (store, alice) = (store(&primary).await, "echo/alice".parse().unwrap());
    let replies: ReplyTo = "my:replies".parse().unwrap();
    let (code, said, _) = tenure(&primary, &["send", "echo/alice", "first", "--wait", "--json"]);
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &said["class"], &said["reply"]["text"]), (0, &"replicas:1".into(), &"first".into()));

    replica.pause();
    let sent = store.send(&plain(&alice, "second", &replies)).await.unwrap();
    assert!(matches!(sent, Sent::Accepted { .. }), "{sent:?}");
    let sent = store.send(&plain(&alice, "third", &replies)).await.unwrap();
    assert!(matches!(sent, Sent::Accepted { .. }), "{sent:?}");
    let history = async || store.history(&alice, HistoryRange::Newest(0), Duration::ZERO).await.unwrap();
    eventually("the turn is written", BOUND, async || history().await.len() == 4).await;
    assert_eq!(
        store.take_reply(&replies, LONG_ENOUGH_FOR_ANYBODY).await.unwrap(),
        None,
        "nobody may be told"
    );
    assert_eq!(history().await.len(), 4, "and no other turn begins");

    replica.resume();
    for text in ["second", "third"] {
        let reply = store.take_reply(&replies, BOUND).await.unwrap().expect("a reply");
        let reply: Value = serde_json::from_str(&reply).unwrap();
        assert_eq!(reply["reply"]["text"], text);
    }
    assert_eq!(history().await.len(), 6, "each is one turn");
    assert_eq!(store.take_reply(&replies, Duration::ZERO).await.unwrap(), None, "and is answered once");
}

#[tokio::test]
async fn a_sender_is_told_that_the_outcome_is_unknown_and_asking_again_with_the_same_id_converges() {
    let (primary, replica) = followed();
    let _worker = WorkerProcess::start(&primary.url(), &["--durability", "replicas:1"]);
    replica.pause();
    let send = ["send", "echo/bob", "hi", "--id", "k1", "--json", "--timeout", "2s"];
    let (code, said, error) = tenure(&primary, &send);
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &said["accepted"], &said["error"]["reason"]), (5, &false.into(), &"unknown".into()));
    assert!(error.contains("replicas:1") && error.contains("--id k1"), "{error}");

    replica.resume();
    primary.wait_for_replicas(1);
    let (code, said, error) = tenure(&primary, &[&send[..], &["--wait"]].concat());
    assert_eq!(code, 0, "{error}");
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&said["reply"]["text"], &said["class"]), (&"hi".into(), &"replicas:1".into()));
    let (store, bob) = (store(&primary).await, "echo/bob".parse().unwrap());
    let history = store.history(&bob, HistoryRange::Newest(0), Duration::ZERO).await.unwrap();
    assert_eq!(history.len(), 2, "one turn");
}

#[tokio::test]
async fn an_entry_of_the_plain_door_stays_until_the_replica_has_what_became_of_it() {
    let (primary, replica) = followed();
    let _worker = WorkerProcess::start(&primary.url(), &["--durability", "replicas:1"]);
    let mut conn = primary.client().get_multiplexed_async_connection().await.unwrap();
    replica.pause();
    let fields = [("to", "echo/carol"), ("body", "hi"), ("reply_to", "my:replies")];
    let _: String = conn.xadd("tenure:default:ingress", "*", &fields).await.unwrap();
    let store = store(&primary).await;
    eventually("it is taken", BOUND, async || {
        let all: Vec<_> = store.partitions().all().collect();
        !store.cursors(Door::MAIN, &all).await.unwrap().taken.is_empty()
    })
    .await;
    let replies: ReplyTo = "my:replies".parse().unwrap();
    assert_eq!(store.take_reply(&replies, LONG_ENOUGH_FOR_ANYBODY).await.unwrap(), None);
    let left: usize = conn.xlen("tenure:default:ingress").await.unwrap();
    assert_eq!(left, 1);

    replica.resume();
    assert!(store.take_reply(&replies, BOUND).await.unwrap().is_some());
    eventually("the door is empty", BOUND, async || {
        let left: usize = conn.xlen("tenure:default:ingress").await.unwrap();
        left == 0
    })
    .await;
    assert_eq!(store.take_reply(&replies, Duration::ZERO).await.unwrap(), None, "it was relayed once");
}

#[test]
fn a_worker_does_not_start_with_a_class_that_the_server_cannot_honour_and_doctor_says_the_same() {
    let server = RedisServer::start();
    let start = |class: &str| tenure(&server, &["worker", "--durability", class]);
    let (code, _, error) = start("replicas:1");
    assert_eq!(code, 4, "{error}");
    assert!(error.contains("replicas:1 is asked for: 0 replicas follow: add replicas"), "{error}");
    let (code, _, error) = start("fsync");
    assert_eq!(code, 4, "{error}");
    let (code, _, error) = start("disk");
    assert_eq!((code, error.contains("is not a durability class")), (2, true), "{error}");

    // A replica that went away after the worker had started.
    let (primary, mut replica) = followed();
    let _worker = WorkerProcess::start(&primary.url(), &["--durability", "replicas:1"]);
    let durability = || {
        let (code, said, _) = tenure(&primary, &["doctor", "--json"]);
        let checks = said.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let mine: Vec<_> = checks
            .filter(|check| check["check"] == "durability" || check["check"] == "min-replicas-to-write")
            .map(|check| check["status"].as_str().unwrap().to_owned())
            .collect();
        (code, mine)
    };
    assert_eq!(durability(), (0, vec!["ok".to_owned(), "warn".to_owned()]));
    replica.kill();
    support::wait_until("the primary notices", BOUND, || durability().0 == 1);
    assert_eq!(durability().1, ["fail", "warn"]);
}

#[test]
fn an_agent_says_its_class_in_the_file_and_the_worker_for_those_that_do_not() {
    let (primary, _replica) = followed();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("agents.toml");
    let text = "[agents.safe]\ntype = \"echo\"\ndurability = \"replicas:1\"\n[agents.plain]\ntype = \"echo\"\ndurability = \"memory\"\n[agents.usual]\ntype = \"echo\"\n";
    std::fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    let class = |agent: &str| {
        let (code, said, error) =
            tenure(&primary, &["send", &format!("{agent}/a"), "hi", "--wait", "--json"]);
        assert_eq!(code, 0, "{error}");
        serde_json::from_str::<Value>(&said).unwrap()["class"].as_str().unwrap().to_owned()
    };
    let mut first = WorkerProcess::start(&primary.url(), &["--agents", file]);
    assert_eq!(["safe", "plain", "usual"].map(class), ["replicas:1", "memory", "memory"]);
    assert!(first.drain(BOUND).success());
    let _second = WorkerProcess::start(&primary.url(), &["--agents", file, "--durability", "replicas:1"]);
    assert_eq!(["safe", "plain", "usual"].map(class), ["replicas:1", "memory", "replicas:1"]);
}

#[test]
fn one_message_may_ask_for_more_than_its_agent_and_is_refused_where_the_server_cannot() {
    let (primary, replica) = followed();
    let _worker = WorkerProcess::start(&primary.url(), &[]);
    let send = |class: &str, more: &[&str]| {
        let given = ["send", "echo/alice", "hi", "--json", "--wait", "--durability", class];
        let (code, said, error) = tenure(&primary, &[&given[..], more].concat());
        (code, serde_json::from_str::<Value>(&said).unwrap(), error)
    };
    let (code, said, error) = send("replicas:1", &[]);
    assert_eq!((code, &said["class"]), (0, &"replicas:1".into()), "{error}");
    let (code, said, _) = send("memory", &[]);
    assert_eq!((code, &said["class"]), (0, &"memory".into()));
    let (code, said, error) = send("replicas:2", &[]);
    assert_eq!((code, &said["accepted"], &said["error"]["reason"]), (4, &false.into(), &"durability".into()));
    assert!(
        error.contains("replicas:2 is asked for: 1 replicas follow: add replicas (REPLICAOF)"),
        "{error}"
    );
    // Its agent is at `memory`; what this one message asks for is not there in time.
    replica.pause();
    let (code, said, error) = send("replicas:1", &["--id", "k1", "--timeout", "2s"]);
    assert_eq!((code, &said["error"]["reason"]), (5, &"unknown".into()), "{error}");
    replica.resume();
    primary.wait_for_replicas(1);
    let (code, said, error) = send("replicas:1", &["--id", "k1"]);
    assert_eq!((code, &said["class"]), (0, &"replicas:1".into()), "{error}");
}

/// What `doctor` says under one name.
fn diagnosis(server: &RedisServer, check: &str) -> Option<Value> {
    let (_, said, _) = tenure(server, &["doctor", "--json"]);
    let checks = said.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    checks.into_iter().find(|one| one["check"] == check)
}

#[test]
fn a_server_that_comes_back_without_its_last_turns_is_told_of_in_their_session() {
    let mut server = RedisServer::start();
    let _worker = WorkerProcess::start(&server.url(), &["--lease", "2s"]);
    let send = |server: &RedisServer, text: &str| {
        let (code, _, error) = tenure(server, &["send", "echo/alice", text, "--wait", "--json"]);
        assert_eq!(code, 0, "{error}");
    };
    send(&server, "first");
    redis::cmd("SAVE").exec(&mut server.client().get_connection().unwrap()).unwrap();
    send(&server, "second");
    send(&server, "third");
    server.kill();
    server.restart();

    let show = || serde_json::from_str::<Value>(&tenure(&server, &["show", "echo/alice", "--json"]).1);
    let losses = || show().map(|shown| shown["losses"].clone()).unwrap_or_default();
    support::wait_until("the loss is told", BOUND, || losses().is_array());
    assert_eq!(losses().as_array().unwrap().len(), 1, "once");
    assert_eq!(losses()[0]["turns"], serde_json::json!([2, 3]));
    assert_eq!(losses()[0]["entries"], serde_json::json!([3, 6]));
    support::wait_until("doctor knows", BOUND, || {
        let found = diagnosis(&server, "losses");
        found.is_some_and(|found| found["found"].as_str().unwrap().starts_with("2 turns of 1 sessions"))
    });
    send(&server, "again");
    let (_, history, _) = tenure(&server, &["history", "echo/alice", "--json"]);
    let kinds: Vec<_> = history.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect();
    let kinds: Vec<_> = kinds.iter().map(|entry| entry["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["user", "assistant", "event", "user", "assistant"]);
}

#[test]
fn a_replica_that_stands_still_is_seen_by_doctor() {
    let (primary, replica) = followed();
    let _worker = WorkerProcess::start(&primary.url(), &["--durability", "replicas:1"]);
    assert_eq!(diagnosis(&primary, "acknowledgement"), None);
    replica.pause();
    let found = diagnosis(&primary, "acknowledgement").expect("its primary takes it to follow");
    assert_eq!(found["status"], "warn", "{found}");
}

/// Makes a user who may do what a `role` needs where turns reach `class`, and nothing else; the address for it.
fn user(server: &RedisServer, role: Role, class: &str) -> String {
    let rights = Rights::of(role, &Options::new(server.url()), &[REPLIES]).unwrap();
    let line = rights.reaching(role, class.parse().unwrap()).line(role.as_str());
    let line: Vec<_> = line.split(' ').chain([">secret"]).collect();
    order(server, &line);
    format!("redis://{}:secret@127.0.0.1:{}", role.as_str(), server.port())
}

/// Has the server do something.
fn order(server: &RedisServer, command: &[&str]) {
    let mut conn = server.client().get_connection().unwrap();
    redis::cmd(command[0]).arg(&command[1..]).exec(&mut conn).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_link_is_cut_the_primary_dies_and_the_replica_has_what_was_told_at_replicas_1() {
    let mut primary = RedisServer::builder().option("repl-diskless-sync-delay", "0").start();
    let link = Proxy::to(primary.port()).await;
    let replica =
        RedisServer::builder().args(&["--replicaof", "127.0.0.1", &link.port().to_string()]).start();
    primary.wait_for_replicas(1);
    let (_workers, _folder) = workers(&primary.url(), &[MEMORY, REPLICATED], &[]);
    let load = Load::start(&primary.url(), &[MEMORY, REPLICATED], SESSIONS).await;
    load.wait_for_more(REPLICATED, TURNS, load::BOUND).await;

    link.blackhole();
    let before = load.told(REPLICATED);
    load.wait_for_unknown(REPLICATED, load::BOUND).await;
    load.wait_for_more(MEMORY, TURNS, load::BOUND).await;
    // What each had under way may have been acknowledged just before.
    let meanwhile = load.told(REPLICATED) - before;
    assert!(meanwhile <= SESSIONS, "{meanwhile} turns were told that no replica has");
    load.abandon().await;
    primary.kill();
    order(&replica, &["REPLICAOF", "NO", "ONE"]);

    let store = store(&replica).await;
    let Tally { told, lost, twice, .. } = load.tally_at(&store, REPLICATED).await;
    assert_eq!((lost, twice), (0, 0), "of {told}");
    let Tally { lost, .. } = load.tally_at(&store, MEMORY).await;
    assert!(lost >= (TURNS * SESSIONS) as u64, "{lost}: the link was not cut, so this shows nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_power_fails_and_what_was_told_at_fsync_is_on_the_disk() {
    let mut server = RedisServer::builder().appendonly("always").notes_what_is_synced().start();
    if !server.knows_waitaof() {
        return;
    }
    // With the rights of `tenure acl`, and no more.
    let [of_workers, of_clients] = [Role::Worker, Role::Client].map(|role| user(&server, role, "fsync"));
    let (workers, _folder) = workers(&of_workers, &[MEMORY, SYNCED], &[]);
    let load = Load::start(&of_clients, &[MEMORY, SYNCED], SESSIONS).await;
    load.wait_for_more(SYNCED, TURNS, load::BOUND).await;

    // The disk falls behind: nothing of what is written from here on is on it.
    order(&server, &["CONFIG", "SET", "appendfsync", "no"]);
    load.wait_for_unknown(SYNCED, load::BOUND).await;
    load.wait_for_more(MEMORY, TURNS, load::BOUND).await;
    load.abandon().await;
    drop(workers);
    assert!(server.lose_power() > 0, "everything was on the disk, so this shows nothing");
    server.restart();

    let store = store(&server).await;
    let Tally { told, lost, twice, .. } = load.tally_at(&store, SYNCED).await;
    assert_eq!((lost, twice), (0, 0), "of {told}");
    let Tally { lost, .. } = load.tally_at(&store, MEMORY).await;
    assert!(lost >= (TURNS * SESSIONS) as u64, "{lost}: nothing was cut off");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_server_refuses_messages_and_finishes_what_it_took() {
    let server = RedisServer::builder().maxmemory("64mb").start();
    let (workers, _folder) = workers(&server.url(), &[MEMORY], &[]);
    let load = Load::start(&server.url(), &[MEMORY], SESSIONS).await;
    load.wait_for_more(MEMORY, TURNS, load::BOUND).await;

    // Accepted while there is room, run while there is none.
    workers.iter().for_each(WorkerProcess::pause);
    let early: SessionId = "plain/early".parse().unwrap();
    load.client().send(Outgoing::text(early.clone(), "hi")).await.unwrap();
    order(&server, &["CONFIG", "SET", "maxmemory", "1mb"]);
    workers.iter().for_each(WorkerProcess::resume);
    let store = store(&server).await;
    eventually("its turn is written", BOUND, async || {
        store.history(&early, HistoryRange::Newest(0), Duration::ZERO).await.unwrap().len() == 2
    })
    .await;
    load.wait_for_refusals(MEMORY, load::BOUND).await;
    let (code, _, error) = tenure(&server, &["send", "plain/late", "hi"]);
    assert!(code == 4 && error.contains("out of memory"), "{code} {error}");

    order(&server, &["CONFIG", "SET", "maxmemory", "64mb"]);
    load.wait_for_more(MEMORY, TURNS, load::BOUND).await;
    load.finish(load::BOUND).await;
    let Tally { told, lost, twice, refused, .. } = load.tally(MEMORY).await;
    assert_eq!((lost, twice), (0, 0), "of {told}");
    assert!(refused >= SESSIONS as u64, "{refused}");
}

/// Lets a message's turn stand in its middle, as if its owner had died there and its agent were lazy.
fn suspend(server: &RedisServer, session: &str) {
    let (_, keys, _) = tenure(server, &["keys", session, "--json"]);
    let keys: Value = serde_json::from_str(&keys).unwrap();
    let meta = keys["meta"].as_str().unwrap();
    let ready = meta.replace(&format!("meta:{session}"), "ready:default:echo");
    order(server, &["HSET", meta, "unfinished", "1/lazy", "suspended", "1767225600000", "last", "w-1"]);
    order(server, &["ZREM", &ready, session]);
}

#[test]
fn a_suspended_session_is_told_to_go_on_and_does_on_a_full_server_that_takes_no_new_one() {
    let server = RedisServer::builder().maxmemory("64mb").start();
    let (code, _, error) = tenure(&server, &["send", "echo/a", "hi"]);
    assert_eq!(code, 0, "{error}");
    suspend(&server, "echo/a");
    let _worker = WorkerProcess::start(&server.url(), &[]);
    order(&server, &["CONFIG", "SET", "maxmemory", "1"]);

    let (code, _, error) = tenure(&server, &["send", "echo/new", "hi"]);
    assert!(code == 4 && error.contains("out of memory"), "{code} {error}");
    let (code, _, error) = tenure(&server, &["continue", "echo/a"]);
    assert_eq!(code, 0, "{error}");
    let turns = || serde_json::from_str::<Value>(&tenure(&server, &["show", "echo/a", "--json"]).1).unwrap();
    support::wait_until("its turn is written", BOUND, || turns()["turns"] == 1);
}
