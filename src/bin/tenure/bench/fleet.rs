//! Workers of the benchmark's own, each a process like any other worker.

use std::{fs, path::Path, time::Duration};

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

/// How each is run.
const ARGS: [&str; 4] = ["worker", "--json", "--capacity", "1000000"];

/// How many ticks of CPU time a second has in `/proc`: 100 on every Linux.
const TICKS: u32 = 100;

/// Workers that end with this value.
pub(super) struct Fleet {
    workers: Vec<Child>,
    // A worker whose reader has gone stops telling; this keeps the pipes open.
    _outputs: Vec<BufReader<ChildStdout>>,
}

impl Fleet {
    /// Starts `count` workers that serve what the agents file declares; returns when all are ready.
    pub(super) async fn start(count: usize, agents: Option<&Path>, global: &Global) -> Result<Self, Failure> {
        let mut fleet = Self { workers: Vec::new(), _outputs: Vec::new() };
        for _ in 0..count {
            let mut command = own_process::command(global)?;
            command.args(ARGS);
            command.args(agents.map(|file| ["--agents".as_ref(), file.as_os_str()]).into_iter().flatten());
            let mut worker = command.spawn()?;
            let stdout = worker.stdout.take().expect("its stdout is a pipe");
            fleet.workers.push(worker);
            let mut output = BufReader::new(stdout);
            let mut ready = String::new();
            let read = tokio::time::timeout(READY_WITHIN, output.read_line(&mut ready)).await;
            if !matches!(read, Ok(Ok(1..))) {
                return Err(Failure::new(Exit::Failed, "a worker did not start: see its message above"));
            }
            fleet._outputs.push(output);
        }
        Ok(fleet)
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

/// CPU time of a process, where `/proc` tells.
fn cpu_of(pid: u32) -> Option<Duration> {
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
