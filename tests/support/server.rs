//! A `redis-server` process of the test's own.
//!
//! Its binary is `TENURE_TEST_SERVER`, else `redis-server` of the `PATH`. It listens on a free
//! port of the loopback, keeps its files in a temporary folder, and ends with the fixture; should
//! the test process be killed, the kernel kills the server too.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use super::clock::Clock;
use super::not_run;
use super::port;
use super::process::{guarded, signal, spawn_from_lasting_thread, state};
use super::sentinel::PROMOTABLE;
use super::synced::Synced;
use super::tls;
use super::wait::wait_until;

/// How long a server may take to answer, on a machine that is busy with everything else.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// How often another port is tried when somebody else was faster on the one found free.
const PORTS_TRIED: usize = 20;
/// The server that is taken where none is named.
const OF_PATH: &str = "redis-server";

/// A running server, or one that was killed and can be restarted.
#[derive(Debug)]
pub struct RedisServer {
    options: Options,
    port: u16,
    process: Option<Child>,
    clock: Option<Clock>,
    synced: Option<Synced>,
    folder: TempDir,
}

/// What a test asks of its server before it starts.
#[derive(Debug, Clone)]
pub struct Builder {
    options: Options,
    clock_ms: Option<u64>,
}

#[derive(Debug, Clone, Default)]
struct Options {
    password: Option<String>,
    of_path: bool,
    notes_what_is_synced: bool,
    args: Vec<String>,
}

impl RedisServer {
    /// A server without persistence, password or limit.
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// A server with options.
    pub fn builder() -> Builder {
        let args = ["--save", "", "--appendonly", "no"].map(String::from).into();
        Builder { options: Options { args, ..Options::default() }, clock_ms: None }
    }

    /// Where clients connect, with the password if there is one.
    pub fn url(&self) -> String {
        match &self.options.password {
            Some(password) => format!("redis://:{password}@127.0.0.1:{}", self.port),
            None => format!("redis://127.0.0.1:{}", self.port),
        }
    }

