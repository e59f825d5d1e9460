//! `tenure send`.

use std::{process::Stdio, time::Duration};

use serde_json::json;

use crate::{
    command::{Ended, RunningWorker, end, end_with_input, members, on, signal},
    support::{RedisServer, wait_until},
};

#[test]
fn a_message_is_accepted_with_nobody_there_and_answered_once_somebody_is() {
    let server = RedisServer::start();
    let sent = &end(on(&server, &["send", "echo/a", "hello", "--id", "k", "--json"])).json()[0];
    assert_eq!(members(sent), ["accepted", "message", "repeat", "session"]);
    assert_eq!(
        (&sent["accepted"], &sent["repeat"], &sent["session"]),
        (&json!(true), &json!(false), &json!("echo/a"))
    );

    let late = end(on(&server, &["send", "echo/a", "hello", "--id", "k", "--wait=100ms", "--json"]));
    let told = late.badly(5);
    assert!(told.contains("--id k") && told.contains("tenure show echo/a"), "{told}");
    let printed: serde_json::Value = serde_json::from_str(&late.stdout).unwrap();
    assert_eq!(
        (&printed["accepted"], &printed["repeat"], &printed["message"]),
        (&json!(true), &json!(true), &sent["message"])
    );
    assert_eq!(printed["error"]["reason"], "no_answer");

    let _worker = RunningWorker::start(&server, &[]);
    let answered = &end(on(&server, &["send", "echo/a", "other", "--id", "k", "--wait", "--json"])).json()[0];
    assert_eq!(members(answered), ["accepted", "class", "entry", "message", "repeat", "reply", "session"]);
    assert_eq!(answered["reply"], json!({"text": "hello"}));
    assert_eq!((&answered["message"], &answered["class"]), (&sent["message"], &json!("memory")));
    let again = &end(on(&server, &["send", "echo/a", "other", "--id", "k", "--wait", "--json"])).json()[0];
    assert_eq!(again, answered);
}

#[test]
fn whoever_stops_waiting_is_told_how_to_wait_on() {
    let server = RedisServer::start();
    let mut command = on(&server, &["send", "echo/a", "hello", "--id", "k", "--wait=5m"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("it is accepted", Duration::from_secs(30), || end(on(&server, &["show", "echo/a"])).code == 0);
    signal(&child, "INT");
    let told = Ended::from(child.wait_with_output().unwrap());
    assert!(told.badly(5).ends_with("sending again with --id k --wait"), "{told:?}");
}

#[test]
fn a_reply_is_printed_as_its_text_if_that_is_all_it_is() {
    let server = RedisServer::start();
    let _worker = RunningWorker::start(&server, &[]);
    let reply = |args: &[&str]| end(on(&server, &[&["send", "echo/a"], args, &["--wait"]].concat())).well();
    assert_eq!(reply(&["two\nlines"]), "two\nlines\n");
    assert_eq!(reply(&["--body", r#"{"text":"a","n":1}"#]), "{\"text\":\"a\",\"n\":1}\n");
    assert_eq!(reply(&["--body", r#"{"text":"a"}"#]), "a\n");
    assert_eq!(reply(&["[1]"]), "[1]\n", "text, whatever it looks like");
    let first = end(on(&server, &["send", "echo/a", "x"])).well();
    assert!(first.starts_with("accepted "), "{first}");
}

#[test]
fn a_dash_reads_all_of_standard_input_less_one_newline() {
    let server = RedisServer::start();
    let _worker = RunningWorker::start(&server, &[]);
    let send = |input: &[u8]| end_with_input(on(&server, &["send", "echo/a", "-", "--wait"]), input);
    assert_eq!(send(b"one\ntwo\n\n").well(), "one\ntwo\n\n");
    assert_eq!(send(b"").well(), "\n");
    assert!(send(b"\xff\xfe").badly(2).contains("UTF-8"));
}

#[test]
fn a_body_over_the_limit_and_a_full_inbox_are_refused() {
    let server = RedisServer::start();
    let large = vec![b'x'; (1 << 20) + 1];
    let ended = end_with_input(on(&server, &["send", "echo/a", "-", "--json"]), &large);
    ended.badly(4);
    let printed: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((&printed["accepted"], &printed["error"]["reason"]), (&json!(false), &json!("too_large")));

    let mut conn = server.client().get_connection().unwrap();
    let settings = r#"{"layout":1,"partitions":8,"limits":{"body":100,"inbox":1}}"#;
    let made: bool =
        redis::cmd("HSET").arg("tenure:{tiny}:conf").arg("settings").arg(settings).query(&mut conn).unwrap();
    assert!(made);
    let tiny = |args: &[&str]| end(on(&server, &[args, &["--namespace", "tiny"]].concat()));
    tiny(&["send", "echo/a", "one", "--id", "k"]).well();
    assert!(tiny(&["send", "echo/a", "two"]).badly(4).contains("full"));
    tiny(&["send", "echo/a", "one", "--id", "k"]).well();
    let keys = &tiny(&["keys", "echo/a", "--json"]).json()[0];
    assert!(keys["partition"].as_u64().is_some_and(|partition| partition < 8), "{keys}");
}

#[test]
fn a_full_server_refuses_new_work() {
    let server = RedisServer::builder().maxmemory("8mb").option("maxmemory-policy", "noeviction").start();
    let body = "x".repeat(100_000);
    let mut refused = None;
    for _ in 0..200 {
        let ended = end_with_input(on(&server, &["send", "echo/a", "-"]), body.as_bytes());
        if ended.code != 0 {
            refused = Some(ended);
            break;
        }
    }
    assert!(refused.expect("it is full at last").badly(4).contains("out of memory"));
}
