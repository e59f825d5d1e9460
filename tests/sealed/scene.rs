//! A fleet with keys, and an agent that remembers what it is told.

use std::{
    fs::{self, File},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use redis::{Connection, FromRedisValue};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    command::{Ended, tenure, tenure_with},
    support::{RedisServer, WorkerProcess},
};

pub const SOON: Duration = Duration::from_secs(30);

/// Counts, notes what it heard, says it again; or fails, and says why.
const CHILD: &str = r#"
import json, sys
for line in sys.stdin:
    request = json.loads(line)
    if "id" not in request:
        continue
    params = request["params"]
    text = params["message"]["body"]["text"]
    answer = {"jsonrpc": "2.0", "id": request["id"]}
    if "Fail" in text:
        answer["error"] = {"code": 1, "message": "it was " + text}
    else:
        state = params["state"] or {"count": 0}
        state = {"count": state["count"] + 1, "heard": text}
        note = {"kind": "tool_result", "body": {"note": "noted " + text}}
        answer["result"] = {"reply": {"text": f"{state['count']} {text}"}, "state": state, "append": [note]}
    print(json.dumps(answer), flush=True)
"#;

const AGENTS: &str = "[agents.desk]\ntype = 'exec'\ncommand = ['python3', 'desk.py']\ntries = 2\n\
                      backoff = { first = '1ms', max = '1ms' }\n";

pub struct Scene {
    pub redis: RedisServer,
    folder: TempDir,
}

impl Scene {
    pub fn new() -> Self {
        let redis = RedisServer::builder()
            .appendonly("always")
            .option("aof-use-rdb-preamble", "no")
            .option("rdbcompression", "no")
            .start();
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("desk.py"), CHILD).unwrap();
        fs::write(folder.path().join("agents.toml"), AGENTS).unwrap();
        Self { redis, folder }
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A line of a keyring, fresh.
    pub fn key(&self, args: &[&str]) -> String {
        tenure(&[&["seal-key"], args].concat()).well().trim().to_owned()
    }

    /// Writes a keyring that nobody else may read.
    pub fn keyring(&self, name: &str, lines: &[&str]) -> String {
        let file = self.file(name);
        fs::write(&file, lines.join("\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        file.to_str().unwrap().to_owned()
    }

    /// A worker with these keys, if any; its log, at the most talkative level, goes to a file.
    pub fn worker(&self, keys: Option<&str>) -> WorkerProcess {
        let log = File::options().append(true).create(true).open(self.log()).unwrap();
        let agents = self.file("agents.toml");
        let args = ["--agents", agents.to_str().unwrap(), "--lease", "1s"];
        WorkerProcess::start_with(&self.redis.url(), &args, |command| {
            command.env_remove("TENURE_KEYS_FILE").env("RUST_LOG", "trace").stderr(log);
            if let Some(keys) = keys {
                command.env("TENURE_KEYS_FILE", keys);
            }
        })
    }

    pub fn log(&self) -> PathBuf {
        self.file("log")
    }

    /// Runs a command with these keys, if any.
    pub fn run(&self, keys: Option<&str>, args: &[&str]) -> Ended {
        let keys = keys.map_or(Vec::new(), |keys| vec!["--keys-file", keys]);
        tenure_with(&[("TENURE_REDIS", &self.redis.url())], &[args, &keys].concat())
    }

    /// Asks, and gives what is said.
    pub fn ask(&self, keys: Option<&str>, session: &str, text: &str) -> String {
        self.run(keys, &["send", session, text, "--wait=30s"]).well().trim().to_owned()
    }

    pub fn history(&self, keys: Option<&str>, session: &str) -> String {
        self.run(keys, &["history", session]).well()
    }

    pub fn shown(&self, session: &str) -> Value {
        serde_json::from_str(&self.run(None, &["show", session, "--json"]).well()).unwrap()
    }

    /// One of the session's keys.
    pub fn named(&self, session: &str, which: &str) -> String {
        let line = self.run(None, &["keys", session, "--json"]).well();
        serde_json::from_str::<Value>(&line).unwrap()[which].as_str().unwrap().to_owned()
    }

    /// A command on the server.
    pub fn redis<T: FromRedisValue>(&self, words: &[&str]) -> T {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]).query(&mut self.connection()).unwrap()
    }

    pub fn connection(&self) -> Connection {
        self.redis.client().get_connection().unwrap()
    }

    /// All files that the server wrote, by name.
    pub fn stored(&self) -> Vec<(String, Vec<u8>)> {
        redis::cmd("SAVE").exec(&mut self.connection()).unwrap();
        files(self.redis.folder())
    }
}

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let read = |path: PathBuf| match path.is_dir() {
        true => files(&path),
        false => vec![(path.display().to_string(), fs::read(&path).unwrap())],
    };
    entries.flat_map(read).collect()
}

/// Where `word` stands.
pub fn found(all: &[(String, Vec<u8>)], word: &str) -> Vec<String> {
    let holds = |bytes: &[u8]| bytes.windows(word.len()).any(|window| window == word.as_bytes());
    all.iter().filter(|(_, bytes)| holds(bytes)).map(|(name, _)| name.clone()).collect()
}
