//! The Python examples, run as their readers would: plain `redis-py`, a worker, a server.
//!
//! `TENURE_TEST_PYTHON` names a Python that has redis-py; `scripts/test` makes one and sets it.

mod support;

use std::{
    path::Path,
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};
use support::RedisServer;

struct Examples {
    python: String,
    server: RedisServer,
    worker: Child,
}

impl Examples {
    /// A worker on a server; none where there is no Python to run them with.
    fn start() -> Option<Self> {
        let Ok(python) = std::env::var("TENURE_TEST_PYTHON") else {
            println!("not run: TENURE_TEST_PYTHON names no Python with redis-py (scripts/test sets it)");
            return None;
        };
        let server = RedisServer::start();
        let worker = Command::new(env!("CARGO_BIN_EXE_tenure"))
            .args(["worker", "--redis", &server.url()])
            .env("RUST_LOG", "error")
            .stdout(Stdio::null())
            .spawn()
            .expect("it starts");
        Some(Self { python, server, worker })
    }

    /// Runs an example to its end; what it printed as JSON, a value a line.
    fn run(&self, name: &str, args: &[&str]) -> Vec<Value> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/python").join(name);
        let output =
            Command::new(&self.python).arg(path).args(args).args(["--redis", &self.server.url()]).output();
        let output = output.expect("it starts");
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        let printed = String::from_utf8(output.stdout).expect("text");
        printed.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}

impl Drop for Examples {
    fn drop(&mut self) {
        self.worker.kill().and_then(|()| self.worker.wait()).expect("our own child can be ended");
    }
}

#[test]
fn both_doors_take_messages_and_the_reader_gets_their_replies() {
    let Some(examples) = Examples::start() else { return };
    let doors: [&[&str]; 2] = [&[], &["--direct"]];
    for (number, door) in doors.iter().enumerate() {
        let list = format!("my:replies:{number}");
        let session = format!("echo/{{ü}}{number}");
        let common = [&[session.as_str()], *door, &["--reply-to", &list]].concat();
        let sent = examples.run("send.py", &[&common[..], &["hello"]].concat());
        assert_eq!(sent[0]["accepted"], true);
        let reply = &examples.run("reply_reader.py", &[&list])[0];
        assert_eq!((&reply["reply"], &reply["session"]), (&json!({"text": "hello"}), &json!(session)));
        examples.run("send.py", &[&common[..], &[r#"{"n": 1}"#]].concat());
        let reply = &examples.run("reply_reader.py", &[&list])[0];
        assert_eq!((&reply["reply"], &reply["turn"]), (&json!({"n": 1}), &json!(2)));
    }
}

#[test]
fn the_direct_door_knows_a_repeat_by_its_id_and_answers_it_at_its_own_list() {
    let Some(examples) = Examples::start() else { return };
    let send = |list: &str| {
        examples.run("send.py", &["echo/a", "once", "--direct", "--id", "k 1", "--reply-to", list]).remove(0)
    };
    let first = send("first");
    let reply = examples.run("reply_reader.py", &["first"]);
    let again = send("second");
    assert_eq!((&first["repeat"], &again["repeat"]), (&json!(false), &json!(true)));
    assert_eq!(first["message"], again["message"]);
    assert_eq!(examples.run("reply_reader.py", &["second"]), reply);
}
