//! Workers, clients and a primary that sentinels watch: it is replaced, and everything goes on.

#![allow(clippy::disallowed_methods, reason = "those who send are tasks beside what is tested")]

#[path = "../support/mod.rs"]
mod support;

mod liar;
#[path = "../load/mod.rs"]
mod load;
mod many;

use std::{process::Command, time::Duration};

use liar::Liar;
use load::{BOUND, Load, MEMORY, REPLICATED, TURNS, Tally, workers};
use serde_json::Value;
use support::{
    WorkerProcess, eventually,
    sentinel::{NAME, Sentinel, Watched},
};
use tenure::store::{Hint, Listener, RedisStore, Store, redis::Options};

/// How long a primary may be silent where it is to be replaced by the sentinels.
const DOWN_AFTER: Duration = Duration::from_secs(1);

/// Sessions of each class.
const SESSIONS: usize = 3;

fn tenure(url: &str, args: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tenure"));
    let ended = command.args(args).env("TENURE_REDIS", url).env_remove("RUST_LOG").output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (ended.status.code().unwrap(), text(ended.stdout), text(ended.stderr))
}

/// A finding of `doctor`: its status, and what was found.
fn finding(url: &str, check: &str) -> (String, String) {
    let (_, said, error) = tenure(url, &["doctor", "--json", "--timeout", "20s"]);
    let checks = said.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let found = checks.into_iter().find(|found| found["check"] == check);
    let found = found.unwrap_or_else(|| panic!("no {check} in {said} {error}"));
    let text = |field: &str| found[field].as_str().unwrap().to_owned();
    (text("status"), text("found"))
}

fn at(ports: &[u16]) -> String {
    let hosts: Vec<_> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    format!("redis+sentinel://{}/{NAME}", hosts.join(","))
}

