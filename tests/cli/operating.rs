//! `tenure dead` and `tenure delete`.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    command::{RunningWorker, end, end_with_input, is_time, members, on},
    support::{RedisServer, wait_until},
};

/// A namespace with two dead letters: mail of a session that was deleted.
fn with_dead_letters() -> (RedisServer, Vec<Value>) {
    let server = RedisServer::start();
    end(on(&server, &["send", "echo/a", "one"])).well();
    end(on(&server, &["send", "echo/a", "--body", r#"{"n":2}"#])).well();
    let deleted = end(on(&server, &["delete", "echo/a", "--json"])).json();
    assert_eq!(deleted, [json!({"session": "echo/a", "deleted": true})]);
    let letters = end(on(&server, &["dead", "ls", "--json"])).json();
    (server, letters)
}

#[test]
fn what_a_deleted_session_had_waiting_is_listed_as_dead() {
    let (server, letters) = with_dead_letters();
    end(on(&server, &["show", "echo/a"])).badly(3);
    end(on(&server, &["delete", "echo/a"])).badly(3);
    assert_eq!(letters.len(), 2);
    for letter in &letters {
        assert_eq!(members(letter), ["body", "id", "message", "reason", "session", "time", "tries"]);
        assert_eq!((&letter["reason"], &letter["tries"]), (&json!("deleted"), &json!(0)));
        assert!(is_time(&letter["time"]));
    }
    assert_eq!((&letters[0]["body"], &letters[1]["body"]), (&json!({"text": "one"}), &json!({"n": 2})));
    assert_eq!(end(on(&server, &["dead", "ls"])).well().lines().count(), 3);
}

#[test]
fn a_dead_letter_is_retried_as_a_new_message_or_dropped_once() {
    let (server, letters) = with_dead_letters();
    let id = |at: usize| letters[at]["id"].as_str().unwrap();
    let retried = &end(on(&server, &["dead", "retry", id(0), "--json"])).json()[0];
    assert_eq!(members(retried), ["id", "message"]);
    assert_ne!(retried["message"], letters[0]["message"]);
    assert_eq!(end(on(&server, &["show", "echo/a", "--json"])).json()[0]["waiting"], 1);
    end(on(&server, &["dead", "drop", id(1)])).well();
    for gone in [["dead", "retry", id(0)], ["dead", "drop", id(1)]] {
        assert!(end(on(&server, &gone)).badly(3).contains("tenure dead ls"));
    }
    assert_eq!(end(on(&server, &["dead", "ls", "--json"])).well(), "");
}

#[test]
fn all_dead_letters_are_retried_or_dropped_at_once() {
    let (server, _) = with_dead_letters();
    assert_eq!(end(on(&server, &["dead", "retry", "--all", "--json"])).json().len(), 2);
    assert_eq!(end(on(&server, &["show", "echo/a", "--json"])).json()[0]["waiting"], 2);
    end(on(&server, &["delete", "echo/a"])).well();
    assert_eq!(end(on(&server, &["dead", "drop", "--all", "--json"])).json().len(), 2);
    assert_eq!(end(on(&server, &["dead", "drop", "--all"])).well(), "");
    end(on(&server, &["dead", "drop", "60000-1-1"])).badly(3);
}

#[test]
fn a_dead_letter_of_any_size_is_listed() {
    let server = RedisServer::start();
    let large = "x".repeat(1_000_000);
    end_with_input(on(&server, &["send", "echo/a", "-"]), large.as_bytes()).well();
    end(on(&server, &["delete", "echo/a"])).well();
    assert!(end(on(&server, &["dead", "ls"])).well().contains("xxx…\n"));
    assert_eq!(end(on(&server, &["dead", "ls", "--json"])).json()[0]["body"]["text"], large);
}

#[test]
fn what_is_no_message_is_not_sent_again_but_can_be_dropped() {
    let server = RedisServer::start();
    let _worker = RunningWorker::start(&server, &[]);
    let mut conn = server.client().get_connection().unwrap();
    redis::cmd("SET").arg("no:list").arg("x").exec(&mut conn).unwrap();
    let mut post = |fields: [&str; 6]| {
        redis::cmd("XADD").arg("tenure:default:ingress").arg("*").arg(&fields).exec(&mut conn).unwrap();
    };
    post(["to", "echo/a", "body", "hello", "reply_to", "no:list"]);
    post(["to", "echo/a", "body", "hello", "resume", "never"]);
    let dead = || end(on(&server, &["dead", "ls", "--json"])).json();
    wait_until("both are in dead", Duration::from_secs(30), || dead().len() == 2);
    let turns = || end(on(&server, &["show", "echo/a", "--json"])).json()[0]["turns"].clone();
    for letter in dead() {
        let refused = end(on(&server, &["dead", "retry", letter["id"].as_str().unwrap()]));
        assert!(refused.badly(4).contains("tenure dead drop"));
    }
    assert!(end(on(&server, &["dead", "retry", "--all"])).badly(4).contains("2 of 2"));
    assert_eq!((turns(), dead().len()), (json!(1), 2));
    assert_eq!(end(on(&server, &["dead", "drop", "--all", "--json"])).json().len(), 2);
}

#[test]
fn a_suspended_session_is_explained_and_goes_on_when_it_is_told_to() {
    let server = RedisServer::start();
    end(on(&server, &["send", "echo/a", "one"])).well();
    let refused = end(on(&server, &["continue", "echo/a"])).badly(4).to_owned();
    assert!(refused.contains("is not suspended, it is waiting: see `tenure show echo/a`"), "{refused}");
    end(on(&server, &["continue", "echo/none"])).badly(3);
    suspend(&server, "echo/a");

    let _worker = RunningWorker::start(&server, &[]);
    let shown = end(on(&server, &["show", "echo/a"])).well();
    assert!(shown.contains("suspended") && shown.contains("w-1 died in the middle of turn 1"), "{shown}");
    assert!(shown.contains("tenure continue echo/a"), "{shown}");
    let listed = end(on(&server, &["sessions", "--status", "suspended", "--json"])).json();
    assert_eq!((listed.len(), &listed[0]["session"]), (1, &json!("echo/a")));
    let told = end(on(&server, &["continue", "echo/a", "--json"])).json();
    assert_eq!(told, [json!({"session": "echo/a", "continued": true})]);
    wait_until("it is done", Duration::from_secs(30), || {
        end(on(&server, &["show", "echo/a", "--json"])).json()[0]["turns"] == 1
    });
    assert!(end(on(&server, &["continue", "echo/a"])).badly(4).contains("not suspended"));
    let history = end(on(&server, &["history", "echo/a", "--json"])).json();
    let kinds: Vec<_> = history.iter().map(|entry| entry["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["assistant"], "its message was written by the boundary before");
}

/// Leaves a session with mail as one whose owner died after the first boundary of a lazy turn.
fn suspend(server: &RedisServer, session: &str) {
    let keys = &end(on(server, &["keys", session, "--json"])).json()[0];
    let meta = keys["meta"].as_str().unwrap();
    let mut conn = server.client().get_connection().unwrap();
    let fields = [("unfinished", "1/lazy"), ("suspended", "1767225600000"), ("last", "w-1")];
    redis::cmd("HSET").arg(meta).arg(&fields).exec(&mut conn).unwrap();
    let ready = meta.replace(&format!("meta:{session}"), "ready:default:echo");
    redis::cmd("ZREM").arg(ready).arg(session).exec(&mut conn).unwrap();
}

#[test]
fn a_quarantined_session_is_explained_and_freed_with_or_without_its_first_message() {
    let server = RedisServer::start();
    end(on(&server, &["send", "echo/a", "one"])).well();
    end(on(&server, &["send", "echo/a", "two"])).well();
    assert!(end(on(&server, &["unquarantine", "echo/a"])).badly(4).contains("tenure show echo/a"));
    end(on(&server, &["unquarantine", "echo/none"])).badly(3);
    let keys = &end(on(&server, &["keys", "echo/a", "--json"])).json()[0];
    let mut conn = server.client().get_connection().unwrap();
    let held = [
        ("hold", "quarantined"),
        ("cause", "poison"),
        ("reason", "3 died"),
        ("crashes", "1767225600000/w-1"),
    ];
    redis::cmd("HSET").arg(keys["meta"].as_str().unwrap()).arg(&held).exec(&mut conn).unwrap();

    let worker = RunningWorker::start(&server, &[]);
    let shown = end(on(&server, &["show", "echo/a"])).well();
    assert!(shown.contains("2026-01-01T00:00:00.000Z w-1"), "{shown}");
    assert!(shown.contains("tenure show echo/a --mail") && !shown.contains("tenure history"), "{shown}");
    let shown = &end(on(&server, &["show", "echo/a", "--json"])).json()[0];
    assert_eq!(shown["crashes"], json!([{"time": "2026-01-01T00:00:00.000Z", "worker": "w-1"}]));
    let freed = end(on(&server, &["unquarantine", "echo/a", "--drop-message", "--json"])).json();
    assert_eq!(freed, [json!({"session": "echo/a", "freed": true, "dropped": true})]);
    wait_until("both are done", Duration::from_secs(30), || {
        end(on(&server, &["show", "echo/a", "--json"])).json()[0]["turns"] == 2
    });
    let letters = end(on(&server, &["dead", "ls", "--json"])).json();
    assert_eq!(
        (letters.len(), &letters[0]["reason"], &letters[0]["body"]["text"]),
        (1, &json!("dropped"), &json!("one"))
    );
    drop(worker);
}