    /// The port on 127.0.0.1; the same after a restart.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process id of the running server.
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("the server runs").id()
    }

    /// Whether it was not killed or stopped.
    pub fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// The folder of its log and its persistence.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A client of this server, with the password if there is one.
    pub fn client(&self) -> redis::Client {
        redis::Client::open(self.url()).expect("the fixture makes good addresses")
    }

    /// The clock that the builder's `clock_ms` asked for.
    pub fn clock(&self) -> &Clock {
        self.clock.as_ref().expect("the test asked for a clock with `clock_ms`")
    }

    /// Stops the process where it is (`SIGSTOP`): connections stay open and nothing answers.
    /// Returns once it stands still.
    pub fn pause(&self) {
        signal("STOP", self.pid());
        wait_until("the server stands still", READY_WITHIN, || state(self.pid()) == Some('T'));
    }

    /// Lets a paused server go on (`SIGCONT`).
    pub fn resume(&self) {
        signal("CONT", self.pid());
    }

    /// Kills the server at once (`SIGKILL`), paused or not. Does nothing to a dead one.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("our own child can be killed");
            process.wait().expect("our own child can be awaited");
        }
    }

    /// Kills the server and cuts its append-only file after what was on the disk, as when its machine loses power; how many bytes
    /// that takes away. The builder's `notes_what_is_synced` is needed.
    pub fn lose_power(&mut self) -> u64 {
        self.kill();
        let synced = self.synced.as_ref().expect("the test asked for it with `notes_what_is_synced`");
        synced.cut(self.folder.path())
    }

    /// Ends the server in order (`SIGTERM`): it writes what it has to and exits.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            signal("CONT", process.id());
            signal("TERM", process.id());
            wait_until("the server exits after SIGTERM", READY_WITHIN, || {
                process.try_wait().expect("our own child can be awaited").is_some()
            });
        }
    }

    /// Starts the server again on the same port and folder; stops it first if it still runs.
    pub fn restart(&mut self) {
        self.stop();
        if let Err(failed) = self.launch() {
            panic!("{failed}");
        }
        self.check_clock();
    }

    /// Starts the server again on the same port and folder, as one that follows the server at `primary` and that no sentinel
    /// promotes.
    pub fn restart_as_replica_of(&mut self, primary: u16) {
        let args = &mut self.options.args;
        if let Some(before) = args.iter().position(|arg| arg == "--replicaof") {
            args.drain(before..before + 3);
        }
        args.extend(["--replicaof", "127.0.0.1", &primary.to_string()].map(String::from));
        args.extend(["--replica-priority", "0"].map(String::from));
        self.restart();
    }

    /// Starts the server again on the same port and folder, with one more option.
    pub fn restart_with(&mut self, name: &str, value: &str) {
        self.options.args.extend([format!("--{name}"), value.to_owned()]);
        self.restart();
    }

    /// Lets sentinels promote it, which they do not do with a server that was restarted as a replica.
    pub fn may_be_promoted(&self) {
        let mut conn = self.client().get_connection().expect("the server answers");
        let mut set = redis::cmd("CONFIG");
        set.arg("SET").arg("replica-priority").arg(PROMOTABLE).exec(&mut conn).expect("it is a number");
    }

    /// Waits until so many replicas follow.
    pub fn wait_for_replicas(&self, count: usize) {
        let mut conn = self.client().get_connection().expect("the server answers");
        wait_until("its replicas follow", READY_WITHIN, || {
            let mut ask = redis::cmd("INFO");
            let info: String = ask.arg("replication").query(&mut conn).expect("the server answers");
            info.matches("state=online").count() >= count
        });
    }

    /// Whether it can wait for a disk. The test that is not run where it cannot is named.
    pub fn knows_waitaof(&self) -> bool {
        self.knows("WAITAOF", "the server has no WAITAOF (TENURE_TEST_SERVER names one of 7.2 or later)")
    }

    /// Whether it moves slots by itself, as a whole. The test that is not run where it does not is named.
    pub fn knows_migrateslots(&self) -> bool {
        self.knows(
            "CLUSTER|MIGRATESLOTS",
            "the server has no CLUSTER MIGRATESLOTS (TENURE_TEST_SERVER names a Valkey 9)",
        )
    }

    fn knows(&self, command: &str, why_not: &str) -> bool {
        let mut conn = self.client().get_connection().expect("the server answers");
        let mut ask = redis::cmd("COMMAND");
        let known: Vec<redis::Value> = ask.arg("INFO").arg(command).query(&mut conn).expect("it answers");
        let knows = known[0] != redis::Value::Nil;
        if !knows {
            not_run::note(why_not);
        }
        knows
    }

    /// Whether a replica follows, as far as the server says.
    pub fn is_followed(&self) -> bool {
        let mut ask = redis::cmd("INFO");
        let said =
            self.client().get_connection().and_then(|mut conn| ask.arg("replication").query(&mut conn));
        said.is_ok_and(|info: String| info.contains("state=online"))
    }

    fn launch(&mut self) -> Result<(), StartFailed> {
        let mut command = self.command();
        if let Some(clock) = &self.clock {
            clock.hand_to(&mut command);
        }
        if let Some(synced) = &self.synced {
            synced.hand_to(&mut command);
        }
        let process = spawn_from_lasting_thread(command)
            .unwrap_or_else(|err| panic!("cannot start {}: {err}", self.options.binary()));
        let pid = process.id();
        self.process = Some(process);

        let mut exited = None;
        wait_until("the server answers", READY_WITHIN, || {
            exited = self.process.as_mut().and_then(|process| process.try_wait().ok().flatten());
            exited.is_some() || self.answers(pid).unwrap_or(false)
        });
        match exited {
            Some(status) => Err(StartFailed { port: self.port, status, log: self.log() }),
            None => Ok(()),
        }
    }

    fn command(&self) -> Command {
        let folder = self.folder.path();
        let mut command = guarded(&self.options.binary());
        command
            .args(["--bind", "127.0.0.1", "--port", &self.port.to_string()])
            .args(["--daemonize", "no", "--logfile", "server.log", "--dir"])
            .arg(folder)
            .args(&self.options.args)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.join("stderr")).expect("the folder can be written"));
        if self.clock.is_some() {
            command.args(["--enable-debug-command", "yes"]);
        }
        command
    }

    /// Whether it is our process that answers on the port, and not still loading.
    fn answers(&self, pid: u32) -> io::Result<bool> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        if let Some(password) = &self.options.password {
            stream.write_all(format!("AUTH {password}\r\n").as_bytes())?;
        }
        stream.write_all(b"PING\r\nINFO server\r\nQUIT\r\n")?;
        let mut answers = String::new();
        stream.read_to_string(&mut answers)?;
        let ours = answers.lines().any(|line| line == format!("process_id:{pid}"));
        Ok(ours && answers.lines().any(|line| line == "+PONG"))
    }

    /// A clock that does not stand still would make every test that relies on it a lie.
    fn check_clock(&mut self) {
        let Some(clock) = &self.clock else { return };
        self.expire_only_what_is_looked_at();
        let mut conn = self.client().get_connection().expect("the server answers");
        let (seconds, micros): (u64, u64) =
            redis::cmd("TIME").query(&mut conn).expect("TIME is always answered");
        if seconds * 1_000_000 + micros == clock.now_ms() * 1_000 {
            return;
        }
        let mut ask = redis::cmd("INFO");
        let about: String = ask.arg("server").query(&mut conn).expect("the server answers");
        let why = format!("{} does not follow a clock that is held; see tests/support/clock.rs", binary());
        if about.contains("valkey_version:9.") {
            self.kill();
            // The folder does not go by itself at such an end; what is left of it the system deletes.
            let _ = fs::remove_dir_all(self.folder.path());
            not_run::end(&why);
        }
        panic!("{why}");
    }

    /// Turns off the server's own search for lapsed keys: when it comes by is a matter of real time, and
    /// Redis 8.2 takes a key at its deadline where a command finds it still there.
    fn expire_only_what_is_looked_at(&self) {
        let mut conn = self.client().get_connection().expect("the server answers");
        let mut off = redis::cmd("DEBUG");
        off.arg("SET-ACTIVE-EXPIRE").arg(0).exec(&mut conn).expect("the server allows DEBUG");
    }

    /// What the server said, for a person whose test failed.
    fn log(&self) -> String {
        ["stderr", "server.log"]
            .into_iter()
            .filter_map(|name| fs::read_to_string(self.folder.path().join(name)).ok())
            .collect()
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            eprintln!("--- log of the redis-server on port {}\n{}", self.port, self.log());
        }
    }
}

