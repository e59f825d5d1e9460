//! What every command prints, for people and as JSON. `INSTA_UPDATE=always` takes what is printed now as right.

use std::process::Command;

use crate::{
    command::{Ended, RunningWorker, end, end_with_input, on, tenure},
    support::{RedisServer, port},
};

/// What is another at each run. What replaces it is not of its length: columns keep the width they had.
const FILTERS: [(&str, &str); 8] = [
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "[time]"),
    (r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", "[message]"),
    (r"\bone-[0-9a-f]{8}\b", "one-[random]"),
    (r"\b\d{13}\b", "[ms]"),
    (r"127\.0\.0\.1:\d+", "[address]"),
    (r"(Redis|Valkey) \d[\d.]*\d( *)", "[server]"),
    (r"(?m)^.*round trip.*$", "[round trip]"),
    (r"\d+(\.\d+)?( ms| µs)", "[n]$2"),
];

/// How it ended, in one text.
fn shown(ended: &Ended) -> String {
    let Ended { code, stdout, stderr } = ended;
    format!("exit {code}\n--- stdout\n{stdout}--- stderr\n{stderr}")
}

/// Snapshots what a command of `args` prints, for people and as JSON, under a name of its own.
fn both(name: &str, run: impl Fn(&[&str]) -> Ended, args: &[&str]) {
    insta::assert_snapshot!(name, shown(&run(args)));
    insta::assert_snapshot!(format!("{name}_json"), shown(&run(&[args, &["--json"]].concat())));
}

fn filtered(work: impl FnOnce()) {
    let mut settings = insta::Settings::clone_current();
    settings.set_omit_expression(true);
    for (pattern, name) in FILTERS {
        settings.add_filter(pattern, name);
    }
    settings.bind(work);
}

/// A worker whose name is the same at each run, and that tells its load once.
fn worker(server: &RedisServer) -> RunningWorker {
    RunningWorker::start(server, &["--name", "one", "--lease", "5m"])
}

