//! Workers of the benchmark's own, each a process like any other worker.

use std::{ffi::OsStr, fs, path::Path, process::ExitStatus, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStdout},
};

use crate::{
    failure::{Exit, Failure},
    global::Global,
    own_process,
};

/// How long a worker may take to be ready.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// What a worker has said by now is read within this time.
const SAID_WITHIN: Duration = Duration::from_millis(200);

/// How each is run.
const ARGS: [&str; 4] = ["worker", "--json", "--capacity", "1000000"];

/// How many ticks of CPU time a second has in `/proc`: 100 on every Linux.
const TICKS: u32 = 100;

/// Workers that end with this value.
pub(super) struct Fleet {
    workers: Vec<Child>,
    // A worker whose reader has gone stops telling; this keeps the pipes open.
    outputs: Vec<BufReader<ChildStdout>>,
}

/// What a process is sent.
#[derive(Debug, Clone, Copy)]
pub(super) enum Signal {
    Kill,
    Stop,
    Continue,
    Terminate,
}

impl Signal {
    /// As `kill` knows it.
    fn name(self) -> &'static str {
        match self {
            Self::Kill => "KILL",
            Self::Stop => "STOP",
            Self::Continue => "CONT",
            Self::Terminate => "TERM",
        }
    }
}

impl Fleet {
    /// Starts `count` workers that serve what the agents file declares; returns when all are ready.
    pub(super) async fn start(count: usize, agents: Option<&Path>, global: &Global) -> Result<Self, Failure> {
        let options = agents.map(|file| ["--agents".as_ref(), file.as_os_str()]).into_iter().flatten();
        Self::start_with(count, &options.collect::<Vec<_>>(), global).await
    }

    /// The same, with these options of `tenure worker`.
    pub(super) async fn start_with(
        count: usize,
        options: &[impl AsRef<OsStr>],
        global: &Global,
    ) -> Result<Self, Failure> {
        let mut fleet = Self { workers: Vec::new(), outputs: Vec::new() };
        for _ in 0..count {
            let mut worker = own_process::command(global)?.args(ARGS).args(options).spawn()?;
            let stdout = worker.stdout.take().expect("its stdout is a pipe");
            fleet.workers.push(worker);
            let mut output = BufReader::new(stdout);
            let mut ready = String::new();
            let read = tokio::time::timeout(READY_WITHIN, output.read_line(&mut ready)).await;
            if !matches!(read, Ok(Ok(1..))) {
                return Err(Failure::new(Exit::Failed, "a worker did not start: see its message above"));
            }
            fleet.outputs.push(output);
        }
        Ok(fleet)
    }

    /// The workers' process ids.
    pub(super) fn pids(&self) -> Vec<u32> {
        self.workers.iter().filter_map(Child::id).collect()
    }

    /// Sends `signal` to all of them.
    pub(super) fn signal(&self, signal: Signal) -> Result<(), Failure> {
        self.pids().into_iter().try_for_each(|pid| self::signal(pid, signal))
    }

    /// How many times any of them said to have been buried, since somebody last looked at what they say.
    pub(super) async fn lost(&mut self) -> usize {
        let mut lost = 0;
        for output in &mut self.outputs {
            let mut line = String::new();
            while let Ok(Ok(1..)) = tokio::time::timeout(SAID_WITHIN, output.read_line(&mut line)).await {
                lost += usize::from(event(&line) == "lost");
                line.clear();
            }
        }
        lost
    }

    /// The next `count` events of the first worker, by their names.
    pub(super) async fn next_events(&mut self, count: usize) -> Result<String, Failure> {
        let mut names = Vec::new();
        for _ in 0..count {
            let mut line = String::new();
            let read = tokio::time::timeout(READY_WITHIN, self.outputs[0].read_line(&mut line)).await;
            if !matches!(read, Ok(Ok(1..))) {
                names.push("nothing".to_owned());
                break;
            }
            names.push(event(&line));
        }
        Ok(names.join(", then "))
    }

    /// Waits until the first worker has ended; how.
    pub(super) async fn wait(&mut self) -> Result<ExitStatus, Failure> {
        Ok(self.workers[0].wait().await?)
    }

    /// CPU time that the workers have used since their start.
    pub(super) fn cpu(&self) -> Duration {
        self.workers.iter().filter_map(Child::id).filter_map(cpu_of).sum()
    }

    /// Ends them at once: what they hold is the benchmark's own, and is deleted.
    pub(super) async fn end(mut self) -> Result<(), Failure> {
        for worker in &mut self.workers {
            worker.kill().await?;
        }
        Ok(())
    }
}

/// Sends a process of ours a signal.
pub(super) fn signal(pid: u32, signal: Signal) -> Result<(), Failure> {
    std::process::Command::new("kill").args(["-s", signal.name(), &pid.to_string()]).status()?;
    Ok(())
}

/// The name of an event.
fn event(line: &str) -> String {
    let event: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
    event["event"].as_str().unwrap_or("?").to_owned()
}

/// CPU time of a process, where `/proc` tells.
pub(super) fn cpu_of(pid: u32) -> Option<Duration> {
    read_cpu(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn read_cpu(stat: &str) -> Option<Duration> {
    // The second field, a name in brackets, may hold anything; `utime` and `stime` are 14 and 15.
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ').skip(11);
    let mut ticks = || fields.next()?.parse::<u32>().ok();
    let (user, system) = (ticks()?, ticks()?);
    Some(Duration::from_secs(1) * (user + system) / TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_read_behind_whatever_name_a_process_has() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 1 0 1 1 1";
        assert_eq!(read_cpu(stat), Some(Duration::from_secs(3)));
        assert_eq!(read_cpu("7 (x"), None);
    }
}
