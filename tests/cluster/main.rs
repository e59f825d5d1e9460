//! Workers and clients on a cluster of several masters: as slots move, masters die and others come.

mod beside;
#[path = "../redis_store/desk.rs"]
mod desk;
mod doors;
#[path = "../load/mod.rs"]
mod load;
mod many;
mod replies;
mod scene;
#[path = "../support/mod.rs"]
mod support;

use std::{collections::BTreeSet, process::Command, sync::Arc, time::Duration};

use serde_json::Value;
use support::{RedisCluster, WorkerProcess, eventually};
use tenure::{
    Env, SessionId,
    client::{Client, Outgoing},
    model::{Door, EntryKind},
    store::{
        HistoryRange, RedisStore, Store, StoreError,
        redis::{Options, REPLIES, Rights, Role},
    },
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

const BOUND: Duration = Duration::from_secs(60);

/// Short, so that nothing waits long for the dead.
const WORKER: [&str; 4] = ["--lease", "3s", "--timeout", "2s"];

/// How many sessions talk at once.
const SESSIONS: usize = 12;

async fn client(url: &str) -> Client<RedisStore> {
    let options = Options { timeout: Duration::from_secs(2), ..Options::new(url) };
    let store = RedisStore::connect(options).await.expect("the cluster answers");
    Client::new(store, Env::system()).with_patience(BOUND)
}

fn tenure(url: &str, args: &[&str]) -> (i32, Vec<Value>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tenure"));
    let ended = command.args(args).arg("--json").env("TENURE_REDIS", url).env_remove("RUST_LOG");
    let ended = ended.output().expect("the binary runs");
    let text = |bytes| String::from_utf8(bytes).expect("it prints text");
    let lines = text(ended.stdout);
    let lines = lines.lines().map(|line| serde_json::from_str(line).expect("JSON lines")).collect();
    (ended.status.code().expect("it ended by itself"), lines, text(ended.stderr))
}

/// Sessions that talk until they are told to end. Each message is repeated by its id until it is answered.
struct Load {
    sessions: Vec<SessionId>,
    enough: CancellationToken,
    talkers: TaskTracker,
    client: Client<RedisStore>,
}

impl Load {
    async fn start(url: &str) -> Self {
        let session = |n| format!("echo/s{n}").parse::<SessionId>().expect("a good session");
        let sessions: Vec<_> = (0..SESSIONS).map(session).collect();
        let load = Self {
            sessions,
            enough: CancellationToken::new(),
            talkers: TaskTracker::new(),
            client: client(url).await,
        };
        for session in &load.sessions {
            let (client, session) = (load.client.clone(), session.clone());
            load.talk(move |n| {
                let (client, session) = (client.clone(), session.clone());
                async move { say(&client, &session, n).await }
            });
        }
        load
    }

    /// One session more for each plain door, which talks by that.
    fn with_doors(mut self) -> Self {
        for door in self.client.store().partitions().doors() {
            let session: SessionId = format!("echo/{door}").parse().expect("a good session");
            self.sessions.push(session.clone());
            let client = self.client.clone();
            self.talk(move |n| {
                let (client, session) = (client.clone(), session.clone());
                async move { say_at(&client, door, &session, n).await }
            });
        }
        self
    }

    /// Has somebody say one thing after the other, until it is enough.
    fn talk<F>(&self, say: impl Fn(usize) -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send,
    {
        let enough = self.enough.clone();
        self.talkers.spawn(async move {
            for n in 1.. {
                if enough.is_cancelled() {
                    return;
                }
                say(n).await;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
    }

    /// Lets everybody finish, and checks that each message is one turn, in order, answered by itself.
    async fn end(self) -> usize {
        self.enough.cancel();
        self.talkers.close();
        tokio::time::timeout(BOUND, self.talkers.wait()).await.expect("everybody is answered");
        let mut turns = 0;
        for session in &self.sessions {
            let history =
                self.client.store().history(session, HistoryRange::Newest(0), Duration::ZERO).await.unwrap();
            let said = |kind: EntryKind| {
                let of_kind = history.iter().filter(move |entry| entry.kind == kind);
                of_kind.map(|entry| entry.body.as_json().to_owned()).collect::<Vec<_>>()
            };
            let (asked, answered) = (said(EntryKind::User), said(EntryKind::Assistant));
            let wanted: Vec<_> = (1..=asked.len()).map(|n| format!("{{\"text\":\"{n}\"}}")).collect();
            assert_eq!(asked, wanted, "{session}: each once and in order");
            assert_eq!(answered, wanted, "{session}");
            assert!(!asked.is_empty(), "{session} has said something");
            turns += asked.len();
        }
        turns
    }

    /// Waits until every session has been answered `more` times from now on.
    async fn go_on(&self, more: usize) {
        for session in &self.sessions {
            let count = async || {
                let history = self.client.store().history(session, HistoryRange::Newest(0), Duration::ZERO);
                history.await.map_or(0, |entries| entries.len())
            };
            let before = count().await;
            eventually("every session goes on", BOUND, async || count().await >= before + 2 * more).await;
        }
    }
}

/// Says `n`, again and again by the same id, until that is answered.
async fn say(client: &Client<RedisStore>, session: &SessionId, n: usize) {
    let id = format!("{session}-{n}");
    loop {
        let message = Outgoing::text(session.clone(), &n.to_string()).id(id.parse().expect("a good id"));
        match client.ask(message, Duration::from_secs(5)).await {
            Ok(answer) => {
                let reply = answer.reply.expect("echo answers");
                assert_eq!(reply.as_json(), format!("{{\"text\":\"{n}\"}}"), "{session}");
                return;
            }
            Err(error) => eprintln!("{session} {n}: {error}"),
        }
    }
}

/// The same by a plain door.
async fn say_at(client: &Client<RedisStore>, door: Door, session: &SessionId, n: usize) {
    let (id, text, to) = (format!("{session}-{n}"), n.to_string(), format!("reply:{session}:{n}"));
    let fields = [("to", session.as_str()), ("body", &text), ("id", &id), ("reply_to", &to)];
    let fields = fields.map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()));
    let to = to.parse().expect("a good list");
    loop {
        let said = async {
            client.store().post(door, &fields).await?;
            client.store().take_reply(&to, Duration::from_secs(5)).await
        };
        match said.await {
            Ok(Some(reply)) => {
                let reply: Value = serde_json::from_str(&reply).expect("JSON");
                assert_eq!(reply["reply"]["text"], text.as_str(), "{session}: {reply}");
                return;
            }
            Ok(None) => eprintln!("{session} {n}: no reply yet"),
            Err(error) => eprintln!("{session} {n}: {error}"),
        }
    }
}

/// The slots of a namespace's partitions and of its own keys, by what a store says of its keys.
fn used_slots(client: &Client<RedisStore>) -> BTreeSet<usize> {
    let keys = client.store().keys();
    let all = client.store().partitions().all().map(|partition| keys.partition(partition).out());
    let doors = client.store().partitions().doors().map(|door| keys.ingress(door));
    all.chain([keys.conf()]).chain(doors).map(|key| slot(&key)).collect()
}

fn slot(key: &str) -> usize {
    let tag = key.split_once('{').and_then(|(_, rest)| Some(rest.split_once('}')?.0)).unwrap_or(key);
    let crc = tag.bytes().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
        })
    });
    usize::from(crc) % 16_384
}

