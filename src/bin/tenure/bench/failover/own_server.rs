//! A `redis-server` of the benchmark's own, which it may freeze, kill and start again.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tenure::Env;
use tokio::process::Child;

use super::super::fleet::{Signal, signal};
use crate::{
    failure::{Exit, Failure},
    own_process,
};

/// How long it may take to answer.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// Between two looks whether it does.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Ports below what systems hand to outgoing connections: they stay ours while the server is away.
const PORTS: std::ops::Range<u64> = 12_000..30_000;

/// What is said of a program that is none.
const NO_PROGRAM: &str = "it cannot be run";

/// How whoever was to become a program ends where it cannot: it is none, or not there.
const NOT_RUN: [i32; 2] = [126, 127];

/// Whether it keeps what it was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::bench) enum Keeps {
    Nothing,
    /// An append-only file, synchronised before each answer.
    Everything,
}

/// What it is to others.
#[derive(Debug, Clone, Copy)]
enum Part {
    Alone,
    /// A replica of the server at this port.
    Follows(u64),
    /// One of a cluster, that hears the others at this port.
    Node {
        bus: u64,
    },
}

/// The server; ends with this value.
pub(in crate::bench) struct OwnServer {
    // Before its folder: a server that is gone writes nothing more.
    process: Option<Child>,
    program: PathBuf,
    port: u64,
    keeps: Keeps,
    folder: Folder,
    part: Part,
    env: Env,
}