#[test]
fn what_is_printed_of_messages() {
    filtered(|| {
        let server = RedisServer::start();
        let run = |args: &[&str]| end(on(&server, args));
        both("send", run, &["send", "echo/a", "hello"]);
        both("send_wait_nobody", run, &["send", "echo/a", "hello", "--id", "k", "--wait=10ms"]);
        let _worker = worker(&server);
        both("send_wait", run, &["send", "echo/a", "hello", "--wait"]);
        both("send_wait_body", run, &["send", "echo/a", "--body", r#"{"text":"a","n":1}"#, "--wait"]);
        both("send_repeat", run, &["send", "echo/a", "hello", "--id", "k"]);
        both("history", run, &["history", "echo/a", "--limit", "3"]);
        both("history_none", run, &["history", "echo/none"]);
        let chat = |args: &[&str]| end_with_input(on(&server, args), b"one\ntwo\n");
        both("chat", chat, &["chat", "echo/b"]);
        let dev = |args: &[&str]| end_with_input(tenure(args), b"one\n");
        both("dev", dev, &["dev"]);
        both("dev_no_agent", dev, &["dev", "support/a"]);
    });
}

#[test]
fn what_is_printed_of_sessions_and_workers() {
    filtered(|| {
        let server = RedisServer::start();
        let run = |args: &[&str]| end(on(&server, args));
        both("workers_none", run, &["workers"]);
        both("sessions_none", run, &["sessions"]);
        run(&["send", "echo/a", "hello", "--group", "acme"]).well();
        both("show_waiting", run, &["show", "echo/a"]);
        both("sessions_waiting", run, &["sessions"]);
        let _worker = worker(&server);
        run(&["send", "echo/名前", "hello", "--wait"]).well();
        run(&["send", "echo/a", "hello", "--wait"]).well();
        both("show_idle", run, &["show", "echo/a"]);
        both("show_none", run, &["show", "echo/none"]);
        both("sessions", run, &["sessions"]);
        both("sessions_limit", run, &["sessions", "--limit", "1"]);
        both("workers", run, &["workers"]);
        both("keys", run, &["keys", "echo/a", "echo/b"]);
        both("unquarantine_not", run, &["unquarantine", "echo/a"]);
        both("continue_not", run, &["continue", "echo/a"]);
        both("doctor", run, &["doctor"]);
    });
}

#[test]
fn what_is_printed_of_a_session_that_was_set_aside() {
    filtered(|| {
        let server = RedisServer::start();
        let run = |args: &[&str]| end(on(&server, args));
        run(&["send", "echo/a", "hello"]).well();
        let keys = run(&["keys", "echo/a", "--json"]).json().remove(0);
        let held = [("hold", "quarantined"), ("cause", "poison"), ("reason", "3 of its owners died")];
        let mut conn = server.client().get_connection().expect("the server answers");
        redis::cmd("HSET").arg(keys["meta"].as_str()).arg(&held).exec(&mut conn).expect("HSET is answered");
        both("show_quarantined", run, &["show", "echo/a"]);
        both("sessions_quarantined", run, &["sessions", "--status", "quarantined"]);
    });
}

#[test]
fn what_is_printed_of_what_was_given_up_on() {
    filtered(|| {
        let server = RedisServer::start();
        let run = |args: &[&str]| end(on(&server, args));
        // Each is printed twice, for people and as JSON.
        let with_mail = |args: &[&str]| {
            run(&["send", "echo/a", "hello"]).well();
            run(args)
        };
        both("delete", with_mail, &["delete", "echo/a"]);
        both("dead_ls", run, &["dead", "ls"]);
        both("dead_retry", |args| with_letter(&server, args), &["dead", "retry"]);
        both("dead_drop", |args| with_letter(&server, args), &["dead", "drop"]);
        both("dead_none", run, &["dead", "drop", "60000-1-1"]);
    });
}

/// Runs `args` on a dead letter that is there for it.
fn with_letter(server: &RedisServer, args: &[&str]) -> Ended {
    end(on(server, &["send", "echo/c", "hello"])).well();
    end(on(server, &["delete", "echo/c"])).well();
    let letters = end(on(server, &["dead", "ls", "--json"])).json();
    let id = letters.last().expect("there is one")["id"].as_str().expect("an id").to_owned();
    let (command, options) = args.split_at(2);
    end(on(server, &[command, &[&id], options].concat()))
}

#[test]
fn what_is_printed_of_health_and_benchmarks() {
    filtered(|| {
        let server = RedisServer::start();
        let address = format!("127.0.0.1:{}", port::free());
        let run = |args: &[&str]| end(on(&server, args));
        both("health_nobody", run, &["health", &address]);
        let _worker = RunningWorker::start(&server, &["--health", &address]);
        both("health", run, &["health", &address]);
    });
    let mut settings = insta::Settings::clone_current();
    settings.set_omit_expression(true);
    settings.add_filter(r"\d+(\.\d+)?", "[n]");
    settings.add_filter(" {2,}", "  ");
    settings.bind(|| {
        let server = RedisServer::start();
        let args = ["bench", "turns", "--sessions", "4", "--in-flight", "4", "--messages", "50", "--raw"];
        both("bench_turns", |args: &[&str]| end(on(&server, args)), &args);
    });
}

#[test]
fn what_is_printed_of_an_agents_file() {
    filtered(|| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let run = |args: &[&str]| {
            let mut command = tenure(args);
            command.current_dir(folder.path());
            end(command)
        };
        let write =
            |text: &str| std::fs::write(folder.path().join("agents.toml"), text).expect("it can be written");
        write("[agents.parrot]\ntype = \"echo\"\npool = \"birds\"\n");
        both("check", run, &["check"]);
        write("[agents.parrot]\ntype = \"echo\"\ntires = 3\n");
        both("check_wrong", run, &["check"]);
    });
}

#[test]
fn what_is_printed_where_there_is_no_server() {
    filtered(|| {
        let run = |args: &[&str]| {
            let mut command: Command = tenure(args);
            command.args(["--redis", "redis://127.0.0.1:1", "--timeout", "100ms"]).env("RUST_LOG", "off");
            end(command)
        };
        both("nobody_send", run, &["send", "echo/a", "hello"]);
        both("nobody_doctor", run, &["doctor"]);
        both("nobody_worker", run, &["worker"]);
    });
}