#[tokio::test]
async fn a_cluster_serves_what_one_server_does() {
    let cluster = RedisCluster::start(3, 0);
    let url = cluster.url();
    let _worker = WorkerProcess::start(&url, &WORKER);
    for n in 0..SESSIONS {
        let (session, text) = (format!("echo/c{n}"), format!("hello {n}"));
        let (code, said, error) = tenure(&url, &["send", &session, &text, "--wait"]);
        assert_eq!((code, error.as_str()), (0, ""));
        assert_eq!(said[0]["reply"]["text"], text.as_str());
    }
    let (code, sessions, _) = tenure(&url, &["sessions"]);
    assert_eq!((code, sessions.len()), (0, SESSIONS));
    let (_, history, _) = tenure(&url, &["history", "echo/c3"]);
    assert_eq!(history.len(), 2);
    // A worker says at its renewals how many it has.
    eventually("the worker tells of all its sessions", BOUND, async || {
        tenure(&url, &["workers"]).1[0]["sessions"] == SESSIONS
    })
    .await;
    let client = client(&url).await;
    let fields = [("to", "echo/plain"), ("body", "by the plain door")];
    let fields = fields.map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()));
    client.store().post(Door::MAIN, &fields).await.unwrap();
    let plain = "echo/plain".parse().unwrap();
    let history = async || client.store().history(&plain, HistoryRange::Newest(0), Duration::ZERO).await;
    eventually("the plain door is relayed", BOUND, async || history().await.is_ok_and(|all| all.len() == 2))
        .await;
}

