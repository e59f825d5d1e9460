//! A worker with one agent, `own`, whose program is a Python script of the test's.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use tempfile::TempDir;
use tenure::{
    Body, Env, SessionId, Worker, WorkerHandle,
    agents::{
        Exec,
        file::{ExecSpec, Secret},
    },
    model::{Backoff, Entry, Envelope, NewMessage, Pool, ReplyTo, Settings, TurnPolicy},
    store::{HistoryRange, MemoryStore, Sent, Store},
};
use tracing::subscriber::DefaultGuard;

use crate::support::eventually;

/// What every script begins with.
const PREAMBLE: &str = r#"
import json, os, sys, time

def read():
    line = sys.stdin.buffer.readline()
    if not line:
        os._exit(0)
    return json.loads(line)

def say(message):
    print(json.dumps(message), flush=True)

def answer(request, **result):
    say({"jsonrpc": "2.0", "id": request["id"], "result": result})

def text(request):
    return request["params"]["message"]["body"]["text"]

def first_life():
    """True in the first process that asks."""
    if os.path.exists("lived"):
        return False
    open("lived", "x").close()
    return True

"#;

/// Longer than anything here takes.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct Desk {
    pub store: MemoryStore,
    pub env: Env,
    pub worker: WorkerHandle,
    pub logs: Logs,
    folder: TempDir,
}

impl Desk {
    /// Serves `script` under a policy that gives up late and tries again soon.
    pub async fn of(script: &str) -> Self {
        Self::under(policy(), script, &[]).await
    }

    pub async fn under(policy: TurnPolicy, script: &str, env: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("agent.py");
        fs::write(&file, format!("{PREAMBLE}{script}")).unwrap();
        let spec = ExecSpec {
            program: python(),
            command: vec!["python3".to_owned(), "agent.py".to_owned()],
            env: env.iter().map(|(name, value)| ((*name).to_owned(), Secret::new(*value))).collect(),
            directory: folder.path().to_owned(),
        };
        Self::running(spec, policy, folder).await
    }

    pub async fn running(spec: ExecSpec, policy: TurnPolicy, folder: TempDir) -> Self {
        let (env, logs) = (Env::system(), Logs::caught());
        let store = MemoryStore::new("test".parse().unwrap(), Settings::default(), Arc::new(env.clone()));
        let exec = Exec::new("own".parse().unwrap(), spec, policy);
        let worker = Worker::builder(store.clone()).agent("own", exec).start().await.unwrap();
        Self { store, env, worker, logs, folder }
    }

    /// Sends text, and waits for what comes of it.
    pub async fn ask(&self, session: &str, text: &str) -> Envelope {
        self.ask_body(session, Body::text(text)).await
    }

    pub async fn ask_body(&self, session: &str, body: Body) -> Envelope {
        let key: ReplyTo = format!("reply:{}", self.env.uuid()).parse().unwrap();
        let message = NewMessage {
            session: session.parse().unwrap(),
            message: self.env.message_id(),
            id: None,
            reply_to: Some(key.clone()),
            body,
            group: None,
            resume: None,
            pool: Pool::default(),
            durability: Default::default(),
            class: Default::default(),
        };
        let sent = self.store.send(&message).await.unwrap();
        assert!(matches!(sent, Sent::Accepted { .. }), "{sent:?}");
        let reply = self.store.take_reply(&key, PATIENCE).await.unwrap();
        serde_json::from_str(&reply.unwrap_or_else(|| panic!("no reply: {}", self.logs.text()))).unwrap()
    }

    /// The text of the reply; else the error.
    pub async fn ask_text(&self, session: &str, text: &str) -> String {
        let Envelope { reply, error, .. } = self.ask(session, text).await;
        let text = reply.flatten().and_then(|body| body.as_text());
        text.or(error.map(|error| format!("{}: {}", error.reason, error.message))).unwrap_or_default()
    }

    /// Waits until the program is up, and answers with `answer`: it may be slow to start.
    pub async fn awake(&self, answer: &str) {
        eventually("its answer", PATIENCE, async || self.ask_text("own/awake", "are you?").await == answer)
            .await;
    }

    /// The same, read as JSON.
    pub async fn ask_json(&self, session: &str, text: &str) -> serde_json::Value {
        let reply = self.ask(session, text).await.reply.expect("no error").expect("a reply");
        reply.decode().unwrap()
    }

    pub async fn history(&self, session: &str) -> Vec<Entry> {
        let session: SessionId = session.parse().unwrap();
        self.store.history(&session, HistoryRange::Newest(0), Duration::ZERO).await.unwrap()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What a script wrote into a file of its folder, if it has.
    pub fn written(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.path(name)).ok()
    }
}

pub fn policy() -> TurnPolicy {
    let soon = Duration::from_millis(10);
    TurnPolicy { backoff: Backoff { first: soon, max: soon }, ..TurnPolicy::default() }
}

/// The Python that `scripts/test` names, else that of the `PATH`.
pub fn python() -> PathBuf {
    let named = env::var_os("TENURE_TEST_PYTHON").map(PathBuf::from);
    named.or_else(|| in_path("python3")).expect("these tests need python3")
}

/// Where a program is.
pub fn in_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// Whether a process is there and not merely unburied.
pub fn lives(pid: &str) -> bool {
    let status = fs::read_to_string(Path::new("/proc").join(pid.trim()).join("status"));
    status.is_ok_and(|status| !status.contains("State:\tZ"))
}

/// What is logged on this thread, at every level.
pub struct Logs {
    text: Shared,
    _caught: DefaultGuard,
}

impl Logs {
    pub fn caught() -> Self {
        let text = Shared::default();
        let writer = text.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::DEBUG)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        Self { text, _caught: tracing::subscriber::set_default(subscriber) }
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.text.0.lock().unwrap().clone()).unwrap()
    }

    /// Lines that hold `part`.
    pub fn with(&self, part: &str) -> Vec<String> {
        self.text().lines().filter(|line| line.contains(part)).map(str::to_owned).collect()
    }
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl io::Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
