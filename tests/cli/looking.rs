//! `tenure history`, `sessions`, `show`, `workers`, `keys`, `doctor`.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    command::{RunningWorker, end, is_time, members, on, tenure},
    support::{RedisServer, wait_until},
};

/// How long what happens by itself may take.
const SOON: Duration = Duration::from_secs(30);

#[test]
fn a_history_is_told_oldest_first_and_in_whole_or_part() {
    let server = RedisServer::start();
    let _worker = RunningWorker::start(&server, &[]);
    for n in 0..3 {
        end(on(&server, &["send", "echo/a", &n.to_string(), "--wait"])).well();
    }
    let history = |args: &[&str]| end(on(&server, &[&["history", "echo/a", "--json"], args].concat())).json();
    let all = history(&["--limit", "0"]);
    let texts: Vec<_> = all.iter().map(|entry| entry["body"]["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["0", "0", "1", "1", "2", "2"]);
    for (seq, entry) in all.iter().enumerate() {
        assert_eq!(members(entry), ["body", "id", "kind", "message", "time", "turn"]);
        assert!(is_time(&entry["time"]));
        assert!(entry["id"].as_str().unwrap().ends_with(&format!("-{}", seq + 1)));
        assert_eq!(entry["kind"], ["user", "assistant"][seq % 2]);
        assert_eq!(entry["turn"], seq / 2 + 1);
    }
    assert_eq!(history(&[]), all);
    assert_eq!(history(&["--limit", "2"]), all[4..]);
    let plain = end(on(&server, &["history", "echo/a", "--limit", "1"])).well();
    assert!(plain.contains("assistant") && plain.ends_with("  2\n"), "{plain:?}");
    end(on(&server, &["history", "echo/none"])).badly(3);
}

#[test]
fn following_a_history_goes_on_with_what_is_added() {
    let server = RedisServer::start();
    let _worker = RunningWorker::start(&server, &[]);
    end(on(&server, &["send", "echo/a", "before", "--wait"])).well();
    let mut command = on(&server, &["history", "echo/a", "--follow", "--json", "--limit", "1"]);
    let mut following = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    let mut next = || -> Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    assert_eq!(next()["body"]["text"], "before");
    end(on(&server, &["send", "echo/a", "after", "--wait"])).well();
    assert_eq!((next()["kind"].as_str(), next()["kind"].as_str()), (Some("user"), Some("assistant")));
    following.kill().unwrap();
    following.wait().unwrap();
}

#[test]
fn show_tells_why_a_session_waits_and_who_has_it() {
    let server = RedisServer::start();
    end(on(&server, &["send", "echo/a", "hello", "--group", "acme"])).well();
    let show = || end(on(&server, &["show", "echo/a", "--json"])).json().remove(0);
    let waiting = show();
    assert_eq!(
        members(&waiting),
        [
            "agent", "cause", "created", "epoch", "group", "pool", "reason", "session", "status", "turns",
            "updated", "waiting"
        ]
    );
    let state = |view: &Value| (view["status"].clone(), view["cause"].clone(), view["waiting"].clone());
    assert_eq!(state(&waiting), (json!("waiting"), json!("no_worker"), json!(1)));
    assert!(waiting["reason"].as_str().is_some_and(|reason| reason.contains("echo")));
    assert!(is_time(&waiting["created"]) && is_time(&waiting["updated"]));
    assert!(end(on(&server, &["show", "echo/a"])).well().contains("waiting (no_worker)"));

    let worker = RunningWorker::start(&server, &[]);
    end(on(&server, &["send", "echo/a", "again", "--wait"])).well();
    let owned = show();
    assert_eq!(state(&owned), (json!("idle"), json!(null), json!(0)));
    assert_eq!(
        (&owned["owner"], &owned["turns"], &owned["group"]),
        (&json!(worker.id), &json!(2), &json!("acme"))
    );
    end(on(&server, &["show", "echo/none"])).badly(3);
}

#[test]
fn the_messages_that_wait_are_shown_with_their_bodies_where_they_are_asked_for() {
    let server = RedisServer::start();
    end(on(&server, &["send", "echo/a", "one", "--id", "k"])).well();
    end(on(&server, &["send", "echo/a", "--body", r#"{"n":2}"#])).well();
    let show = |args: &[&str]| end(on(&server, &[&["show", "echo/a"], args].concat()));
    let waiting = show(&["--mail", "--json"]).json().remove(0)["mail"].take();
    assert_eq!(members(&waiting[0]), ["body", "id", "message", "time"]);
    assert_eq!((&waiting[0]["body"], &waiting[0]["id"]), (&json!({"text": "one"}), &json!("k")));
    assert_eq!((&waiting[1]["body"], members(&waiting[1])), (&json!({"n": 2}), members(&waiting[0])));
    assert!(is_time(&waiting[0]["time"]) && waiting[2].is_null());
    let shown = show(&["--mail"]).well();
    assert!(shown.contains("\nMESSAGE") && shown.ends_with("  {\"n\":2}\n"), "{shown}");
    assert!(!show(&[]).well().contains("MESSAGE"));
    assert!(show(&["--json"]).json()[0].get("mail").is_none());

    // What no version can read is there all the same.
    let keys = end(on(&server, &["keys", "echo/a", "--json"])).json().remove(0);
    let mut conn = server.client().get_connection().unwrap();
    redis::cmd("RPUSH").arg(keys["in"].as_str()).arg("rubbish").exec(&mut conn).unwrap();
    let waiting = show(&["--mail", "--json"]).json().remove(0)["mail"].take();
    assert_eq!(members(&waiting[2]), ["unreadable"]);

    redis::cmd("RPUSH").arg(keys["in"].as_str()).arg(&["more"; 100]).exec(&mut conn).unwrap();
    let ended = show(&["--mail"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, "these are the first 100 of 103\n"));
}

#[test]
fn a_session_whose_record_was_deleted_is_none_and_the_mail_that_waits_for_it_is_told() {
    let server = RedisServer::start();
    let meta = |session: &str| end(on(&server, &["keys", session, "--json"])).json()[0]["meta"].clone();
    end(on(&server, &["send", "echo/a", "one"])).well();
    let mut conn = server.client().get_connection().unwrap();
    let meta = meta("echo/a");
    redis::cmd("DEL").arg(meta.as_str()).exec(&mut conn).unwrap();
    let show = || end(on(&server, &["show", "echo/a"])).badly(3).to_owned();
    assert!(show().contains("messages wait for it (1)"), "{}", show());
    // What else stands there makes no session either.
    redis::cmd("HSET").arg(meta.as_str()).arg(&["tries", "3"]).exec(&mut conn).unwrap();
    assert!(show().contains("messages wait for it (1)"), "{}", show());
    let _worker = RunningWorker::start(&server, &[]);
    assert_eq!(end(on(&server, &["send", "echo/a", "two", "--wait"])).well(), "two\n");
    let history = end(on(&server, &["history", "echo/a"])).well();
    assert!(history.contains("one") && history.contains("two"), "{history}");
}

#[test]
fn a_session_of_another_pool_says_so() {
    let server = RedisServer::start();
    let mut worker = RunningWorker::start(&server, &["--pool", "gpu"]);
    end(on(&server, &["send", "echo/a", "hello", "--wait"])).well();
    worker.signal("TERM");
    assert!(worker.ended().success());
    let _other = RunningWorker::start(&server, &["--pool", "cpu"]);
    end(on(&server, &["send", "echo/a", "hello"])).well();
    let view = end(on(&server, &["show", "echo/a", "--json"])).json().remove(0);
    assert_eq!((&view["pool"], &view["cause"]), (&json!("gpu"), &json!("other_pool")));
    let reason = view["reason"].as_str().unwrap();
    assert!(reason.contains("in pool cpu") && reason.contains("to pool gpu"), "{reason}");
}

#[test]
fn sessions_are_listed_by_state_and_agent() {
    let server = RedisServer::start();
    for session in ["echo/a", "echo/b", "support/a"] {
        end(on(&server, &["send", session, "hello"])).well();
    }
    let list = |args: &[&str]| {
        let views = end(on(&server, &[&["sessions", "--json"], args].concat())).json();
        let mut names: Vec<_> =
            views.iter().map(|view| view["session"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    };
    assert_eq!(list(&[]), ["echo/a", "echo/b", "support/a"]);
    assert_eq!(list(&["--agent", "support"]), ["support/a"]);
    assert_eq!(list(&["--status", "waiting"]).len(), 3);
    assert!(list(&["--status", "idle"]).is_empty());
    assert_eq!(list(&["--limit", "2"]).len(), 2);
    let table = end(on(&server, &["sessions"])).well();
    let columns: Vec<_> = table.lines().map(|line| line.find("waiting").or(line.find("STATUS"))).collect();
    assert_eq!(columns.len(), 4);
    assert!(columns.windows(2).all(|pair| pair[0] == pair[1]), "{table}");
}

#[test]
fn workers_are_listed_as_long_as_they_are_there() {
    let server = RedisServer::start();
    let mut worker = RunningWorker::start(&server, &["--name", "one", "--capacity", "7"]);
    let workers = || end(on(&server, &["workers", "--json"])).json();
    let listed = workers();
    assert_eq!(listed.len(), 1);
    assert_eq!(
        members(&listed[0]),
        ["agents", "capacity", "pool", "running", "sessions", "since", "state", "worker"]
    );
    assert!(worker.id.starts_with("one-") && listed[0]["worker"] == worker.id.as_str());
    assert_eq!(
        (&listed[0]["capacity"], &listed[0]["state"], &listed[0]["agents"]),
        (&json!(7), &json!("ready"), &json!(["echo"]))
    );
    assert!(is_time(&listed[0]["since"]));
    worker.signal("TERM");
    assert!(worker.ended().success());
    assert!(workers().is_empty());
}

#[test]
fn workers_are_listed_by_pool_and_a_client_is_none() {
    let server = RedisServer::start();
    end(on(&server, &["send", "echo/a", "hello"])).well();
    let listed = |args: &[&str]| {
        let workers = end(on(&server, &[&["workers", "--json"], args].concat())).json();
        workers.iter().map(|worker| worker["worker"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert!(listed(&[]).is_empty(), "a client connecting adds none");
    let cpu = RunningWorker::start(&server, &["--pool", "cpu", "--name", "a"]);
    let gpu = RunningWorker::start(&server, &["--pool", "gpu", "--name", "b"]);
    assert_eq!(listed(&[]), [cpu.id.as_str(), &gpu.id]);
    assert_eq!(listed(&["--pool", "gpu"]), [gpu.id.as_str()]);
    assert!(listed(&["--pool", "none"]).is_empty());
}

#[test]
fn keys_are_told_without_a_server_as_they_are_in_one() {
    let server = RedisServer::start();
    end(on(&server, &["send", "echo/alice", "hello"])).well();
    let with = end(on(&server, &["keys", "echo/alice", "--json"])).json();
    let mut alone = tenure(&["keys", "echo/alice", "--json"]);
    alone.env("TENURE_REDIS", "redis://127.0.0.1:1");
    assert_eq!(end(alone).json(), with);
    assert_eq!(members(&with[0]), ["hist", "in", "meta", "own", "partition", "session", "state"]);
    let mut conn = server.client().get_connection().unwrap();
    let there: u32 = redis::cmd("EXISTS")
        .arg(with[0]["in"].as_str())
        .arg(with[0]["meta"].as_str())
        .query(&mut conn)
        .unwrap();
    assert_eq!(there, 2);
    let shop = end(on(&server, &["keys", "echo/{a}1", "echo/{a}2", "--json", "--namespace", "shop"])).json();
    assert_eq!(shop[0]["partition"], shop[1]["partition"]);
    assert!(shop[0]["own"].as_str().unwrap().starts_with("tenure:{shop."));
}

#[test]
fn doctor_fails_on_a_server_that_may_forget_and_a_worker_does_not_start_there() {
    let good = RedisServer::start();
    let checks = end(on(&good, &["doctor", "--json"]));
    assert_eq!(checks.code, 0, "{checks:?}");
    for line in checks.stdout.lines() {
        let check: Value = serde_json::from_str(line).unwrap();
        let names = members(&check);
        assert!(
            names == ["check", "found", "status"] || names == ["advice", "check", "found", "status"],
            "{check}"
        );
        assert!(
            check["status"] == "ok" || check["status"] == "warn" && check["advice"].is_string(),
            "{check}"
        );
    }
    let bad = RedisServer::builder().maxmemory("100mb").option("maxmemory-policy", "allkeys-lru").start();
    let checks = end(on(&bad, &["doctor", "--json"]));
    checks.badly(1);
    let failed: Vec<_> = checks.stdout.lines().filter(|line| line.contains(r#""status":"fail""#)).collect();
    assert_eq!(failed.len(), 1, "{checks:?}");
    let mut worker = on(&bad, &["worker"]);
    worker.env("RUST_LOG", "off");
    assert!(end(worker).badly(1).contains("noeviction"));
}

#[test]
fn doctor_and_worker_refuse_a_replica() {
    let primary = RedisServer::start();
    let replica = RedisServer::builder().replica_of(&primary).start();
    let checks = end(on(&replica, &["doctor", "--json"]));
    checks.badly(1);
    assert!(checks.stdout.contains("replica"), "{checks:?}");
    assert!(end(on(&replica, &["worker"])).badly(4).contains("primary"));
}

/// What `doctor` says by that name, and how it ended.
fn check(server: &RedisServer, name: &str) -> (i32, Option<Value>) {
    let ended = end(on(server, &["doctor", "--json"]));
    let mut checks =
        ended.stdout.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON lines"));
    (ended.code, checks.find(|check| check["check"] == name))
}

#[test]
fn a_row_that_cannot_be_read_is_named_and_fails_nobody_but_who_must_know_that_agent() {
    let server = RedisServer::start();
    let worker = RunningWorker::start(&server, &[]);
    assert_eq!(check(&server, "rows"), (0, None));
    let mut conn = server.client().get_connection().unwrap();
    let mut write = |table: &str, row: &str| {
        let key = format!("tenure:{{default}}:{table}");
        redis::cmd("HSET").arg(key).arg(row).arg(r#"{"v":9}"#).exec(&mut conn).unwrap();
    };
    write("members", "Odd Member");
    write("members", "");
    write("agents", "No Name");
    // Each logs a warning.
    let quietly = |args: &[&str]| {
        let mut command = on(&server, args);
        command.env("RUST_LOG", "off");
        end(command)
    };
    let seen = quietly(&["workers", "--json"]).json();
    assert_eq!(seen.iter().map(|one| &one["worker"]).collect::<Vec<_>>(), [&json!(worker.id)]);
    assert_eq!(quietly(&["send", "echo/a", "hello", "--wait"]).well(), "hello\n");

    let (code, rows) = check(&server, "rows");
    assert_eq!((code, &rows.expect("it names them")["status"]), (0, &json!("warn")));

    write("agents", "newer");
    let refused = quietly(&["send", "newer/a", "hello"]);
    assert!(
        refused.stderr.contains("`newer`") && refused.stderr.contains("tenure doctor"),
        "{}",
        refused.stderr
    );
    assert_eq!(
        quietly(&["send", "echo/a", "again", "--wait"]).well(),
        "again\n",
        "only that agent is refused"
    );
    let post = |to: &str, conn: &mut redis::Connection| {
        let mut add = redis::cmd("XADD");
        add.arg(&["tenure:default:ingress", "*", "to", to, "body", "hello", "reply_to", "reply:posted"]);
        add.exec(conn).unwrap();
        let (_, reply): (String, String) =
            redis::cmd("BLPOP").arg("reply:posted").arg(60).query(conn).unwrap();
        serde_json::from_str::<Value>(&reply).unwrap()
    };
    let mut door = server.client().get_connection().unwrap();
    assert_eq!(post("newer/a", &mut door)["error"]["reason"], "unreadable");
    assert_eq!(post("echo/a", &mut door)["reply"]["text"], "hello");
    drop(RunningWorker::start(&server, &[]));
    let (code, rows) = check(&server, "rows");
    let rows = rows.expect("it names them");
    let found = rows["found"].as_str().unwrap();
    assert_eq!((code, &rows["status"]), (1, &json!("fail")));
    for row in
        [r#""Odd Member" in tenure:{default}:members"#, r#""newer" in tenure:{default}:agents"#, r#""" in"#]
    {
        assert!(found.contains(row), "{found}");
    }

    write("agents", "echo");
    let refused = quietly(&["worker"]);
    assert!(
        refused.stderr.contains("`echo`") && refused.stderr.contains("tenure doctor"),
        "{}",
        refused.stderr
    );
    let rows: String =
        redis::cmd("HGET").arg("tenure:{default}:agents").arg("echo").query(&mut conn).unwrap();
    assert_eq!(rows, r#"{"v":9}"#, "it is not written over");
}

#[test]
fn a_session_with_a_key_of_another_type_is_named_the_others_are_listed_and_it_can_be_deleted() {
    let server = RedisServer::start();
    for session in ["echo/a", "echo/b", "echo/c"] {
        end(on(&server, &["send", session, "hello"])).well();
    }
    let mut conn = server.client().get_connection().unwrap();
    let keys: Vec<String> = redis::cmd("KEYS").arg("*:meta:echo/b").query(&mut conn).unwrap();
    redis::cmd("SET").arg(&keys[0]).arg("by hand").exec(&mut conn).unwrap();
    let listed = end(on(&server, &["sessions", "--json"])).json();
    let mut causes: Vec<_> =
        listed.iter().map(|one| (one["session"].as_str().unwrap(), &one["cause"])).collect();
    causes.sort_by_key(|(session, _)| *session);
    let others = json!("no_worker");
    assert_eq!(causes, [("echo/a", &others), ("echo/b", &json!("unreadable")), ("echo/c", &others)]);
    let shown = &end(on(&server, &["show", "echo/b", "--json"])).json()[0];
    let reason = shown["reason"].as_str().unwrap();
    assert!(reason.contains(&keys[0]) && reason.contains("tenure delete echo/b"), "{reason}");
    for command in [
        &["send", "echo/b", "again"][..],
        &["send", "echo/b", "again", "--id", "k"],
        &["unquarantine", "echo/b"],
    ] {
        let refused = end(on(&server, command)).stderr;
        assert!(
            refused.contains(&format!("`{}`", keys[0])) && refused.contains("tenure delete echo/b"),
            "{refused}"
        );
        assert!(!refused.contains("script") && refused.contains("a string, not a hash"), "{refused}");
    }
    let top = &end(on(&server, &["top", "--json", "--count", "1"])).json()[0];
    assert_eq!(top["problem"], Value::Null, "{top}");
    let (code, found) = check(&server, "sessions");
    let found = found.expect("it names the key");
    assert_eq!((code, &found["status"]), (0, &json!("warn")));
    assert!(found["found"].as_str().unwrap().contains(&keys[0]), "{found}");
    end(on(&server, &["delete", "echo/b"])).well();
    assert_eq!(check(&server, "sessions").1, None);
    assert_eq!(end(on(&server, &["sessions", "--json"])).json().len(), 2);
    assert_eq!(end(on(&server, &["dead", "ls", "--json"])).json().len(), 1, "its mail is not lost");
}

#[test]
fn a_key_of_the_namespace_or_of_a_partition_of_another_type_is_named_with_its_type_and_what_to_do() {
    let server = RedisServer::start();
    // It declares its agent.
    drop(RunningWorker::start(&server, &[]));
    end(on(&server, &["send", "echo/b", "hello"])).well();
    assert_eq!(check(&server, "keys"), (0, None));
    let mut conn = server.client().get_connection().unwrap();
    let meta: Vec<String> = redis::cmd("KEYS").arg("*:meta:echo/b").query(&mut conn).unwrap();
    let at = |kind: &str| meta[0].replace("meta:echo/b", kind);
    let mut run = |command: &str, args: &[&str]| redis::cmd(command).arg(args).exec(&mut conn).unwrap();
    let of_partition = ["index", "out", "timers", "dead", "ready:default:echo"].map(at);
    for key in of_partition.into_iter().chain(["tenure:{default}:members".to_owned()]) {
        run("DEL", &[&key]);
        run("RPUSH", &[&key, "by hand"]);
        let (code, found) = check(&server, "keys");
        let found = found.expect("it names it");
        assert_eq!((code, &found["status"]), (1, &json!("fail")), "{key}");
        assert!(found["found"].as_str().unwrap().contains(&format!("{key} is a list, not a")), "{found}");
        assert!(found["advice"].as_str().unwrap().contains("RENAME"), "{found}");
        if [at("index"), at("ready:default:echo")].contains(&key) {
            // In the same partition.
            let said = end(on(&server, &["send", "echo/{echo/b}2", "hello"])).stderr;
            assert!(said.contains(&format!("`{key}`")) && said.contains("RENAME"), "{said}");
        }
        run("DEL", &[&key]);
    }
    assert_eq!(check(&server, "keys").1, None);
}

#[test]
fn a_plain_door_that_is_none_is_named_and_the_others_are_counted() {
    let server = RedisServer::start();
    let _worker = RunningWorker::start(&server, &[]);
    let mut conn = server.client().get_connection().unwrap();
    redis::cmd("SET").arg("tenure:default:ingress:3").arg("x").exec(&mut conn).unwrap();
    let (code, door) = check(&server, "door");
    assert_eq!(code, 1);
    assert_eq!(door.expect("it names it")["found"], "tenure:default:ingress:3 is not a stream");
    let look = &end(on(&server, &["top", "--json", "--count", "1"])).json()[0];
    assert_eq!(
        (&look["no_door"], &look["problem"]),
        (&json!("tenure:default:ingress:3"), &Value::Null),
        "{look}"
    );
}

#[test]
fn what_a_message_waits_for_that_its_server_lacks_is_shown_and_a_warning_of_doctor() {
    let server = RedisServer::start();
    let replica = RedisServer::builder().replica_of(&server).start();
    server.wait_for_replicas(1);
    end(on(&server, &["send", "echo/a", "hello", "--durability", "replicas:1"])).well();
    drop(replica);
    wait_until("the server notices", SOON, || !server.is_followed());
    let _worker = RunningWorker::start(&server, &[]);
    let shown = || end(on(&server, &["show", "echo/a"])).well();
    wait_until("it is claimed", SOON, || shown().contains("running"));
    let shown = shown();
    assert!(shown.contains("waits for replicas:1: 0 replicas follow"), "{shown}");
    assert!(shown.contains("more than its agent's memory") && shown.contains("given up on"), "{shown}");
    let (code, messages) = check(&server, "messages");
    let messages = messages.expect("it names one");
    assert_eq!((code, &messages["status"]), (0, &json!("warn")));
    let found = messages["found"].as_str().unwrap();
    assert!(found.contains("of echo/a waits") && found.contains("(of 1 session looked at)"), "{messages}");
}

#[test]
fn a_turn_whose_message_asks_for_more_than_its_agent_is_shown_to_wait_and_doctor_warns_of_it() {
    let server = RedisServer::builder().option("repl-diskless-sync-delay", "0").start();
    let replica = RedisServer::builder().replica_of(&server).start();
    server.wait_for_replicas(1);
    let _worker = RunningWorker::start(&server, &["--lease", "2s"]);
    let shown = |session: &str| end(on(&server, &["show", session])).well();
    for session in ["echo/a", "echo/b", "echo/c"] {
        end(on(&server, &["send", session, "before", "--wait"])).well();
    }
    assert_eq!(check(&server, "unacknowledged"), (0, None));
    replica.pause();
    let mut conn = server.client().get_connection().unwrap();
    let mut post = |fields: &[&str]| {
        redis::cmd("XADD").arg("tenure:default:ingress").arg("*").arg(fields).exec(&mut conn).unwrap();
    };
    post(&["to", "echo/a", "body", "hello", "durability", "replicas:1", "reply_to", "my:replies"]);
    post(&["to", "echo/b", "body", "hello", "durability", "replicas:1"]);
    wait_until("its owner tells", SOON, || {
        shown("echo/b").contains("what it wrote is not acknowledged since")
    });
    wait_until("the replica is silent", SOON, || {
        shown("echo/b").contains("0 of 1 replicas that follow answer")
    });
    wait_until("a reply waits", SOON, || shown("echo/a").contains("1 reply waits in `out` since"));
    for session in ["echo/a", "echo/b"] {
        let shown = shown(session);
        assert!(
            shown.contains(
                ", for replicas:1, which is more than its agent's memory: its message asks for it, or its agent did when that was written: 0 of"
            ),
            "{shown}"
        );
        assert!(!shown.contains("nothing to do") && shown.contains("look at the replicas"), "{shown}");
    }
    let said = end(on(&server, &["show", "echo/b", "--json"])).json().remove(0)["unacknowledged"].take();
    assert_eq!((members(&said), &said["class"]), (vec!["class", "since"], &json!("replicas:1")));
    assert!(shown("echo/c").contains("there is nothing to do"), "its own messages ask for nothing");
    let found = || check(&server, "unacknowledged").1.expect("it names them")["found"].to_string();
    wait_until("both are told of", SOON, || found().contains("what 2 sessions wrote"));
    assert!(found().contains("echo/b for replicas:1 since") && found().contains("0 of 1 replicas"));
    replica.resume();
    wait_until("all is told", SOON, || {
        ["echo/a", "echo/b"].iter().all(|session| shown(session).contains("there is nothing to do"))
    });
    wait_until("doctor too", SOON, || check(&server, "unacknowledged") == (0, None));
}

#[test]
fn a_reply_that_a_dead_worker_left_names_the_class_that_its_message_asks_for() {
    let server = RedisServer::builder().option("repl-diskless-sync-delay", "0").start();
    let replica = RedisServer::builder().replica_of(&server).start();
    server.wait_for_replicas(1);
    let worker = RunningWorker::start(&server, &["--lease", "1s"]);
    replica.pause();
    let mut conn = server.client().get_connection().unwrap();
    let entry = ["to", "echo/a", "body", "hello", "durability", "replicas:1", "reply_to", "my:replies"];
    redis::cmd("XADD").arg("tenure:default:ingress").arg("*").arg(&entry).exec(&mut conn).unwrap();
    let shown = || end(on(&server, &["show", "echo/a"]));
    wait_until("its reply waits", SOON, || shown().stdout.contains("1 reply waits in `out` since"));
    drop(worker);
    wait_until("nobody tells any more", SOON, || end(on(&server, &["workers", "--json"])).json().is_empty());
    let shown = shown().well();
    assert!(shown.contains("1 reply waits") && shown.contains("more than its agent's memory"), "{shown}");
    replica.resume();
}

#[test]
fn what_has_not_reached_its_class_is_shown_and_not_that_there_is_nothing_to_do() {
    let server = RedisServer::builder().option("repl-diskless-sync-delay", "0").start();
    let replica = RedisServer::builder().replica_of(&server).start();
    server.wait_for_replicas(1);
    let _worker = RunningWorker::start(&server, &["--durability", "replicas:1"]);
    let shown = |session: &str| end(on(&server, &["show", session])).well();
    for session in ["echo/a", "echo/b"] {
        end(on(&server, &["send", session, "before", "--wait"])).well();
        assert!(shown(session).contains("there is nothing to do"));
    }
    replica.pause();
    let mut conn = server.client().get_connection().unwrap();
    let mut post = |fields: &[&str]| {
        redis::cmd("XADD").arg("tenure:default:ingress").arg("*").arg(fields).exec(&mut conn).unwrap();
    };
    post(&["to", "echo/a", "body", "hello", "reply_to", "my:replies"]);
    post(&["to", "echo/b", "body", "hello"]);
    wait_until("a reply waits", SOON, || shown("echo/a").contains("1 reply waits in `out` since"));
    wait_until("the replica is silent", SOON, || {
        shown("echo/a").contains("0 of 1 replicas that follow answer")
    });
    let a = shown("echo/a");
    assert!(a.contains(", for replicas:1: ") && a.contains("tenure doctor"), "{a}");
    let undelivered = end(on(&server, &["show", "echo/a", "--json"])).json().remove(0)["undelivered"].take();
    assert_eq!((members(&undelivered), &undelivered["replies"]), (vec!["replies", "since"], &json!(1)));
    let b = shown("echo/b");
    assert!(b.contains(" is not acknowledged") && b.contains(", for replicas:1: "), "{b}");
    for shown in [a, b] {
        assert!(!shown.contains("nothing to do"), "{shown}");
    }
    replica.resume();
    wait_until("all is told", SOON, || shown("echo/a").contains("there is nothing to do"));
}

#[test]
fn doctor_does_not_advise_to_start_a_server_that_refuses_a_password() {
    let server = RedisServer::builder().requirepass("secret").start();
    let mut doctor = tenure(&["doctor", "--json"]);
    doctor.env("TENURE_REDIS", format!("redis://:wrong@127.0.0.1:{}", server.port()));
    let ended = end(doctor);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.stdout.contains("password") && !ended.stdout.contains("start a server"), "{ended:?}");
}

#[test]
fn a_server_that_cannot_be_run_is_told_in_one_line_by_each_benchmark_that_starts_one() {
    for bench in ["cluster", "durability"] {
        let line = end(tenure(&["bench", bench, "--redis-server", "/nope"]));
        assert!(line.badly(1).contains("/nope: it cannot be run: name a Redis server"), "{line:?}");
    }
}

#[test]
fn a_report_that_cannot_be_written_is_told_before_anything_is_measured() {
    for bench in ["failover", "cluster", "durability"] {
        let line = end(tenure(&["bench", bench, "--report", "/nowhere/figures.md"]));
        assert!(line.badly(2).contains("/nowhere/figures.md"), "{line:?}");
    }
}