#[tokio::test]
async fn plain_doors_lie_on_all_masters_and_any_of_them_will_do() {
    let cluster = RedisCluster::start(3, 0);
    let url = cluster.url();
    let _worker = WorkerProcess::start(&url, &WORKER);
    let client = client(&url).await;
    let mut masters = BTreeSet::new();
    for door in client.store().partitions().doors() {
        say_at(&client, door, &format!("echo/{door}").parse().unwrap(), 1).await;
        let slot = slot(&client.store().keys().ingress(door));
        masters.insert((0..3).find(|node| cluster.slots_of(*node).contains(&slot)));
    }
    assert_eq!(masters.len(), 3, "{masters:?}");
}

#[tokio::test]
async fn while_a_slot_moves_plain_reads_follow_it_and_no_script_begins_in_it() {
    let cluster = RedisCluster::start(2, 0);
    let client = client(&cluster.url()).await;
    let session: SessionId = "echo/moving".parse().unwrap();
    let send = async |id: &str| {
        let message = Outgoing::text(session.clone(), id).id(id.parse().unwrap());
        client.send(message).await.map(|receipt| receipt.repeat)
    };
    assert!(!send("first").await.unwrap());
    let keys = client.store().keys().session(&session);
    let slot = slot(&keys.meta());
    let from = usize::from(!cluster.slots_of(0).contains(&slot));
    cluster.begin_to_move(slot, from, 1 - from);
    // A read of one key finds it where it is.
    let index = client.store().sessions(client.store().partitions().of(&session), None, 10).await;
    assert_eq!(index.unwrap(), std::slice::from_ref(&session));
    let looked = client.store().look(&session).await.unwrap_err();
    assert!(looked.passes(), "on its way is not absent: {looked:?}");
    let (code, _, error) = tenure(&cluster.url(), &["show", "echo/moving", "--timeout", "200ms"]);
    assert!(code == 5 && error.contains("redis-cli --cluster fix"), "{code} {error}");
    // Whoever sends meanwhile is accepted when the slot has arrived.
    let sent = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        cluster.finish_moving(slot, from, 1 - from);
    };
    let (second, ()) = tokio::join!(send("second"), sent);
    assert!(!second.unwrap());
    assert!(send("first").await.unwrap() && send("second").await.unwrap(), "both are known");
}

#[tokio::test]
async fn who_has_the_rights_of_its_role_and_no_more_works_on_a_cluster() {
    let cluster = RedisCluster::start(2, 0);
    let options = |user: &str| {
        let hosts = cluster.url().replace("redis+cluster://", "");
        Options::new(format!("redis+cluster://{user}:secret@{hosts}"))
    };
    for (user, role) in [("worker", Role::Worker), ("client", Role::Client)] {
        let rights = Rights::of(role, &options(user), &[REPLIES]).unwrap();
        let mut line = rights.line(user);
        line.push_str(" >secret");
        cluster.tell_all(&line.split(' ').collect::<Vec<_>>());
    }
    let _worker = WorkerProcess::start(&options("worker").url, &WORKER);
    let url = options("client").url;
    let (code, said, error) = tenure(&url, &["send", "echo/a", "hello", "--wait"]);
    assert_eq!((code, error.as_str()), (0, ""));
    assert_eq!(said[0]["reply"]["text"], "hello");
    let (code, said, _) = tenure(&url, &["doctor", "--as", "client"]);
    assert_eq!(code, 0, "{said:?}");
    let masters = said.iter().find(|check| check["check"] == "cluster").expect("it names the masters");
    let found = masters["found"].as_str().unwrap();
    let named = cluster.nodes().iter().all(|node| found.contains(&node.port().to_string()));
    assert!(named && found.starts_with("2 masters"), "{found}");
}

