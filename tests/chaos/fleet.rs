//! The workers, each a process behind a proxy of its own, and the server.

use std::{
    env,
    fs::{self, OpenOptions},
    path::{Path, PathBuf},
    process::ExitStatus,
    time::{Duration, Instant},
};

use tokio::{sync::Mutex, task::block_in_place};

use super::{
    proxy::Proxy,
    support::{RedisServer, WorkerProcess},
};

/// How long a worker's turns may go on when it is told to end.
const GRACE: &str = "5s";
/// How long an idle session stays in memory.
const IDLE: &str = "2s";
/// How long a drain may take, also while the server is away.
const DRAINED_WITHIN: Duration = Duration::from_secs(60);
/// A worker that is started while the server is away ends, and is started again, as by any supervisor.
const STARTED_WITHIN: Duration = Duration::from_secs(30);
const START_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// Early, so that it happens in a run, and that the server is back soon after a kill.
const REWRITE_FROM: &str = "8mb";

/// All that can go wrong by itself.
pub struct Fleet {
    pub server: Mutex<RedisServer>,
    pub workers: Vec<Place>,
    /// Between the senders and the server.
    pub senders: Proxy,
}

/// Where a worker runs: one process after the other.
pub struct Place {
    pub proxy: Proxy,
    pub process: Mutex<Process>,
}

/// The process that is there now.
pub struct Process {
    args: Vec<String>,
    url: String,
    log: PathBuf,
    running: Option<WorkerProcess>,
    /// Resident memory of each process once it was ready, in bytes.
    pub fresh: Vec<u64>,
    /// What ended processes printed.
    said: String,
}

impl Fleet {
    /// A server that keeps what it accepted, and so many workers; they write their logs into `folder`.
    pub async fn start(workers: usize, lease: Duration, folder: &Path) -> Self {
        let server = RedisServer::builder()
            .appendonly("always")
            .option("auto-aof-rewrite-min-size", REWRITE_FROM)
            .start();
        let senders = Proxy::to(server.port()).await;
        let mut places = Vec::new();
        for number in 0..workers {
            let proxy = Proxy::to(server.port()).await;
            let mut process = Process::new(number, lease, &proxy, folder);
            process.start().await.expect("a worker starts where nothing is wrong");
            places.push(Place { proxy, process: Mutex::new(process) });
        }
        Self { server: Mutex::new(server), workers: places, senders }
    }

    /// Where nothing is in between.
    pub async fn direct_url(&self) -> String {
        self.server.lock().await.url()
    }
}

impl Process {
    fn new(number: usize, lease: Duration, proxy: &Proxy, folder: &Path) -> Self {
        let lease = format!("{}ms", lease.as_millis());
        let name = format!("w{number}");
        let args = ["--name", &name, "--lease", &lease, "--grace", GRACE, "--idle", IDLE, "--tally"];
        Self {
            args: args.map(str::to_owned).to_vec(),
            url: proxy.url(),
            log: folder.join(format!("{name}.log")),
            running: None,
            fresh: Vec::new(),
            said: String::new(),
        }
    }

    /// Starts it; an error if it does not get ready however often it is tried.
    pub async fn start(&mut self) -> Result<(), String> {
        let args: Vec<_> = self.args.iter().map(String::as_str).collect();
        let until = Instant::now() + STARTED_WITHIN;
        loop {
            let log = OpenOptions::new().create(true).append(true).open(&self.log).expect("a log file");
            let started = block_in_place(|| {
                WorkerProcess::try_start_with(&self.url, &args, |command| {
                    let level = env::var("RUST_LOG").unwrap_or_else(|_| "info".to_owned());
                    command.env("RUST_LOG", level).env("NO_COLOR", "1").stderr(log);
                })
            });
            match started {
                Ok(worker) => {
                    self.fresh.extend(resident(worker.pid()));
                    self.running = Some(worker);
                    return Ok(());
                }
                Err(status) if Instant::now() > until => {
                    return Err(format!("{} does not start: {status}", self.log.display()));
                }
                Err(_) => tokio::time::sleep(START_AGAIN_AFTER).await,
            }
        }
    }

    /// The process, which must be there: a worker does not end unless it is ended.
    pub fn worker(&mut self) -> Result<&mut WorkerProcess, String> {
        let log = self.log.display();
        let worker = self.running.as_mut().ok_or_else(|| format!("no process: {log}"))?;
        match worker.ended() {
            Some(status) => Err(format!("a worker ended by itself, {status}: {log}")),
            None => Ok(worker),
        }
    }

    /// `kill -9`.
    pub fn kill(&mut self) -> Result<(), String> {
        block_in_place(|| self.worker().map(WorkerProcess::kill))?;
        self.bury();
        Ok(())
    }

    /// SIGTERM, and waits for its end; how it ended.
    pub fn drain(&mut self) -> Result<ExitStatus, String> {
        let status = block_in_place(|| self.worker().map(|worker| worker.drain(DRAINED_WITHIN)))?;
        self.bury();
        Ok(status)
    }

    /// Resident memory in bytes: now, and at most so far.
    pub fn memory(&mut self) -> Option<(u64, u64)> {
        let pid = self.worker().ok()?.pid();
        Some((resident(pid)?, status_line(pid, "VmHWM:")?))
    }

    /// How often it said that.
    pub fn times_said(&self, event: &str) -> usize {
        let now = self.running.as_ref().map(WorkerProcess::said).unwrap_or_default();
        let needle = format!(r#""event":"{event}""#);
        self.said.matches(&needle).count() + now.matches(&needle).count()
    }

    /// What it logged, all processes together.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn bury(&mut self) {
        if let Some(worker) = self.running.take() {
            self.said += &worker.said();
        }
    }
}

fn resident(pid: u32) -> Option<u64> {
    status_line(pid, "VmRSS:")
}

/// A figure of `/proc/<pid>/status`, in bytes.
fn status_line(pid: u32, name: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}
