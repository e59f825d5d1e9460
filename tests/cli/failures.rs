//! What every command does with bad input and bad servers: one line, the right code, no secret.

use std::process::Command;

use crate::{
    command::{end, on, tenure},
    support::RedisServer,
};

const NOWHERE: &str = "redis://user:hunter2@127.0.0.1:1";

#[test]
fn a_malformed_command_line_is_told_in_one_line() {
    for args in [
        &[][..],
        &["nonsense"],
        &["send"],
        &["send", "echo/a"],
        &["send", "no-slash", "hello"],
        &["send", "Echo/a", "hello"],
        &["send", "echo/a", "hello", "--body", "{}"],
        &["send", "echo/a", "--body", "[1]"],
        &["send", "echo/a", "--body", "{"],
        &["send", "echo/a", "hello", "--wait=soon"],
        &["send", "echo/a", "hello", "--id", ""],
        &["send", "echo/a", "hello", "--timeout", "5"],
        &["send", "echo/a", "hello", "--namespace", "a b"],
        &["send", "echo/a", "hello", "--redis", "nonsense"],
        &["send", "echo/a", "hello", "--resume", "never"],
        &["history", "echo/a", "--limit", "-1"],
        &["sessions", "--status", "dead"],
        &["show"],
        &["chat"],
        &["chat", "support"],
        &["chat", "echo/a", "--wait", "5"],
        &["health", "localhost"],
        &["completions", "tcsh"],
        &["worker", "--health", "8080"],
        &["keys"],
        &["dead"],
        &["dead", "retry"],
        &["dead", "drop", "x"],
        &["dead", "drop", "1-1-1", "--all"],
        &["worker", "--lease", "1ms"],
        &["worker", "--capacity", "0"],
        &["worker", "--pool", "a b"],
        &["bench", "turns", "--sessions", "0"],
        &["top"],
        &["top", "--json", "--every", "1ms"],
        &["top", "--json", "--count", "0"],
        &["workers", "--pool", "a b"],
    ] {
        let ended = end(tenure(args));
        ended.badly(2);
        assert_eq!(ended.stdout, "", "{args:?}");
    }
}

#[test]
fn help_and_version_go_to_stdout_and_every_command_has_examples() {
    let help = end(tenure(&["--help"])).well();
    for command in [
        "dev",
        "demo",
        "chat",
        "worker",
        "health",
        "check",
        "send",
        "history",
        "sessions",
        "show",
        "keys",
        "workers",
        "top",
        "dead",
        "doctor",
        "unquarantine",
        "continue",
        "delete",
        "bench",
        "completions",
    ] {
        assert!(help.contains(&format!("\n  {command} ")), "{command}");
        assert!(end(tenure(&[command, "--help"])).well().contains("\nExample"), "{command}");
    }
    assert!(end(tenure(&["--version"])).well().starts_with("tenure "));
}

#[test]
fn without_a_server_every_command_ends_with_5_and_never_shows_the_password() {
    for args in [
        &["send", "echo/a", "hello"][..],
        &["send", "echo/a", "hello", "--wait", "--json"],
        &["history", "echo/a"],
        &["sessions"],
        &["show", "echo/a"],
        &["workers"],
        &["top", "--json", "--count", "1"],
        &["drain", "w"],
        &["unquarantine", "echo/a"],
        &["dead", "ls"],
        &["dead", "retry", "1-1-1"],
        &["doctor"],
        &["delete", "echo/a"],
        &["worker"],
        &["bench", "turns"],
        &["chat", "echo/a"],
        &["health", "127.0.0.1:1"],
        &["demo"],
    ] {
        let mut command = tenure(args);
        command.args(["--redis", NOWHERE, "--timeout", "300ms"]).env("RUST_LOG", "tenure=trace");
        let ended = end(command);
        assert_eq!(ended.code, 5, "{args:?}: {ended:?}");
        assert!(!format!("{ended:?}").contains("hunter2"), "{args:?}: {ended:?}");
    }
    let mut quiet = tenure(&["show", "echo/a", "--timeout", "300ms"]);
    quiet.env("TENURE_REDIS", NOWHERE);
    let ended = end(quiet);
    assert!(ended.badly(5).contains("127.0.0.1:1"), "{ended:?}");
}

#[test]
fn how_to_write_an_address_is_told_whole() {
    let ended = end(tenure(&["show", "echo/a", "--redis", "nonsense"]));
    assert!(ended.badly(2).contains("redis://HOST:PORT") && !ended.stderr.contains("***"), "{ended:?}");
    let ended = end(tenure(&["show", "echo/a", "--redis", "foo://host"]));
    for scheme in ["redis://", "rediss://", "unix://", "redis+sentinel://", "redis+cluster://"] {
        assert!(ended.badly(2).contains(scheme), "{scheme}: {ended:?}");
    }
}