#[tokio::test]
async fn any_node_that_answers_leads_to_the_others_and_one_alone_says_what_it_is() {
    let cluster = RedisCluster::start(2, 0);
    let nobody = "127.0.0.1:1";
    let url = cluster.url().replace("redis+cluster://", &format!("redis+cluster://{nobody},"));
    let session = "echo/a".parse().unwrap();
    client(&url).await.send(Outgoing::text(session, "hello")).await.unwrap();
    let refused = async |url: String| match RedisStore::connect(Options::new(url)).await.map(drop) {
        Err(StoreError::Refused(why)) => why,
        other => panic!("{other:?}"),
    };
    assert!(refused(format!("{}/3", cluster.url())).await.contains("database 0"));
    for node in cluster.nodes() {
        let url = node.url();
        let answered = match RedisStore::connect(Options::new(&url)).await {
            // The one that has the namespace's own keys; the other has half of all sessions.
            Ok(store) => {
                let all: Vec<_> = store.partitions().all().collect();
                store.cursors(Door::MAIN, &all).await.map(drop)
            }
            Err(error) => Err(error),
        };
        let Err(StoreError::Refused(why)) = answered else { panic!("{answered:?}") };
        assert!(why.contains("redis+cluster://"), "{why}");
        let (code, said, _) = tenure(&url, &["doctor"]);
        assert_eq!((code, &said[0]["status"]), (1, &serde_json::json!("fail")), "{said:?}");
        assert!(said[0]["advice"].as_str().unwrap().contains("redis+cluster://"), "{said:?}");
    }
    let nowhere = RedisStore::connect(Options::new(format!("redis+cluster://{nobody}"))).await.map(drop);
    assert!(matches!(nowhere, Err(StoreError::Unavailable(_))), "{nowhere:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_of_the_slots_move_to_a_new_master_and_no_turn_is_lost_or_made_twice() {
    let mut cluster = RedisCluster::start(3, 0);
    let url = cluster.url();
    let _workers = [WorkerProcess::start(&url, &WORKER), WorkerProcess::start(&url, &WORKER)];
    let load = Load::start(&url).await.with_doors();
    load.go_on(1).await;
    let used = used_slots(&load.client);
    let added = cluster.add_master();
    let cluster = Arc::new(cluster);
    let moving = cluster.clone();
    let moved = tokio::task::spawn_blocking(move || {
        let of = |node: usize| moving.slots_of(node).into_iter().filter(|slot| used.contains(slot));
        let there: Vec<_> =
            (0..3).flat_map(|from| of(from).step_by(2).map(move |slot| (slot, from))).collect();
        there.iter().for_each(|(slot, from)| moving.move_slot(*slot, *from, added));
        // And some go back: to the master that they left, and so to the same start of it.
        there.iter().step_by(3).for_each(|(slot, from)| moving.move_slot(*slot, added, *from));
        there.len()
    });
    let moved = moved.await.expect("slots can be moved");
    assert!(moved > 30, "{moved}");
    load.go_on(2).await;
    assert!(load.end().await > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slots_that_the_server_moves_as_a_whole_lose_no_turn_and_no_reply() {
    let cluster = RedisCluster::start(2, 0);
    if !cluster.nodes()[0].knows_migrateslots() {
        return;
    }
    let url = cluster.url();
    let _workers = [WorkerProcess::start(&url, &WORKER), WorkerProcess::start(&url, &WORKER)];
    let load = Load::start(&url).await.with_doors();
    load.go_on(1).await;
    // The slots of sessions, and with them those of the lists that they name; some of plain lists as well.
    let used = used_slots(&load.client);
    let moving = tokio::task::spawn_blocking(move || {
        let of = |node: usize| cluster.slots_of(node).into_iter().filter(|slot| used.contains(slot));
        let there: Vec<_> = [0, 1]
            .into_iter()
            .flat_map(|from| of(from).step_by(4).map(move |slot| (slot, from)).collect::<Vec<_>>())
            .collect();
        there.iter().for_each(|(slot, from)| cluster.migrate_slot(*slot, *from, 1 - from));
        (cluster, there.len())
    });
    let (_cluster, moved) = moving.await.expect("slots can be moved");
    assert!(moved > 12, "{moved}");
    load.go_on(2).await;
    assert!(load.end().await > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_is_killed_and_what_was_answered_at_a_replica_is_there() {
    let mut cluster = RedisCluster::start(3, 1);
    let url = cluster.url();
    let args = [&WORKER[..], &["--durability", "replicas:1"]].concat();
    let _workers = [WorkerProcess::start(&url, &args), WorkerProcess::start(&url, &args)];
    let load = Load::start(&url).await.with_doors();
    load.go_on(1).await;
    for killed in 0..2 {
        cluster.node_mut(killed).kill();
        eventually("its replica takes over", BOUND, async || cluster.is_master(3 + killed)).await;
        // It has no replica any more, and so no turn is acknowledged there, before the old one is back.
        cluster.node_mut(killed).restart();
        cluster.nodes()[3 + killed].wait_for_replicas(1);
        load.go_on(2).await;
    }
    assert!(load.end().await > 0);
}

#[test]
fn slots_that_nobody_has_are_told_as_such_and_not_as_a_server_that_is_away() {
    for coverage in ["yes", "no"] {
        let cluster = RedisCluster::start_with(1, 0, &[("cluster-require-full-coverage", coverage)]);
        let (code, said, error) = tenure(&cluster.url(), &["doctor"]);
        assert_eq!(code, 0, "{error}");
        let of = |said: &[Value], name: &str| {
            let check = said.iter().find(|check| check["check"] == name).map(|check| check["found"].clone());
            check.expect("it is looked at").as_str().unwrap().to_owned()
        };
        assert!(of(&said, "cluster").starts_with("1 master: "), "{said:?}");
        cluster.tell_all(&["CLUSTER", "DELSLOTSRANGE", "0", "16383"]);
        cluster.tell_all(&["CLUSTER", "ADDSLOTS", "1"]);
        let (code, said, error) = tenure(&cluster.url(), &["doctor", "--timeout", "500ms"]);
        assert_eq!(code, 5, "{said:?} {error}");
        assert!(of(&said, "cluster").contains("16383 slots have none"), "{said:?}");
        assert!(said.iter().any(|check| check["check"] == "version"), "{said:?}");
        for command in [&["sessions"][..], &["send", "echo/a", "hello"]] {
            let (code, _, error) = tenure(&cluster.url(), &[command, &["--timeout", "500ms"]].concat());
            assert!(code == 5 && error.contains("redis-cli --cluster check"), "{code} {error}");
            assert!(!error.contains("did not answer") && !error.contains("Redis runs"), "{error}");
        }
        cluster.tell_all(&["CLUSTER", "DELSLOTS", "1"]);
        let (code, said, _) = tenure(&cluster.url(), &["doctor", "--timeout", "500ms"]);
        assert!(code == 5 && of(&said, "connection").contains("the cluster is not made yet"), "{said:?}");
    }
}

#[test]
fn doctor_tells_of_the_masters_that_answer_where_one_does_not() {
    let mut cluster = RedisCluster::start_with(3, 0, &[("cluster-require-full-coverage", "no")]);
    let url = cluster.url();
    // Not the one that has what belongs to the namespace: nothing can be said without that.
    let away = cluster.kill_master(2);
    let (code, said, error) = tenure(&url, &["doctor", "--timeout", "1s"]);
    assert_eq!((code, error.lines().count()), (5, 1), "{said:?} {error}");
    let master = said.iter().find(|check| check["check"] == "master").expect("it names the one");
    assert!(master["found"].as_str().unwrap().contains(&cluster.nodes()[away].port().to_string()));
    assert!(said.iter().any(|check| check["check"] == "version"), "{said:?}");
    // A worker that starts wants all of them: it may be started again when they are there.
    let (code, _, error) = tenure(&url, &["worker", "--timeout", "1s"]);
    assert!(code == 5 && error.contains("let a replica take its place"), "{code} {error}");
}