impl Builder {
    /// Keeps an append-only file, with that `appendfsync` (`always`, `everysec`, `no`).
    pub fn appendonly(self, fsync: &str) -> Self {
        self.option("appendonly", "yes").option("appendfsync", fsync)
    }

    /// Lets the test cut its power: see [`RedisServer::lose_power`]. Not together with `clock_ms`.
    pub fn notes_what_is_synced(mut self) -> Self {
        self.options.notes_what_is_synced = true;
        self
    }

    /// Asks clients for a password; the fixture's `url` holds it.
    pub fn requirepass(mut self, password: &str) -> Self {
        let plain = password.bytes().all(|byte| byte.is_ascii_alphanumeric());
        assert!(plain, "letters and digits stand in a URL as they are");
        self.options.password = Some(password.to_owned());
        self.option("requirepass", password)
    }

    /// Limits the memory (`4mb`), with `noeviction` unless an option says otherwise.
    pub fn maxmemory(self, limit: &str) -> Self {
        self.option("maxmemory", limit)
    }

    /// Follows another server, also one with a password.
    pub fn replica_of(mut self, primary: &RedisServer) -> Self {
        self.options.args.extend(["--replicaof", "127.0.0.1"].map(String::from));
        self.options.args.push(primary.port.to_string());
        match &primary.options.password {
            Some(password) => self.option("masterauth", password),
            None => self,
        }
    }

    /// Any option of `redis.conf`; the last one given counts.
    pub fn option(mut self, name: &str, value: &str) -> Self {
        self.options.args.extend([format!("--{name}"), value.to_owned()]);
        self
    }

    /// Takes the `redis-server` of the `PATH` where the one to be tested is built without TLS, which is noted: the test says
    /// nothing of that one then.
    pub fn with_tls(mut self) -> Self {
        self.options.of_path = !tls::has_tls(&binary());
        if !self.options.of_path {
            return self;
        }
        if !tls::has_tls(OF_PATH) {
            not_run::end("neither the server nor the `redis-server` of the PATH is built with TLS");
        }
        not_run::note("the server is built without TLS: run on the `redis-server` of the PATH instead");
        self
    }

    /// Arguments as they are.
    pub fn args(mut self, args: &[&str]) -> Self {
        self.options.args.extend(args.iter().map(|&arg| arg.to_owned()));
        self
    }

    /// Puts the server's wall clock into the test's hand, standing at `now` milliseconds since
    /// 1970. See [`Clock`] for what follows it and what does not.
    pub fn clock_ms(mut self, now: u64) -> Self {
        self.clock_ms = Some(now);
        self
    }

    /// Starts the server; returns once it answers.
    pub fn start(self) -> RedisServer {
        let mut last = None;
        for _ in 0..PORTS_TRIED {
            let folder = TempDir::with_prefix("tenure-test-").expect("a temporary folder");
            let clock = self.clock_ms.map(|now| Clock::new(folder.path(), now));
            let port = port::free();
            let options = self.options.clone();
            let synced = options.notes_what_is_synced.then(|| Synced::new(folder.path()));
            let mut server = RedisServer { options, port, process: None, clock, synced, folder };
            match server.launch() {
                Ok(()) => {
                    server.check_clock();
                    return server;
                }
                Err(failed) if failed.port_was_taken() => last = Some(failed),
                Err(failed) => panic!("{failed}"),
            }
        }
        panic!("{}", last.expect("at least one port was tried"));
    }
}

impl Options {
    fn binary(&self) -> String {
        if self.of_path { OF_PATH.to_owned() } else { binary() }
    }
}

/// The server exited before it answered.
#[derive(Debug, thiserror::Error)]
#[error("{} on port {port} ended at once ({status}):\n{log}", binary())]
struct StartFailed {
    port: u16,
    status: std::process::ExitStatus,
    log: String,
}

impl StartFailed {
    fn port_was_taken(&self) -> bool {
        self.log.contains("Address already in use")
    }
}

/// A path is taken from where the tests run, not from the server's folder. Links stay what they are: a program may be
/// one of several by the name it is called by.
pub(super) fn binary() -> String {
    let named = std::env::var("TENURE_TEST_SERVER").unwrap_or_else(|_| OF_PATH.to_owned());
    match std::path::absolute(&named) {
        Ok(path) if named.contains('/') => path.to_string_lossy().into_owned(),
        _ => named,
    }
}