/// A folder that goes with its owner.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be deleted is left where the system deletes it.
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl OwnServer {
    pub(in crate::bench) async fn start(program: &Path, keeps: Keeps, env: &Env) -> Result<Self, Failure> {
        Self::start_as(program, keeps, Part::Alone, env).await
    }

    /// A node of a cluster that nobody has met yet, and that keeps nothing.
    pub(in crate::bench) async fn start_node(program: &Path, env: &Env) -> Result<Self, Failure> {
        Self::start_as(program, Keeps::Nothing, Part::Node { bus: port(env) }, env).await
    }

    /// A replica of this one, which has all that it has when this returns.
    pub(in crate::bench) async fn start_replica(&self) -> Result<Self, Failure> {
        let part = Part::Follows(self.port);
        let mut replica = Self::start_as(&self.program, self.keeps, part, &self.env).await?;
        let both = async { replica.until_it_follows().await && self.until_it_is_followed().await };
        match self.env.timeout(READY_WITHIN, both).await {
            Some(true) => Ok(replica),
            _ => Err(self.unusable("its replica does not follow")),
        }
    }

    /// The replica's link is up a moment before its primary counts it among those that a class may ask for.
    async fn until_it_is_followed(&self) -> bool {
        while !self
            .ask::<String>(&["INFO", "replication"])
            .await
            .is_ok_and(|said| said.contains("state=online"))
        {
            self.env.sleep(LOOK_EVERY).await;
        }
        true
    }

    async fn start_as(program: &Path, keeps: Keeps, part: Part, env: &Env) -> Result<Self, Failure> {
        let folder = std::env::temp_dir().join(format!("tenure-bench-{:08x}", env.random_u32()));
        fs::create_dir(&folder)?;
        let (program, folder, port, env) = (program.to_owned(), Folder(folder), port(env), env.clone());
        let mut server = Self { process: None, program, port, keeps, folder, part, env };
        server.launch().await?;
        Ok(server)
    }

    pub(in crate::bench) fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// Its host and port.
    pub(in crate::bench) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Where it is met, as `CLUSTER MEET` has it.
    pub(in crate::bench) fn met_at(&self) -> [String; 3] {
        let bus = match self.part {
            Part::Node { bus } => bus,
            Part::Alone | Part::Follows(_) => unreachable!("only nodes of a cluster are met"),
        };
        ["127.0.0.1".to_owned(), self.port.to_string(), bus.to_string()]
    }

    /// What it answers to a command.
    pub(in crate::bench) async fn ask<T: redis::FromRedisValue>(
        &self,
        command: &[&str],
    ) -> Result<T, Failure> {
        let unusable = |err: redis::RedisError| self.unusable(&err.to_string());
        let client = redis::Client::open(self.url()).map_err(unusable)?;
        let config = redis::AsyncConnectionConfig::new().set_response_timeout(Some(READY_WITHIN));
        let mut conn =
            client.get_multiplexed_async_connection_with_config(&config).await.map_err(unusable)?;
        redis::cmd(command[0]).arg(&command[1..]).query_async(&mut conn).await.map_err(unusable)
    }

    /// Everything stands still; connections stay open and nothing is answered.
    pub(in crate::bench) fn freeze(&self) -> Result<(), Failure> {
        self.signal(Signal::Stop)
    }

    pub(in crate::bench) fn thaw(&self) -> Result<(), Failure> {
        self.signal(Signal::Continue)
    }

    fn signal(&self, what: Signal) -> Result<(), Failure> {
        match self.process.as_ref().and_then(Child::id) {
            Some(pid) => signal(pid, what),
            None => Ok(()),
        }
    }

    pub(in crate::bench) async fn kill(&mut self) -> Result<(), Failure> {
        if let Some(mut process) = self.process.take() {
            process.kill().await?;
        }
        Ok(())
    }

    /// Starts it; returns when it answers.
    pub(in crate::bench) async fn launch(&mut self) -> Result<(), Failure> {
        let keeps = if self.keeps == Keeps::Everything { "yes" } else { "no" };
        let mut command = own_process::guarded(&self.program);
        command
            .args(["--bind", "127.0.0.1", "--port", &self.port.to_string(), "--save", "", "--dir"])
            .arg(&self.folder.0)
            .args(["--maxmemory-policy", "noeviction", "--logfile", "server.log"])
            .args(["--appendonly", keeps, "--appendfsync", "always", "--repl-diskless-sync-delay", "0"])
            .stdout(Stdio::null())
            // What it has to say is in its log; what starts it would speak of itself.
            .stderr(Stdio::null());
        match self.part {
            Part::Alone => &mut command,
            Part::Follows(primary) => command.args(["--replicaof", "127.0.0.1", &primary.to_string()]),
            Part::Node { bus } => {
                command.args(["--cluster-enabled", "yes", "--cluster-port", &bus.to_string()])
            }
        };
        self.process = Some(command.spawn().map_err(|_| self.unusable(NO_PROGRAM))?);
        let env = self.env.clone();
        let answered = env.timeout(READY_WITHIN, self.until_it_answers()).await;
        match answered {
            Some(true) => Ok(()),
            _ if self.was_never_run() => Err(self.unusable(NO_PROGRAM)),
            _ => Err(self.unusable("it does not answer")),
        }
    }

    /// Whether what was to start it found no program there, and ended as shells do then.
    fn was_never_run(&mut self) -> bool {
        let ended = self.process.as_mut().and_then(|process| process.try_wait().ok().flatten());
        ended.and_then(|status| status.code()).is_some_and(|code| NOT_RUN.contains(&code))
    }

    /// Whether it did, before it ended.
    async fn until_it_answers(&mut self) -> bool {
        let Ok(client) = redis::Client::open(self.url()) else { return false };
        loop {
            if !matches!(self.process.as_mut().map(Child::try_wait), Some(Ok(None))) {
                return false;
            }
            // While it loads its file it answers with an error.
            if let Ok(mut conn) = client.get_multiplexed_async_connection().await
                && redis::cmd("PING").exec_async(&mut conn).await.is_ok()
            {
                return true;
            }
            self.env.sleep(LOOK_EVERY).await;
        }
    }

    /// Whether its link to its primary came up, before it ended.
    async fn until_it_follows(&mut self) -> bool {
        let Ok(client) = redis::Client::open(self.url()) else { return false };
        loop {
            if !matches!(self.process.as_mut().map(Child::try_wait), Some(Ok(None))) {
                return false;
            }
            if let Ok(mut conn) = client.get_multiplexed_async_connection().await
                && let Ok(info) = redis::cmd("INFO").arg("replication").query_async::<String>(&mut conn).await
                && info.contains("master_link_status:up")
            {
                return true;
            }
            self.env.sleep(LOOK_EVERY).await;
        }
    }

    pub(in crate::bench) fn unusable(&self, cause: &str) -> Failure {
        let line =
            format!("{}: {cause}: name a Redis server's program with --redis-server", self.program.display());
        Failure::new(Exit::Failed, line)
    }
}

fn port(env: &Env) -> u64 {
    PORTS.start + env.random_below(PORTS.end - PORTS.start)
}
