//! A worker process with an agents file, and what becomes of its program when it dies.

use std::{fs, process::Command, time::Duration};

use tempfile::TempDir;

use crate::{
    desk::{PATIENCE, lives, python},
    support::{RedisServer, WorkerProcess, eventually},
};

const COUNTS: &str = r#"
import json, os, sys
open("pids", "a").write(f"{os.getpid()}\n")
for line in sys.stdin:
    request = json.loads(line)
    count = (request["params"]["state"] or 0) + 1
    result = {"reply": {"text": f"{count}"}, "state": count}
    print(json.dumps({"id": request["id"], "result": result}), flush=True)
while True:  # it does not care that its input has ended
    pass
"#;

fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("counts.py"), COUNTS).unwrap();
    let agent = format!("type = \"exec\"\ncommand = [{:?}, \"counts.py\"]\n", python());
    fs::write(folder.path().join("agents.toml"), format!("[agents.counts]\n{agent}")).unwrap();
    folder
}

fn send(server: &RedisServer, session: &str) -> String {
    let mut send = Command::new(env!("CARGO_BIN_EXE_tenure"));
    let sent =
        send.args(["send", session, "hello", "--wait=30s", "--redis", &server.url()]).output().unwrap();
    let said = String::from_utf8(sent.stdout).unwrap();
    assert!(sent.status.success(), "{said}{}", String::from_utf8_lossy(&sent.stderr));
    said.trim().to_owned()
}

#[tokio::test]
async fn a_program_ends_with_a_worker_that_is_killed_and_its_sessions_go_on_elsewhere() {
    let (server, folder) = (RedisServer::start(), folder());
    let file = folder.path().join("agents.toml");
    let args = ["--lease", "2s", "--agents", file.to_str().unwrap()];
    let mut first = WorkerProcess::start(&server.url(), &args);
    assert_eq!((send(&server, "counts/a"), send(&server, "counts/a")), ("1".to_owned(), "2".to_owned()));
    let pids = || fs::read_to_string(folder.path().join("pids")).unwrap();
    let pid = pids().trim().to_owned();
    assert!(lives(&pid));

    let mut second = WorkerProcess::start(&server.url(), &args);
    first.kill();
    eventually("the end of its program", PATIENCE, async || !lives(&pid)).await;
    assert_eq!(send(&server, "counts/a"), "3");
    let pid = pids().lines().last().unwrap().to_owned();
    assert!(second.drain(Duration::from_secs(30)).success());
    assert!(!lives(&pid), "a drained worker has made it end");
}
