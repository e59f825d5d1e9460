//! Programs as users that have what `tenure acl` prints, and nothing else.

use std::time::Duration;

use redis::{Connection, FromRedisValue, RedisResult};
use serde_json::Value;

use crate::{
    command::{Ended, tenure},
    support::{RedisServer, WorkerProcess},
};

const PASSWORD: &str = "pass1";
const ROLES: [&str; 4] = ["worker", "client", "sender", "observer"];

/// A server on which nobody but its operator may do more than they need.
struct Guarded {
    server: RedisServer,
}

impl Guarded {
    fn new() -> Self {
        Self::of(RedisServer::start(), "memory")
    }

    /// The same on that server, for turns that reach `class`.
    fn of(server: RedisServer, class: &str) -> Self {
        let guarded = Self { server };
        guarded.give(class);
        for role in ROLES {
            guarded.run(&format!("ACL SETUSER {role} >{PASSWORD}"));
        }
        guarded
    }

    /// Gives each role what is printed for it, for turns that reach `class`.
    fn give(&self, class: &str) {
        for role in ROLES {
            self.run(&printed(&["acl", role, "--user", role, "--durability", class]));
        }
    }

    /// A command as the operator.
    fn run(&self, line: &str) {
        ask::<()>(&mut self.server.client().get_connection().unwrap(), line).unwrap();
    }

    fn url(&self, role: &str) -> String {
        format!("redis://{role}:{PASSWORD}@127.0.0.1:{}", self.server.port())
    }

    fn worker(&self) -> WorkerProcess {
        WorkerProcess::start(&self.url("worker"), &["--lease", "1s"])
    }

    fn tenure(&self, role: &str, args: &[&str]) -> Ended {
        tenure(&[args, &["--redis", &self.url(role)]].concat())
    }

    /// All keys, and what stands in the one that is named like the probes' arguments.
    fn everything(&self) -> (Vec<String>, String) {
        let mut conn = self.server.client().get_connection().unwrap();
        (ask(&mut conn, "KEYS *").unwrap(), ask(&mut conn, "GET 0").unwrap())
    }

    /// A connection as a user of that role.
    fn raw(&self, role: &str) -> Connection {
        redis::Client::open(self.url(role)).unwrap().get_connection().unwrap()
    }

    fn keys(&self, session: &str) -> Value {
        serde_json::from_str(&printed(&["keys", session, "--json"])).unwrap()
    }
}

/// What a command prints that needs no server.
fn printed(args: &[&str]) -> String {
    tenure(&[args, &["--redis", "redis://127.0.0.1:1"]].concat()).well().trim_end().to_owned()
}

/// Runs a command, written as one would at a prompt.
fn ask<T: FromRedisValue>(conn: &mut Connection, line: &str) -> RedisResult<T> {
    let mut command = redis::Cmd::new();
    for word in line.split(' ') {
        command.arg(word);
    }
    command.query(conn)
}

#[test]
fn a_fleet_does_all_it_does_with_no_more_than_its_users_may() {
    let guarded = Guarded::new();
    let mut worker = guarded.worker();
    let as_client = |args: &[&str]| guarded.tenure("client", args).well();
    assert_eq!(as_client(&["send", "echo/a", "hello", "--wait"]), "hello\n");
    assert_eq!(as_client(&["send", "echo/a", "hello", "--wait", "--id", "k"]), "hello\n");
    as_client(&["send", "nobody/a", "hello"]);
    for role in ["client", "observer"] {
        let reads = |args: &[&str]| guarded.tenure(role, args).well();
        assert!(reads(&["history", "echo/a"]).contains("hello"));
        assert!(reads(&["sessions"]).contains("nobody/a"));
        assert!(reads(&["show", "echo/a"]).contains("idle"));
        assert!(reads(&["show", "nobody/a", "--mail"]).ends_with("  hello\n"));
        assert!(reads(&["workers"]).contains(worker.id()));
        reads(&["dead", "ls"]);
    }
    assert!(guarded.tenure("observer", &["top", "--json", "--count", "1"]).well().contains("sessions"));
    let ended = guarded.tenure("client", &["top", "--json", "--count", "1"]);
    assert_eq!(ended.code, Some(4), "{ended:?}");
    for said in ["no permissions", "tenure acl observer", "tenure doctor --as observer"] {
        assert!(ended.stderr.contains(said) && !ended.stderr.contains("Redis runs"), "{said}: {ended:?}");
    }
    // Operators have what workers have.
    guarded.tenure("worker", &["delete", "nobody/a"]).well();
    guarded.tenure("worker", &["drain", worker.id()]).well();
    assert!(worker.drain(Duration::from_secs(30)).success());
}

