//! `tenure history --follow`, over everything that may go away meanwhile.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, ChildStdout, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use serde_json::Value;

use crate::{
    command::{RunningWorker, end, on, signal},
    support::{RedisServer, wait_until},
};

const SOON: Duration = Duration::from_secs(60);

/// A history that is followed, with `--json`.
struct Following {
    child: Child,
    lines: Receiver<Value>,
}

impl Following {
    fn start(server: &RedisServer, args: &[&str]) -> Self {
        let mut command = on(server, &[&["history", "echo/a", "--follow", "--json"], args].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { child, lines: values(stdout) }
    }

    /// What it printed, once that is `count` entries.
    fn entries(&self, count: usize) -> Vec<Value> {
        (0..count).map(|_| self.lines.recv_timeout(SOON).expect("another entry")).collect()
    }

    /// Ctrl-C; what it printed besides, and said on stderr.
    fn interrupt(mut self) -> (Vec<Value>, String) {
        signal(&self.child, "INT");
        let mut said = String::new();
        let stderr = self.child.stderr.as_mut().expect("a pipe");
        stderr.read_to_string(&mut said).expect("text");
        assert_eq!(self.child.wait().expect("our own child can be awaited").code(), Some(0));
        (self.lines.iter().collect(), said)
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn values(stdout: BufReader<ChildStdout>) -> Receiver<Value> {
    let (sender, lines) = channel();
    thread::spawn(move || {
        for line in stdout.lines().map_while(Result::ok) {
            // Nobody may want it any more.
            let _ = sender.send(serde_json::from_str(&line).expect("JSON"));
        }
    });
    lines
}

fn history(server: &RedisServer) -> Vec<Value> {
    end(on(server, &["history", "echo/a", "--json", "--limit", "0"])).json()
}

fn send(server: &RedisServer, text: &str) {
    end(on(server, &["send", "echo/a", text, "--wait"])).well();
}

#[test]
fn a_history_is_followed_from_the_start_or_from_now() {
    let server = RedisServer::start();
    let _worker = RunningWorker::start(&server, &[]);
    for text in ["one", "two", "three"] {
        send(&server, text);
    }
    let (all, newest) =
        (Following::start(&server, &["--limit", "0"]), Following::start(&server, &["--limit", "1"]));
    assert_eq!(all.entries(6), history(&server));
    assert_eq!(newest.entries(1), history(&server)[5..]);
    send(&server, "four");
    assert_eq!(all.entries(2), history(&server)[6..]);
    assert_eq!(newest.entries(2), history(&server)[6..]);
    assert_eq!(all.interrupt(), (Vec::new(), String::new()));
}

#[test]
fn a_worker_that_is_killed_leaves_neither_a_gap_nor_a_repeat() {
    let server = RedisServer::start();
    let mut workers = [(); 2].map(|()| RunningWorker::start(&server, &["--lease", "1s"]));
    send(&server, "0");
    let following = Following::start(&server, &["--limit", "0"]);
    let owner = end(on(&server, &["show", "echo/a", "--json"])).json()[0]["owner"].clone();
    for n in 1..20 {
        end(on(&server, &["send", "echo/a", &n.to_string()])).well();
        if n == 10 {
            let owner = workers.iter_mut().find(|worker| owner == worker.id.as_str());
            owner.expect("one of ours").signal("KILL");
        }
    }
    let followed = following.entries(40);
    assert_eq!(followed, history(&server));
    let turns: Vec<_> = followed.iter().map(|entry| entry["turn"].as_u64().unwrap()).collect();
    assert_eq!(turns, (1..=20).flat_map(|turn| [turn, turn]).collect::<Vec<_>>());
    assert_eq!(following.interrupt(), (Vec::new(), String::new()));
}

#[test]
fn a_server_that_restarts_and_loads_for_a_while_is_told_of_and_leaves_neither_a_gap_nor_a_repeat() {
    let mut server = RedisServer::builder().appendonly("always").args(&["--key-load-delay", "400"]).start();
    let mut ballast = redis::pipe();
    (0..5_000).for_each(|n| _ = ballast.set(n, "x").ignore());
    ballast
        .exec(&mut server.client().get_connection().expect("the server answers"))
        .expect("SET is answered");
    let _worker = RunningWorker::start(&server, &["--lease", "1s"]);
    send(&server, "before");
    let mut following = Following::start(&server, &["--limit", "1"]);
    following.entries(1);
    server.kill();
    let mut said = BufReader::new(following.child.stderr.take().expect("a pipe")).lines();
    let gone = said.next().unwrap().unwrap();
    assert!(gone.contains("trying again until Redis is back"), "{gone}");
    server.restart();
    // Said after a look that found nothing: that, too, must not lose the place.
    assert_eq!(said.next().unwrap().unwrap(), "Redis is back: going on after the last entry");
    wait_until("the fleet goes on", SOON, || {
        end(on(&server, &["send", "echo/a", "after", "--id", "k", "--wait=5s"])).code == 0
    });
    send(&server, "more");
    assert_eq!(following.entries(4), history(&server)[2..]);
}