#[test]
fn a_database_that_is_not_there_is_no_server_that_is_away() {
    let shut = RedisServer::builder().requirepass("sesame").start();
    let server = RedisServer::start();
    let said = |url: String, code| {
        let ended = end(tenure(&["show", "echo/a", "--redis", &url]));
        let said = ended.badly(code).to_owned();
        assert!(!said.contains("did not answer") && !said.contains("Redis runs"), "{said}");
        said
    };
    for user in ["", "ann@"] {
        let url = format!("redis://{user}127.0.0.1:{}/99", server.port());
        assert!(said(url, 4).contains("no such database"));
    }
    let url = format!("redis://ann@127.0.0.1:{}/99", shut.port());
    assert!(said(url, 4).contains("user name and password"));
}

#[test]
fn a_server_that_says_no_ends_in_4_and_one_that_cannot_be_agreed_with_in_5() {
    let server = RedisServer::start();
    let replica = RedisServer::builder().replica_of(&server).start();
    let said = |scheme: &str, server: &RedisServer, code| {
        let url = format!("{scheme}://127.0.0.1:{}", server.port());
        end(tenure(&["show", "echo/a", "--timeout", "1s", "--redis", &url])).badly(code).to_owned()
    };
    assert!(said("redis", &replica, 4).contains("is a replica"));
    assert!(said("redis+cluster", &server, 4).contains("a server by itself: write redis://"));
    // Sentinels that are none know no primary.
    let url = format!("redis+sentinel://127.0.0.1:{}/mymaster", server.port());
    let ended = end(tenure(&["show", "echo/a", "--timeout", "1s", "--redis", &url]));
    assert!(ended.badly(5).contains("is no sentinel") && ended.badly(5).contains("doctor"), "{ended:?}");
}

#[test]
fn a_wrong_password_is_told_without_showing_it() {
    let server = RedisServer::builder().requirepass("sesame").start();
    let with = |password: &str| {
        let mut command = tenure(&["show", "echo/a"]);
        command.env("TENURE_REDIS", format!("redis://:{password}@127.0.0.1:{}", server.port()));
        command
    };
    let ended = end(with("hunter2"));
    assert!(ended.badly(4).contains("password") && !ended.stderr.contains("hunter2"), "{ended:?}");
    end(with("sesame")).badly(3);
    let mut without = tenure(&["show", "echo/a"]);
    without.env("TENURE_REDIS", format!("redis://127.0.0.1:{}", server.port()));
    assert!(end(without).badly(4).contains("password"));
}

#[test]
fn a_server_that_hangs_costs_no_more_than_the_timeout() {
    let server = RedisServer::start();
    server.pause();
    end(on(&server, &["show", "echo/a", "--timeout", "200ms"])).badly(5);
    server.resume();
    end(on(&server, &["show", "echo/a"])).badly(3);
}

#[test]
fn no_answer_is_5_and_no_such_thing_is_3_whatever_is_asked_for() {
    let server = RedisServer::start();
    let commands = [
        &["show", "echo/a"][..],
        &["history", "echo/a"],
        &["delete", "echo/a"],
        &["unquarantine", "echo/a"],
        &["drain", "w"],
        &["dead", "retry", "1-1-1"],
        &["dead", "drop", "1-1-1"],
    ];
    server.pause();
    for args in commands {
        let ended = end(on(&server, &[args, &["--timeout", "200ms"]].concat()));
        ended.badly(5);
    }
    server.resume();
    for args in commands {
        end(on(&server, args)).badly(3);
    }
    assert!(end(on(&server, &["sessions", "--json"])).json().is_empty(), "none of them made one");
}

#[test]
fn options_of_every_command_may_stand_before_and_after_its_name() {
    let server = RedisServer::start();
    let url = server.url();
    let run = |args: &[&str]| end(tenure(args)).well();
    run(&["--redis", &url, "--namespace", "shop", "send", "echo/a", "hello"]);
    let one = run(&["--redis", &url, "--namespace", "shop", "--json", "show", "echo/a"]);
    let other = run(&["show", "echo/a", "--json", "--namespace", "shop", "--redis", &url]);
    assert_eq!(one, other);
    let mut by_environment: Command = tenure(&["show", "echo/a", "--json"]);
    by_environment.env("TENURE_REDIS", &url).env("TENURE_NAMESPACE", "shop");
    assert_eq!(end(by_environment).well(), one);
    end(on(&server, &["show", "echo/a"])).badly(3);
}
