//! `tenure dev`, in a pipe.

use std::{
    io::{BufRead, BufReader, Write},
    process::Stdio,
};

use crate::command::{end, end_with_input, signal, tenure};

#[test]
fn each_line_in_is_one_reply_out_and_nothing_else() {
    let said = end_with_input(tenure(&["dev"]), b"hello\n{\"a\":1}\n\nlast without a newline");
    assert_eq!(said.well(), "hello\n{\"a\":1}\n\nlast without a newline\n");
}

#[test]
fn dev_needs_no_redis_and_an_empty_input_is_no_failure() {
    let command = tenure(&["dev", "echo/anything", "--redis", "redis://127.0.0.1:1"]);
    assert_eq!(end(command).well(), "");
}

#[test]
fn dev_says_which_agent_it_has() {
    assert!(end(tenure(&["dev", "support/a"])).badly(3).contains("echo/dev"));
    end(tenure(&["dev", "support"])).badly(2);
}

#[test]
fn a_line_that_is_not_text_or_too_long_ends_dev_with_a_reason() {
    let ended = end_with_input(tenure(&["dev"]), b"fine\n\xff\n");
    assert_eq!(ended.stdout, "fine\n");
    assert!(ended.badly(2).contains("UTF-8"));
    let long = [vec![b'x'; (1 << 20) + 1], b"\n".to_vec()].concat();
    assert!(end_with_input(tenure(&["dev"]), &long).badly(4).contains("limit"));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let mut command = tenure(&["dev"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    child.stdin.take().unwrap().write_all(b"one\ntwo\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn an_interrupt_ends_dev_with_0_while_it_waits_for_a_line() {
    let mut command = tenure(&["dev"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"hello\n").unwrap();
    let mut reply = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut reply).unwrap();
    assert_eq!(reply, "hello\n");
    signal(&child, "INT");
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
    drop(stdin);
}
