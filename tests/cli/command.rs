//! Runs the built `tenure`, and looks at how it ends.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio},
    time::Duration,
};

use serde_json::Value;

use crate::support::{RedisServer, wait_until};

/// How long a worker may take to end.
const SOON: Duration = Duration::from_secs(30);

/// What would change how a command behaves or looks.
const SURROUNDINGS: [&str; 9] = [
    "TENURE_REDIS",
    "TENURE_NAMESPACE",
    "TENURE_HEALTH",
    "TENURE_AGENTS",
    "RUST_LOG",
    "NO_COLOR",
    "CLICOLOR",
    "CLICOLOR_FORCE",
    "COLUMNS",
];

/// `tenure` with no address in its surroundings but what a test gives.
pub fn tenure(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tenure"));
    command.args(args).stdin(Stdio::null());
    for name in SURROUNDINGS {
        command.env_remove(name);
    }
    command
}

/// `tenure` on a server of the test's own.
pub fn on(server: &RedisServer, args: &[&str]) -> Command {
    let mut command = tenure(args);
    command.env("TENURE_REDIS", server.url());
    command
}

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().expect("it ended by itself"),
            stdout: String::from_utf8(output.stdout).expect("text"),
            stderr: String::from_utf8(output.stderr).expect("text"),
        }
    }
}

/// Runs a command to its end.
pub fn end(mut command: Command) -> Ended {
    command.output().expect("it starts").into()
}

/// Runs a command to its end with `input` on its standard input.
pub fn end_with_input(mut command: Command, input: &[u8]) -> Ended {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    // It may end before it has read everything.
    let _ = stdin.write_all(input);
    drop(stdin);
    child.wait_with_output().expect("it ends").into()
}

impl Ended {
    /// Asserts that all went well, in silence; what it printed.
    pub fn well(self) -> String {
        assert_eq!((self.code, self.stderr.as_str()), (0, ""), "{self:?}");
        self.stdout
    }

    /// Asserts that all went well; the JSON it printed, a value a line.
    pub fn json(self) -> Vec<Value> {
        self.well().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// Asserts that it failed with `code` and one line on stderr; that line.
    pub fn badly(&self, code: i32) -> &str {
        assert_eq!(self.code, code, "{self:?}");
        let line = self.stderr.strip_suffix('\n').unwrap_or_else(|| panic!("no line on stderr: {self:?}"));
        assert!(!line.is_empty() && !line.contains('\n'), "not one line: {self:?}");
        line
    }
}

/// The names of a JSON object's members, sorted.
pub fn members(value: &Value) -> Vec<&str> {
    let mut names: Vec<_> = value.as_object().expect("an object").keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

/// Whether a value is a time as the contract has them: RFC 3339, UTC, milliseconds.
pub fn is_time(value: &Value) -> bool {
    let text = value.as_str().unwrap_or_default();
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    shape == "0000-00-00T00:00:00.000Z"
}

/// A `tenure worker` that is ready, and ends with this value.
pub struct RunningWorker {
    pub id: String,
    child: Child,
    events: BufReader<ChildStdout>,
}

impl RunningWorker {
    pub fn start(server: &RedisServer, args: &[&str]) -> Self {
        let mut command = on(server, &[&["worker", "--json"], args].concat());
        command.env("RUST_LOG", "error").stdout(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let mut events = BufReader::new(child.stdout.take().expect("a pipe"));
        let ready = next_event(&mut events).expect("it says that it is ready");
        assert_eq!(ready["event"], "ready");
        let id = ready["worker"].as_str().expect("its name").to_owned();
        Self { id, child, events }
    }

    /// The next thing it says of itself; none if it has ended.
    pub fn event(&mut self) -> Option<Value> {
        next_event(&mut self.events)
    }

    pub fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    pub fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("the worker ends", SOON, || {
            status = self.child.try_wait().expect("our own child can be awaited");
            status.is_some()
        });
        status.expect("it ended")
    }
}

impl Drop for RunningWorker {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to a child of ours.
pub fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    let sent = Command::new("sh").args(["-c", r#"kill -s "$1" "$2""#, "sh", name, &pid]).status();
    assert!(sent.expect("there is a shell").success());
}

fn next_event(events: &mut BufReader<ChildStdout>) -> Option<Value> {
    let mut line = String::new();
    events.read_line(&mut line).expect("its output can be read");
    (!line.is_empty()).then(|| serde_json::from_str(&line).expect("JSON"))
}
