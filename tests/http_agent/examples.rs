//! The support desks of `examples/`, as their readers would run them.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

use tenure::{Body, agents::Http, client::Outgoing};

use crate::stage::{PATIENCE, Stage};

/// A desk that runs until it is dropped.
struct Desk {
    process: Child,
    url: String,
    /// Kept: who prints into a closed pipe ends.
    _stdout: BufReader<ChildStdout>,
}

impl Desk {
    fn open(interpreter: &str, example: &str) -> Self {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(example);
        let mut process = Command::new(interpreter)
            .arg(program)
            .args(["--port", "0"])
            .env("SUPPORT_TOKEN", "t0ken")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|err| panic!("{interpreter}: {err}"));
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        let mut url = String::new();
        stdout.read_line(&mut url).unwrap();
        Self { process, url: url.trim().to_owned(), _stdout: stdout }
    }

    fn with(&self, token: &str) -> Http {
        Http::new(&self.url, [("authorization", token)]).unwrap()
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.process.kill().and_then(|()| self.process.wait()).expect("our own child can be ended");
    }
}

#[tokio::test]
async fn the_desk_in_python_remembers_looks_up_and_refuses() {
    let python = std::env::var("TENURE_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    talks(&Desk::open(&python, "python/support_http.py")).await;
}

#[tokio::test]
async fn the_desk_in_node_remembers_looks_up_and_refuses() {
    if Command::new("node").arg("--version").output().is_err() {
        println!("not run: there is no node (scripts/test installs it)");
        return;
    }
    talks(&Desk::open("node", "node/support_http.mjs")).await;
}

async fn talks(desk: &Desk) {
    let stage = Stage::of(desk.with("Bearer t0ken"), |policy| policy).await;
    assert_eq!(stage.hear("web/jürgen", "my name is Ann").await, "Hello Ann, how can I help?");
    let second = stage.hear("web/jürgen", "bad weather").await;
    assert_eq!(second, r#"Ann, that was message 2; before that you said "my name is Ann""#);
    assert_eq!(stage.hear("web/jürgen", "where is order a-17?").await, "Order A-17 is on its way.");
    let kinds: Vec<_> = stage.history("web/jürgen").await.iter().map(|entry| entry.kind.as_str()).collect();
    assert_eq!(kinds[4..], ["user", "tool_call", "tool_result", "assistant"]);
    stage.hear("web/jürgen", "forget me").await;
    assert!(stage.hear("web/jürgen", "hello").await.starts_with("stranger, that was message 1"));

    let no_text = Outgoing::new("web/b".parse().unwrap(), Body::parse(r#"{"n":1}"#).unwrap());
    let refused = stage.client.ask(no_text, PATIENCE).await.unwrap_err().to_string();
    assert!(refused.contains("send text, such as"), "{refused}");
    many_at_once(&stage).await;

    let stranger = Stage::of(desk.with("Bearer other"), |policy| policy).await;
    let (_, message) = stranger.fail("web/a", "hello").await;
    assert!(message.ends_with("http 401: this is not the token"), "{message}");
}

async fn many_at_once(stage: &Stage) {
    let sessions: Vec<_> = (0..100).map(|n| format!("web/many-{n}")).collect();
    let asked = sessions.iter().map(|session| stage.hear(session, "hello"));
    for reply in futures_util::future::join_all(asked).await {
        assert_eq!(reply, "stranger, that was message 1");
    }
}
