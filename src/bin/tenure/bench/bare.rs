//! The benched program without a fleet: the same lines, piped by the benchmark itself.

use std::{path::Path, process::Stdio};

use serde_json::json;
use tenure::{Env, model::Body};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{ChildStdin, ChildStdout, Command},
};

use super::load::Plan;
use crate::failure::{Exit, Failure};

/// How many turns a second `python` takes when `program` is run by nobody but us.
pub(super) async fn turns_per_second(
    python: &str,
    program: &Path,
    plan: &Plan,
    env: &Env,
) -> Result<f64, Failure> {
    let mut child = Command::new(python);
    child.arg(program).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = child.spawn().map_err(|err| no_python(python, &err))?;
    let (Some(mut input), Some(mut output)) = (child.stdin.take(), child.stdout.take()) else {
        unreachable!("both are pipes")
    };
    let lines = Lines::of(plan, env);
    // One window first: it takes a while to start.
    let window = plan.in_flight.min(plan.messages);
    pipe(&lines.first(window), window, &mut input, &mut output).await?;
    let began = env.now();
    pipe(&lines, plan.in_flight, &mut input, &mut output).await?;
    Ok(plan.messages as f64 / env.now().since(began).as_secs_f64().max(1e-9))
}

pub(super) fn no_python(python: &str, err: &std::io::Error) -> Failure {
    Failure::new(Exit::Usage, format!("{python} cannot be started: {err}: name another with --python"))
}

/// Requests as a worker writes them, one after the other.
struct Lines {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Lines {
    fn of(plan: &Plan, env: &Env) -> Self {
        let mut lines = Self { bytes: Vec::new(), ends: Vec::new() };
        for n in 0..plan.messages {
            let session = plan.sessions[n % plan.sessions.len()].to_string();
            let turn = n / plan.sessions.len() + 1;
            let line = line(n, &session, turn, &plan.body, env);
            lines.bytes.extend_from_slice(line.as_bytes());
            lines.ends.push(lines.bytes.len());
        }
        lines
    }

    fn first(&self, count: usize) -> Self {
        let ends = self.ends[..count].to_vec();
        Self { bytes: self.bytes[..ends[count - 1]].to_vec(), ends }
    }

    /// From one line up to another.
    fn range(&self, from: usize, to: usize) -> &[u8] {
        let start = if from == 0 { 0 } else { self.ends[from - 1] };
        &self.bytes[start..self.ends[to - 1]]
    }
}

fn line(id: usize, session: &str, turn: usize, body: &Body, env: &Env) -> String {
    let body: serde_json::Value = body.decode().expect("a body is JSON");
    let message = json!({"id": env.message_id(), "body": body});
    let params = json!({
        "session": session, "agent": "py", "turn": turn, "try": 1, "key": format!("{session}#{turn}"),
        "deadline": "2026-01-01T00:00:00.000Z", "message": message, "state": null, "history": [],
    });
    format!("{}\n", json!({"jsonrpc": "2.0", "id": id, "method": "turn", "params": params}))
}

/// Writes all lines, at most `window` ahead of the answers, and reads as many answers.
async fn pipe(
    lines: &Lines,
    window: usize,
    input: &mut ChildStdin,
    output: &mut ChildStdout,
) -> Result<(), Failure> {
    let (mut written, mut answered, mut read) = (0, 0, vec![0; 64 << 10]);
    while answered < lines.ends.len() {
        let to = lines.ends.len().min(answered + window);
        if to > written {
            input.write_all(lines.range(written, to)).await?;
            written = to;
        }
        let length = output.read(&mut read).await?;
        if length == 0 {
            return Err(Failure::new(Exit::Failed, "the program ended: see its message above"));
        }
        answered += read[..length].iter().filter(|byte| **byte == b'\n').count();
    }
    Ok(())
}