#[test]
fn a_message_is_served_by_way_of_sentinels_though_one_is_away_one_hangs_and_one_lies() {
    let mut watched = Watched::start();
    let [primary, replica] = [0, 1].map(|server: usize| watched.servers[server].port());
    let url = watched.url();
    let _worker = WorkerProcess::start(&url, &[]);
    let (code, said, error) = tenure(&url, &["send", "echo/alice", "hi", "--wait", "--json"]);
    assert_eq!(code, 0, "{error}");
    assert!(said.contains(r#""text":"hi""#), "{said}");

    let (status, found) = finding(&url, "sentinels");
    assert_eq!(status, "ok", "{found}");
    assert_eq!(found, format!("3 of 3 name 127.0.0.1:{primary} as `{NAME}`, quorum 2"));
    let (status, found) = finding(&url, "min-replicas-to-write");
    assert_eq!((status.as_str(), found.as_str()), ("warn", "0"));

    // The one that lies is believed by nobody: what it names says that it is a replica.
    let liar = Liar::naming(replica);
    let ports: Vec<_> = watched.sentinels.iter().map(|sentinel| sentinel.port()).collect();
    watched.sentinels[0].kill();
    watched.sentinels[1].pause();
    let url = at(&[liar.port(), ports[0], ports[1], ports[2]]);
    let (code, _, error) = tenure(&url, &["send", "echo/alice", "again", "--wait"]);
    assert_eq!(code, 0, "{error}");
    let (status, found) = finding(&url, "sentinels");
    assert_eq!(status, "warn", "{found}");
    assert!(found.starts_with("2 of 4") && found.contains(&ports[0].to_string()), "{found}");

    // Alone it leads nowhere, and that is said.
    let (code, _, error) = tenure(&at(&[liar.port()]), &["sessions", "--timeout", "4s"]);
    assert!(code == 5 && error.contains("the sentinels name a replica"), "{code} {error}");
    watched.sentinels[1].resume();

    // A name that they do not know.
    let unknown = at(&[ports[2]]).replace(NAME, "other");
    let (code, _, error) = tenure(&unknown, &["sessions"]);
    assert!(code == 5 && error.contains("no sentinel knows a primary `other`"), "{code} {error}");
}

/// Gives each sentinel a user with the rights that docs/topologies.md names; the address by which it is used.
fn with_a_user(watched: &Watched) -> String {
    let rights = "+sentinel|get-master-addr-by-name +sentinel|master +subscribe &+switch-master";
    for sentinel in &watched.sentinels {
        let rules: Vec<_> = ["watcher", "on", ">its-own"].into_iter().chain(rights.split(' ')).collect();
        set_user(sentinel, &rules);
    }
    watched.url() + "?sentinel_user=watcher&sentinel_password=its-own"
}

fn set_user(sentinel: &Sentinel, rules: &[&str]) {
    let client = redis::Client::open(format!("redis://127.0.0.1:{}", sentinel.port())).unwrap();
    let mut conn = client.get_connection().unwrap();
    redis::cmd("ACL").arg("SETUSER").arg(rules).exec(&mut conn).unwrap();
}

#[test]
fn sentinels_have_users_of_their_own() {
    let watched = Watched::start();
    let known = with_a_user(&watched);
    for sentinel in &watched.sentinels {
        set_user(sentinel, &["default", "off"]);
    }
    let (code, _, error) = tenure(&watched.url(), &["sessions"]);
    assert!(code == 4 && error.contains("?sentinel_user="), "{code} {error}");
    let (code, _, error) = tenure(&known, &["sessions"]);
    assert_eq!(code, 0, "{error}");
    let wrong = watched.url() + "?sentinel_user=watcher&sentinel_password=another-one";
    let (code, _, error) = tenure(&wrong, &["sessions"]);
    assert!(code == 4 && !error.contains("another-one"), "{code} {error}");
}

#[test]
fn without_a_sentinel_that_answers_the_error_names_them_and_no_password() {
    let ports = [support::port::free(), support::port::free()];
    let url = at(&ports).replace("://", "://user:its-secret@") + "?sentinel_password=its-secret";
    let (code, _, error) = tenure(&url, &["sessions", "--timeout", "500ms"]);
    assert_eq!(code, 5, "{error}");
    assert!(error.contains(&format!("no sentinel of `{NAME}` answers")), "{error}");
    assert!(ports.iter().all(|port| error.contains(&port.to_string())), "{error}");
    assert!(!error.contains("its-secret"), "{error}");
    let (code, _, error) = tenure("redis+sentinel://user:its-secret@host:1", &["sessions"]);
    assert!(code == 2 && error.contains("not an address of sentinels"), "{code} {error}");
    assert!(!error.contains("its-secret"), "{error}");
}

#[tokio::test]
async fn connections_that_say_nothing_leave_a_primary_that_was_replaced_by_hand_too() {
    let watched = Watched::start();
    let store = RedisStore::connect(Options::new(with_a_user(&watched))).await.unwrap();
    let mut listener = store.listen(&"idle".parse().unwrap()).await.unwrap();
    let before = store.server().await.unwrap().run_id.clone();
    _ = watched.fail_over();
    eventually("it is left", BOUND, async || {
        store.server().await.is_ok_and(|server| server.run_id != before)
    })
    .await;
    let missed = async { while listener.recv().await != Hint::Missed {} };
    tokio::time::timeout(BOUND, missed).await.expect("hints come from the new one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_is_killed_under_load_and_no_turn_that_was_told_at_replicas_1_is_lost() {
    let mut watched = Watched::start_with(DOWN_AFTER);
    let (_workers, _folder) = workers(&watched.url(), &[MEMORY, REPLICATED], &[]);
    let load = Load::start(&watched.url(), &[MEMORY, REPLICATED], SESSIONS).await;
    load.wait_for_more(REPLICATED, TURNS, BOUND).await;
    let old = watched.kill_primary();
    watched.wait_for_failover_from(old);
    // It has no replica now: what asks for one waits, and the rest goes on.
    load.wait_for_more(MEMORY, TURNS, BOUND).await;
    watched.revive(old);
    load.wait_for_more(REPLICATED, TURNS, BOUND).await;
    load.finish(BOUND).await;
    let Tally { told, lost, twice, .. } = load.tally(REPLICATED).await;
    assert!(told >= (2 * TURNS * SESSIONS) as u64, "{told}");
    assert_eq!((lost, twice), (0, 0), "of {told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_is_replaced_by_hand_under_load_and_no_turn_that_was_told_at_replicas_1_is_lost() {
    let watched = Watched::start();
    let (_workers, _folder) = workers(&watched.url(), &[MEMORY, REPLICATED], &[]);
    let load = Load::start(&watched.url(), &[MEMORY, REPLICATED], SESSIONS).await;
    load.wait_for_more(REPLICATED, TURNS, BOUND).await;
    _ = watched.fail_over();
    // The old one is told seconds later, and takes writes until then: nobody may still be there.
    load.wait_for_more(MEMORY, TURNS, BOUND).await;
    load.wait_for_more(REPLICATED, TURNS, BOUND).await;
    load.finish(BOUND).await;
    let Tally { told, lost, twice, .. } = load.tally(REPLICATED).await;
    assert_eq!((lost, twice), (0, 0), "of {told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_replica_stands_still_nothing_is_told_at_replicas_1_and_it_is_said_to_be_unknown() {
    let watched = Watched::start();
    let (_workers, _folder) = workers(&watched.url(), &[MEMORY, REPLICATED], &[]);
    let load = Load::start(&watched.url(), &[MEMORY, REPLICATED], SESSIONS).await;
    load.wait_for_more(REPLICATED, TURNS, BOUND).await;
    let replica = 1 - watched.wait_for_primary();
    watched.servers[replica].pause();
    let before = load.told(REPLICATED);
    load.wait_for_unknown(REPLICATED, BOUND).await;
    load.wait_for_more(MEMORY, TURNS, BOUND).await;
    // What each had under way may have been acknowledged just before.
    let meanwhile = load.told(REPLICATED) - before;
    assert!(meanwhile <= SESSIONS, "{meanwhile} turns were told that no replica has");
    watched.servers[replica].resume();
    load.wait_for_more(REPLICATED, TURNS, BOUND).await;
    load.finish(BOUND).await;
    for class in [MEMORY, REPLICATED] {
        let Tally { told, lost, twice, .. } = load.tally(class).await;
        assert_eq!((lost, twice), (0, 0), "of {told} at {class}");
    }
}
