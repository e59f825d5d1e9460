//! `tenure top --json`: one object a look.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Stdio},
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    command::{RunningWorker, end, is_time, members, on},
    support::RedisServer,
};

/// How many looks anything may take to be seen.
const LOOKS: usize = 600;

const OFTEN: [&str; 5] = ["top", "--json", "--every", "100ms", "--timeout=300ms"];

fn once(server: &RedisServer) -> Value {
    end(on(server, &["top", "--json", "--count", "1"])).json().remove(0)
}

/// A `top` that looks on.
struct Watching {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Watching {
    fn start(server: &RedisServer) -> Self {
        let mut child = on(server, &OFTEN).stdout(Stdio::piped()).spawn().expect("it starts");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        Self { child, lines }
    }

    /// The first look of which this is true.
    fn until(&mut self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let looks = self.lines.by_ref().take(LOOKS);
        let mut looks = looks.map(|line| serde_json::from_str(&line.expect("a line")).expect("JSON"));
        looks.find(|look| holds(look)).unwrap_or_else(|| panic!("not seen: {what}"))
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn what_waits_at_all_plain_doors_is_counted_together_and_the_oldest_tells_how_long() {
    let server = RedisServer::start();
    end(on(&server, &["send", "echo/a", "hello"])).well();
    let mut conn = server.client().get_connection().unwrap();
    let mut post = |door: &str, id: &str| {
        let fields = ["to", "echo/a", "body", "hello"];
        redis::cmd("XADD").arg(door).arg(id).arg(&fields).exec(&mut conn).unwrap();
    };
    post("tenure:default:ingress", "*");
    post("tenure:default:ingress:7", "*");
    post("tenure:default:ingress:3", "1000-0");
    let look = once(&server);
    assert_eq!(look["door"], 3);
    // Its id says that it has been there since 1970.
    assert!(look["lag"]["door_ms"].as_u64() > Some(1_000_000_000_000), "{look}");
}

#[test]
fn a_look_has_stable_names_and_says_what_is_there() {
    let server = RedisServer::start();
    let worker = RunningWorker::start(&server, &["--name", "web", "--capacity", "7"]);
    for n in 0..5 {
        end(on(&server, &["send", &format!("echo/{n}"), "hello", "--wait"])).well();
    }
    end(on(&server, &["send", "nobody/a", "hello"])).well();
    let look = &end(on(&server, &["top", "--json", "--count", "2", "--every", "100ms"])).json()[1];
    assert_eq!(
        members(look),
        [
            "dead",
            "door",
            "failovers",
            "lag",
            "oldest",
            "problem",
            "queues",
            "server",
            "sessions",
            "time",
            "turns_per_second",
            "workers"
        ]
    );
    assert!(is_time(&look["time"]) && look["problem"].is_null());
    let row = &look["workers"][0];
    assert_eq!(
        members(row),
        ["agents", "capacity", "pool", "running", "sessions", "since", "state", "turns_per_second", "worker"]
    );
    assert_eq!(
        (&row["worker"], &row["state"], &row["capacity"]),
        (&json!(worker.id), &json!("ready"), &json!(7))
    );
    let sessions = &look["sessions"];
    assert_eq!((&sessions["total"], &sessions["sampled"]), (&json!(6), &json!(6)));
    assert_eq!(sessions["status"], json!({"idle": 5, "waiting": 1}));
    assert_eq!((&look["door"], &look["dead"]), (&json!(0), &json!(0)));
    assert_eq!(
        members(&look["lag"]),
        ["door_ms", "overdue", "pass_ms", "ready_ms", "replies_ms", "timers_ms", "unkept", "upkeep_ms"]
    );
    assert_eq!(look["lag"]["unkept"], 0, "{look}");
    // Nobody declares or serves that agent: the sample found where it waits.
    let queue = &look["queues"][0];
    assert_eq!(members(queue), ["agent", "oldest_ms", "pool", "served", "sessions"]);
    assert_eq!(
        (&queue["agent"], &queue["served"], &queue["sessions"]),
        (&json!("nobody"), &json!(false), &json!(1))
    );
    assert_eq!(look["oldest"]["session"], "nobody/a");
    assert!(look["oldest"]["waiting_ms"].as_u64() >= look["queues"][0]["oldest_ms"].as_u64());
    assert!(look["server"]["memory_bytes"].as_u64() > Some(100_000));
    assert!(look["server"]["clients"].as_u64() > Some(1));
    assert_eq!(members(&look["failovers"]), ["recent", "seen", "sessions"]);
}

#[test]
fn an_empty_namespace_is_seen_as_that_and_stays_empty() {
    let server = RedisServer::start();
    let look = once(&server);
    assert_eq!((&look["workers"], &look["sessions"]["total"]), (&json!([]), &json!(0)));
    assert_eq!((&look["turns_per_second"], &look["oldest"]), (&json!(null), &json!(null)));
    assert_eq!(look["lag"]["unkept"], 64);
    let mut conn = server.client().get_connection().unwrap();
    let keys: u64 = redis::cmd("DBSIZE").query(&mut conn).unwrap();
    assert_eq!(keys, 0, "a look changes nothing");
}

#[test]
fn turns_a_second_and_a_failover_are_seen_as_they_happen() {
    let server = RedisServer::start();
    let lease = ["--lease", "1s"];
    let first = RunningWorker::start(&server, &[&lease[..], &["--name", "first"]].concat());
    let _second = RunningWorker::start(&server, &[&lease[..], &["--name", "second"]].concat());
    let mut top = Watching::start(&server);
    top.until("both workers", |look| look["workers"].as_array().is_some_and(|workers| workers.len() == 2));
    for n in 0..30 {
        end(on(&server, &["send", &format!("echo/{n}"), "hello", "--wait"])).well();
    }
    top.until("turns", |look| look["turns_per_second"].as_f64() > Some(0.0));
    let held = top.until("what each owns", |look| look["sessions"]["owned"] == 30);
    let of_first = held["workers"].as_array().unwrap().iter().find(|row| row["worker"] == first.id.as_str());
    let of_first = of_first.unwrap()["sessions"].as_u64().unwrap();
    first.signal("KILL");
    let seen = top.until("the failover", |look| {
        look["failovers"]["seen"] == 1 && look["failovers"]["sessions"].as_u64() == Some(of_first)
    });
    assert_eq!(seen["failovers"]["recent"][0]["worker"], first.id.as_str());
    top.until("one worker is left", |look| {
        look["workers"].as_array().is_some_and(|workers| workers.len() == 1)
    });
}

#[test]
fn while_the_server_is_away_nothing_is_claimed_to_be_known_and_then_it_goes_on() {
    let mut server = RedisServer::start();
    end(on(&server, &["send", "echo/a", "hello"])).well();
    let mut top = Watching::start(&server);
    top.until("a session", |look| look["sessions"]["total"] == 1);
    server.kill();
    let away = top.until("the outage", |look| look["problem"].is_string());
    assert_eq!(members(&away), ["problem", "time"], "unknown is not none");
    server.restart();
    let back = top.until("the server", |look| look["problem"].is_null());
    assert!(back["workers"].is_array());
}

#[test]
fn without_a_server_it_says_so_at_every_look_and_ends_with_5() {
    let mut command = crate::command::tenure(&["top", "--json", "--count", "2", "--every", "100ms"]);
    command.args(["--redis", "redis://user:hunter2@127.0.0.1:1", "--timeout", "200ms"]);
    let ended = end(command);
    assert!(ended.badly(5).contains("--redis") && ended.stdout.lines().count() == 2, "{ended:?}");
    assert!(!format!("{ended:?}").contains("hunter2"));
}

#[test]
fn not_on_a_terminal_it_says_what_to_do() {
    let server = RedisServer::start();
    assert!(end(on(&server, &["top"])).badly(2).contains("--json"));
}

#[test]
fn a_worker_that_dies_alone_leaves_the_list_within_its_lease() {
    let server = RedisServer::start();
    let worker = RunningWorker::start(&server, &["--lease", "1s"]);
    worker.signal("KILL");
    crate::support::wait_until("it is gone", Duration::from_secs(10), || {
        end(on(&server, &["workers", "--json"])).json().is_empty()
    });
}
