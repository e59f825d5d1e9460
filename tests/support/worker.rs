//! A `tenure worker` process of the test's own.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use super::process::{guarded, signal, spawn_from_lasting_thread};
use super::wait::wait_until;

/// How long a worker may take to be ready, on a machine that is busy with everything else.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// A running worker; ends with the fixture.
#[derive(Debug)]
pub struct WorkerProcess {
    process: Child,
    id: String,
    said: Arc<Mutex<String>>,
}

impl WorkerProcess {
    /// Starts a worker on `url`; returns once it is ready.
    pub fn start(url: &str, args: &[&str]) -> Self {
        Self::start_with(url, args, |_| ())
    }

    /// The same, after `change` had its way with the command: its environment, where its log goes.
    pub fn start_with(url: &str, args: &[&str], change: impl FnOnce(&mut Command)) -> Self {
        match Self::try_start_with(url, args, change) {
            Ok(worker) => worker,
            Err(ended) => panic!("the worker is not ready: {ended}"),
        }
    }

    /// The same; how it ended if it did not get ready.
    pub fn try_start_with(
        url: &str,
        args: &[&str],
        change: impl FnOnce(&mut Command),
    ) -> Result<Self, ExitStatus> {
        let mut command = guarded(env!("CARGO_BIN_EXE_tenure"));
        command
            .args(["worker", "--json"])
            .args(args)
            .env("TENURE_REDIS", url)
            .env("RUST_LOG", std::env::var("RUST_LOG").unwrap_or_else(|_| "warn".to_owned()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        change(&mut command);
        let mut process = spawn_from_lasting_thread(command).expect("the worker can be started");
        let stdout = process.stdout.take().expect("stdout is a pipe");
        let (sender, ready) = mpsc::channel();
        let said = Arc::<Mutex<String>>::default();
        let all = said.clone();
        // Reads on to the end, so that the worker never waits for us.
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                all.lock().expect("no holder panics").extend([line.as_str(), "\n"]);
                let event: serde_json::Value = serde_json::from_str(&line).expect("stdout is JSON lines");
                if event["event"] == "ready" {
                    // Only the first is waited for.
                    let _ = sender.send(event["worker"].as_str().expect("a worker has a name").to_owned());
                }
            }
        });
        match ready.recv_timeout(READY_WITHIN) {
            Ok(id) => Ok(Self { process, id, said }),
            Err(_) => {
                let _ = process.kill();
                Err(process.wait().expect("our own child can be waited for"))
            }
        }
    }

    /// Its first incarnation.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// What it printed so far.
    pub fn said(&self) -> String {
        self.said.lock().expect("no holder panics").clone()
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.process.try_wait().expect("our own child can be waited for")
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.process.kill().expect("our own child can be killed");
        self.process.wait().expect("our own child can be waited for");
    }

    /// SIGSTOP: its clock goes on, its code does not.
    pub fn pause(&self) {
        signal("STOP", self.pid());
    }

    /// SIGCONT.
    pub fn resume(&self) {
        signal("CONT", self.pid());
    }

    /// SIGTERM; returns once it has drained.
    pub fn drain(&mut self, bound: Duration) -> ExitStatus {
        signal("TERM", self.pid());
        let mut status = None;
        wait_until("the worker drains", bound, || {
            status = self.process.try_wait().expect("our own child can be waited for");
            status.is_some()
        });
        status.expect("it has ended")
    }
}

impl Drop for WorkerProcess {
    fn drop(&mut self) {
        if matches!(self.process.try_wait(), Ok(None)) {
            self.kill();
        }
    }
}