#[test]
fn a_session_of_a_dead_worker_is_taken_over_by_another_with_a_workers_rights() {
    let guarded = Guarded::new();
    let mut first = guarded.worker();
    guarded.tenure("client", &["send", "echo/a", "one", "--wait"]).well();
    let mut second = guarded.worker();
    first.kill();
    let reply = guarded.tenure("client", &["send", "echo/a", "two", "--wait=20s"]).well();
    assert_eq!(reply, "two\n");
    assert!(second.drain(Duration::from_secs(30)).success());
}

#[test]
fn a_sender_gets_replies_by_the_plain_door_and_sees_nothing() {
    let guarded = Guarded::new();
    let mut worker = guarded.worker();
    let mut conn = guarded.raw("sender");
    let _: String =
        ask(&mut conn, "XADD tenure:default:ingress * to echo/a body hello reply_to reply:me").unwrap();
    let (_, reply): (String, String) = ask(&mut conn, "BLPOP reply:me 20").unwrap();
    assert!(reply.contains(r#""reply":{"text":"hello"}"#), "{reply}");
    let numbered = "XADD tenure:default:ingress:7 * to echo/b body hello reply_to reply:b";
    let _: String = ask(&mut conn, numbered).unwrap();
    let _: (String, String) = ask(&mut conn, "BLPOP reply:b 20").unwrap();
    let keys = guarded.keys("echo/a");
    for line in [
        format!("XRANGE {} - +", keys["hist"].as_str().unwrap()),
        "XRANGE tenure:default:ingress - +".to_owned(),
        "XRANGE tenure:default:ingress:7 - +".to_owned(),
        "XADD tenure:default:ingress:8 * to echo/b body nobody-looks-there".to_owned(),
        format!("HGETALL {}", keys["meta"].as_str().unwrap()),
    ] {
        assert_eq!(ask::<()>(&mut conn, &line).unwrap_err().code(), Some("NOPERM"), "{line}");
    }
    assert!(worker.drain(Duration::from_secs(30)).success());
}

#[test]
fn what_a_role_is_not_for_is_refused() {
    let guarded = Guarded::new();
    let mut worker = guarded.worker();
    guarded.tenure("client", &["send", "echo/a", "hello", "--wait"]).well();
    let keys = guarded.keys("echo/a");
    let key = |kind: &str| keys[kind].as_str().unwrap().to_owned();
    let of_partition = key("own").split_once("own:").unwrap().0.to_owned();
    let call = |names: &[String]| format!("EVALSHA {} {} {} x", "0".repeat(40), names.len(), names.join(" "));
    // What claim, commit, renew and relay name.
    let claim = call(&[key("meta"), key("own"), key("hist"), key("in"), format!("{of_partition}workers")]);
    let commit = call(&[key("meta"), key("hist"), key("in")]);
    let held = call(&[format!("{of_partition}held:w")]);
    let relay = call(&[format!("{of_partition}cursor")]);
    let state = format!("GET {}", key("state"));
    let listens = format!("SSUBSCRIBE {of_partition}wake:w");
    for (role, lines) in [
        ("client", vec![&claim, &commit, &held, &relay, &state, &listens]),
        ("observer", vec![&claim, &commit, &held, &relay, &listens]),
        ("sender", vec![&claim, &commit, &held, &relay, &state, &listens]),
    ] {
        for line in lines {
            let mut conn = guarded.raw(role);
            assert_eq!(ask::<()>(&mut conn, line).unwrap_err().code(), Some("NOPERM"), "{role}: {line}");
        }
    }
    for line in [
        "SCRIPT LOAD x",
        "CONFIG GET *",
        "KEYS *",
        "FLUSHALL",
        "GET other",
        "XADD other * a b",
        "PUBLISH a b",
    ] {
        for role in ROLES {
            if role == "worker" && line.starts_with("SCRIPT") {
                continue;
            }
            let answered = ask::<()>(&mut guarded.raw(role), line);
            assert_eq!(answered.unwrap_err().code(), Some("NOPERM"), "{role}: {line}");
        }
    }
    // An observer who tries is told, and nothing happened.
    let said = guarded.tenure("observer", &["send", "echo/a", "more"]).badly(4);
    assert!(said.contains("forbids it to this user"), "{said}");
    let said = guarded.tenure("client", &["delete", "echo/a"]).badly(4);
    assert!(said.contains("this user"), "{said}");
    let history = guarded.tenure("observer", &["history", "echo/a", "--json"]).well();
    assert_eq!(history.lines().count(), 2, "{history}");
    assert!(worker.drain(Duration::from_secs(30)).success());
}

#[test]
fn doctor_says_what_a_user_lacks_for_its_role() {
    let guarded = Guarded::new();
    let rights = |user: &str, role: &str| {
        let checks = guarded.tenure(user, &["doctor", "--as", role, "--json"]).stdout;
        let checks = checks.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        checks.into_iter().find(|check| check["check"] == "rights").unwrap()
    };
    for role in ROLES {
        let found = rights(role, role);
        assert_eq!(found["status"], "ok", "{role}: {found}");
    }
    let found = rights("client", "worker");
    assert_eq!(found["status"], "fail");
    for rule in [
        "+ssubscribe",
        "+script|load",
        "~tenure:{default}:*",
        "&tenure:{default}:life:*",
        "&__keyevent@0__:expired",
    ] {
        assert!(found["found"].as_str().unwrap().contains(rule), "{rule}: {found}");
    }
    // Every single right is missed.
    for role in ROLES {
        let report: Value = serde_json::from_str(&printed(&["acl", role, "--json"])).unwrap();
        let granted = |kind: &str| report[kind].as_array().unwrap().clone();
        let rules = [granted("keys"), granted("channels"), granted("commands")].concat();
        guarded.run("ACL SETUSER poor on >pass1 resetkeys resetchannels nocommands +info +ping +select +multi +exec +discard +unwatch");
        let missed = rights("poor", role)["found"].as_str().unwrap().to_owned();
        let has = ["+info", "+ping", "+select", "+multi", "+exec", "+discard", "+unwatch"];
        for rule in rules
            .iter()
            .map(|rule| rule.as_str().unwrap())
            .filter(|rule| rule.starts_with('+') && !has.contains(rule))
        {
            assert!(missed.split(' ').any(|word| word == rule), "{role}: {rule} is not among {missed}");
        }
        guarded.run("ACL SETUSER poor resetkeys resetchannels +@all");
        let missed = rights("poor", role)["found"].as_str().unwrap().to_owned();
        for rule in rules.iter().map(|rule| rule.as_str().unwrap()).filter(|rule| !rule.starts_with('+')) {
            assert!(missed.split(' ').any(|word| word == rule), "{role}: {rule} is not among {missed}");
        }
    }
    let said = guarded.tenure("observer", &["worker"]).code;
    assert_eq!(said, Some(4), "a worker does not start without its rights");
}

#[test]
fn each_role_with_what_is_printed_for_it_is_well_by_doctor() {
    let guarded = Guarded::new();
    for role in ROLES {
        let said = guarded.tenure(role, &["doctor", "--as", role]);
        assert_eq!(said.code, Some(0), "{role}: {said:?}");
        let line =
            said.stdout.lines().find(|line| line.contains("notifications")).expect("they are looked at");
        assert!(line.starts_with("ok ") && line.contains("not this user's to see"), "{role}: {line}");
    }
}

#[test]
fn doctor_runs_nothing_of_what_it_asks_for() {
    let guarded = Guarded::new();
    guarded.run("SET 0 kept");
    let before = guarded.everything();
    for user in ["worker", "client", "sender", "observer"] {
        for role in ROLES {
            _ = guarded.tenure(user, &["doctor", "--as", role]);
        }
    }
    guarded.run("ACL SETUSER any on >pass1 ~* &* +@all");
    for without in ["multi", "exec", "discard"] {
        guarded.run(&format!("ACL SETUSER any +@all -{without}"));
        let said = guarded.tenure("any", &["doctor"]).stdout;
        assert!(said.contains(&format!("needs more: +{without}")), "{said}");
    }
    guarded.run("ACL SETUSER any +@all");
    guarded.tenure("any", &["doctor"]).well();
    assert_eq!(guarded.everything(), before);
}

#[test]
fn a_reply_to_a_list_that_the_worker_may_not_write_ends_in_dead_and_holds_up_no_other() {
    let guarded = Guarded::new();
    let mut worker = guarded.worker();
    let mut conn = guarded.raw("sender");
    let send = |conn: &mut Connection, to: &str| {
        let line = format!("XADD tenure:default:ingress * to echo/a body hello reply_to {to}");
        ask::<String>(conn, &line).unwrap();
    };
    send(&mut conn, "elsewhere:1");
    send(&mut conn, "reply:2");
    let (_, reply): (String, String) = ask(&mut conn, "BLPOP reply:2 20").unwrap();
    assert!(reply.contains("hello"), "{reply}");
    let dead = guarded.tenure("client", &["dead", "ls", "--json"]).well();
    assert!(dead.contains(r#""reason":"reply_to""#), "{dead}");
    assert!(worker.drain(Duration::from_secs(30)).success());
}

#[test]
fn the_line_keeps_a_users_password_and_takes_what_else_it_had() {
    let guarded = Guarded::new();
    guarded.run("ACL SETUSER client +@all ~* &*");
    assert!(ask::<()>(&mut guarded.raw("client"), "GET other").is_ok());
    guarded.run(&printed(&["acl", "client", "--user", "client"]));
    assert_eq!(ask::<()>(&mut guarded.raw("client"), "GET other").unwrap_err().code(), Some("NOPERM"));
    for args in [
        &["acl", "client", "--user", "a b"][..],
        &["acl", "client", "--replies", "tenure:*"],
        &["acl", "king"],
    ] {
        assert_eq!(tenure(args).code, Some(2), "{args:?}");
    }
    let line =
        printed(&["acl", "worker", "--namespace", "shop", "--replies", "mine:*", "--replies", "reply:*"]);
    assert!(line.contains("~mine:* ~reply:*") && line.contains("~tenure:{shop.*}:*"), "{line}");
}

#[test]
fn a_worker_whose_replies_go_to_other_lists_starts_and_is_told_of_those_of_send() {
    let guarded = Guarded::new();
    guarded.run(&printed(&["acl", "worker", "--user", "worker", "--replies", "my:*"]));
    let mut worker = guarded.worker();
    let said = guarded.tenure("worker", &["doctor"]).well();
    assert!(said.contains("but not ~reply:*"), "{said}");
    assert!(worker.drain(Duration::from_secs(30)).success());
}

#[test]
fn users_of_a_fleet_at_fsync_have_what_that_needs_and_a_worker_without_it_does_not_start() {
    let server = RedisServer::builder().appendonly("always").start();
    if !server.knows_waitaof() {
        return;
    }
    let guarded = Guarded::of(server, "memory");
    let said = guarded.tenure("worker", &["worker", "--durability", "fsync"]);
    assert_eq!(said.code, Some(4), "{said:?}");
    assert!(said.stderr.contains("a worker needs more: +config|get +waitaof"), "{said:?}");

    guarded.give("fsync");
    let mut worker = WorkerProcess::start(&guarded.url("worker"), &["--durability", "fsync"]);
    let sent = guarded.tenure("client", &["send", "echo/a", "hello", "--wait", "--json"]).well();
    assert_eq!(serde_json::from_str::<Value>(&sent).unwrap()["class"], "fsync");
    for role in ROLES {
        let said = guarded.tenure(role, &["doctor", "--as", role]).well();
        assert!(said.contains("all that a"), "{role}: {said}");
    }
    // Settings show passwords: only who serves may read them.
    for (role, allowed) in [("worker", true), ("client", false), ("sender", false), ("observer", false)] {
        let asked = ask::<Vec<String>>(&mut guarded.raw(role), "CONFIG GET appendfsync");
        assert_eq!(asked.is_ok(), allowed, "{role}: {asked:?}");
    }
    guarded.run("ACL SETUSER client -waitaof");
    let found = guarded.tenure("client", &["doctor", "--as", "client"]);
    assert!(found.code == Some(1) && found.stdout.contains("a client needs more: +waitaof"), "{found:?}");
    assert!(worker.drain(Duration::from_secs(30)).success());
}
