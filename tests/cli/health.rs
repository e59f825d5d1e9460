//! `tenure worker --health` and `tenure health`.

use std::{
    io::{Read, Write},
    net::TcpStream,
    process::{Child, Stdio},
    time::Duration,
};

use serde_json::json;

use crate::{
    command::{RunningWorker, end, tenure},
    support::{RedisServer, port, wait_until},
};

const SOON: Duration = Duration::from_secs(30);

/// A free address for a worker's health.
fn address() -> String {
    format!("127.0.0.1:{}", port::free())
}

/// The status line and the body of what is said at `path`.
fn get(address: &str, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).expect("somebody listens");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").expect("it can be asked");
    let mut said = String::new();
    stream.read_to_string(&mut said).expect("text, and then the end");
    let (head, body) = said.split_once("\r\n\r\n").expect("a head and a body");
    (head.lines().next().expect("a status").to_owned(), body.to_owned())
}

/// The exit code and the word of `tenure health`.
fn health(address: &str) -> (i32, String) {
    let ended = end(tenure(&["health", address]));
    (ended.code, ended.stdout.trim().to_owned())
}

#[test]
fn a_worker_tells_by_http_that_it_is_ready_and_that_it_lives() {
    let (server, address) = (RedisServer::start(), address());
    let _worker = RunningWorker::start(&server, &["--health", &address]);
    assert_eq!(get(&address, "/readyz"), ("HTTP/1.1 200 OK".to_owned(), "ready\n".to_owned()));
    assert_eq!(get(&address, "/healthz"), ("HTTP/1.1 200 OK".to_owned(), "ok\n".to_owned()));
    assert!(get(&address, "/").0.contains("404"));
    assert_eq!(health(&address), (0, "ready".to_owned()));
    let told = end(tenure(&["health", &address, "--json"])).json();
    assert_eq!(told, [json!({"ready": true, "state": "ready"})]);
}

#[test]
fn a_worker_measures_its_turns_and_how_late_its_upkeep_is() {
    let (server, address) = (RedisServer::start(), address());
    let _worker = RunningWorker::start(&server, &["--health", &address]);
    let value = |name: &str| -> f64 {
        let (status, page) = get(&address, "/metrics");
        assert!(status.contains("200"), "{status}");
        let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in {page}")).parse().expect("a number")
    };
    assert_eq!(value("tenure_turns_total"), 0.0);
    assert_eq!(end(tenure(&["--redis", &server.url(), "send", "echo/a", "x", "--wait"])).code, 0);
    assert_eq!((value("tenure_ready"), value("tenure_turns_total")), (1.0, 1.0));
    wait_until("upkeep has gone round", SOON, || value("tenure_upkeep_lag_seconds") > 0.0);
}

#[test]
fn a_worker_that_cannot_trust_its_leases_is_not_ready_until_it_can_again() {
    let (server, address) = (RedisServer::start(), address());
    let _worker = RunningWorker::start(&server, &["--health", &address, "--lease", "1s"]);
    server.pause();
    wait_until("it trusts no longer", SOON, || health(&address) == (5, "untrusted".to_owned()));
    assert!(get(&address, "/readyz").0.contains("503"));
    assert!(get(&address, "/healthz").0.contains("200"));
    server.resume();
    wait_until("it is ready again", SOON, || health(&address).0 == 0);
}

#[test]
fn a_worker_that_drains_is_not_ready() {
    let (server, address) = (RedisServer::start(), address());
    let mut worker = RunningWorker::start(&server, &["--health", &address]);
    // So that draining takes a while.
    server.pause();
    worker.signal("TERM");
    assert_eq!(worker.event().unwrap()["event"], "draining");
    assert_eq!(health(&address), (5, "draining".to_owned()));
    server.resume();
    assert_eq!(worker.ended().code(), Some(0));
    let gone = end(tenure(&["health", &address]));
    assert!(gone.badly(5).contains("--health"), "{gone:?}");
}

#[test]
fn a_worker_that_starts_is_not_ready_and_lives() {
    let address = address();
    let mut command = tenure(&["worker", "--redis", "redis://127.0.0.1:1", "--timeout", "60s"]);
    command.env("TENURE_HEALTH", &address).env("RUST_LOG", "off").stderr(Stdio::null());
    let _worker = Ends(command.spawn().expect("it starts"));
    wait_until("it listens", SOON, || TcpStream::connect(&address).is_ok());
    assert_eq!(health(&address), (5, "starting".to_owned()));
    assert!(get(&address, "/healthz").0.contains("200"));
}

#[test]
fn somebody_who_says_nothing_keeps_nobody_else_waiting() {
    let (server, address) = (RedisServer::start(), address());
    let _worker = RunningWorker::start(&server, &["--health", &address]);
    let _silent: Vec<_> = (0..10).map(|_| TcpStream::connect(&address).unwrap()).collect();
    assert_eq!(health(&address).0, 0);
}

#[test]
fn an_address_that_is_taken_is_told() {
    let (server, address) = (RedisServer::start(), address());
    let _worker = RunningWorker::start(&server, &["--health", &address]);
    let second = end(crate::command::on(&server, &["worker", "--health", &address]));
    assert!(second.badly(1).contains("another address"), "{second:?}");
}

/// A child that ends with this value.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
