//! `tenure chat`, in a pipe.

use serde_json::json;

use crate::{
    command::{RunningWorker, end, end_with_input, members, on, tenure},
    support::RedisServer,
};

#[test]
fn each_line_in_is_one_reply_out_in_the_session_that_was_named() {
    let server = RedisServer::start();
    let _worker = RunningWorker::start(&server, &[]);
    let chat = |input: &[u8]| end_with_input(on(&server, &["chat", "echo/a"]), input).well();
    assert_eq!(
        chat(b"one\n{\"a\":1}\n\nlast without a newline"),
        "one\n{\"a\":1}\n\nlast without a newline\n"
    );
    assert_eq!(chat(b""), "");
    assert_eq!(end(on(&server, &["show", "echo/a", "--json"])).json()[0]["turns"], 4);
}

#[test]
fn with_json_each_reply_is_what_send_would_print() {
    let server = RedisServer::start();
    let _worker = RunningWorker::start(&server, &[]);
    let replies = end_with_input(on(&server, &["chat", "echo/a", "--json"]), b"one\ntwo\n").json();
    assert_eq!(replies.len(), 2);
    assert_eq!(members(&replies[1]), ["accepted", "class", "entry", "message", "repeat", "reply", "session"]);
    assert_eq!(
        (&replies[0]["reply"], &replies[1]["reply"]),
        (&json!({"text": "one"}), &json!({"text": "two"}))
    );
}

#[test]
fn a_name_without_a_key_is_told_how_to_be_written() {
    assert!(end(tenure(&["chat", "support"])).badly(2).contains("agent/key"));
}

#[test]
fn a_reply_that_does_not_come_in_time_ends_a_pipe_with_5() {
    let server = RedisServer::start();
    let ended = end_with_input(on(&server, &["chat", "echo/a", "--wait", "50ms"]), b"one\ntwo\n");
    assert!(ended.badly(5).contains("is accepted"), "{ended:?}");
    assert_eq!(end(on(&server, &["show", "echo/a", "--json"])).json()[0]["waiting"], 1, "two was not sent");
}
