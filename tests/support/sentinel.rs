//! A primary, its replica, and three sentinels of the test's own that watch them.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use super::port;
use super::process::{guarded, signal, spawn_from_lasting_thread};
use super::server::{RedisServer, binary};
use super::wait::wait_until;

/// How long a step may take on a machine that is busy with everything else.
const WITHIN: Duration = Duration::from_secs(60);

/// How many sentinels there are, and how many of them must agree that the primary is down.
const SENTINELS: usize = 3;
const QUORUM: usize = 2;

/// A replica's usual priority; one of 0 is never promoted.
pub const PROMOTABLE: &str = "100";

/// What the sentinels call the primary.
pub const NAME: &str = "main";

/// Two servers, one of which follows the other, and those who watch them.
#[derive(Debug)]
pub struct Watched {
    pub servers: [RedisServer; 2],
    pub sentinels: Vec<Sentinel>,
}

/// A running sentinel, or one that was killed.
#[derive(Debug)]
pub struct Sentinel {
    port: u16,
    process: Option<Child>,
    folder: TempDir,
}

impl Watched {
    /// Starts all of them; returns once they know each other. A primary that does not answer is left alone.
    pub fn start() -> Self {
        Self::start_with(Duration::from_secs(600))
    }

    /// Starts all of them; returns once they know each other. A primary that does not answer for `down_after` is replaced: on a
    /// busy machine also one that only was slow.
    pub fn start_with(down_after: Duration) -> Self {
        let primary = RedisServer::builder().option("repl-diskless-sync-delay", "0").start();
        let replica =
            RedisServer::builder().option("repl-diskless-sync-delay", "0").replica_of(&primary).start();
        primary.wait_for_replicas(1);
        let sentinels =
            (0..SENTINELS).map(|_| Sentinel::start(&binary(), primary.port(), down_after, &[])).collect();
        let watched = Self { servers: [primary, replica], sentinels };
        watched.wait_until_ready();
        watched
    }

    /// Where clients connect.
    pub fn url(&self) -> String {
        let hosts: Vec<_> =
            self.sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port)).collect();
        format!("redis+sentinel://{}/{NAME}", hosts.join(","))
    }

    /// Which of the servers the sentinels name; none while they do not agree.
    pub fn primary(&self) -> Option<usize> {
        let named = self.sentinels.iter().filter(|sentinel| sentinel.process.is_some());
        let named: Vec<_> = named.map(Sentinel::names).collect();
        let first = *named.first()?;
        let port = first.filter(|_| named.iter().all(|other| *other == first))?;
        self.servers.iter().position(|server| server.port() == port)
    }

    /// Which of the servers the sentinels name, when they agree.
    pub fn wait_for_primary(&self) -> usize {
        let mut found = None;
        wait_until("the sentinels agree", WITHIN, || {
            found = self.primary();
            found.is_some()
        });
        found.expect("they agree")
    }

    /// Kills the primary at once; which it was.
    pub fn kill_primary(&mut self) -> usize {
        let primary = self.wait_for_primary();
        self.servers[primary].kill();
        primary
    }

    /// Waits until the other server is the primary.
    pub fn wait_for_failover_from(&self, old: usize) {
        wait_until("another is the primary", WITHIN, || self.primary().is_some_and(|primary| primary != old));
    }

    /// Starts a server again that was killed, as the one that follows the other. What it has on its disk is old, so nobody may
    /// promote it before it has caught up.
    pub fn revive(&mut self, server: usize) {
        let other = self.servers[1 - server].port();
        self.servers[server].restart_as_replica_of(other);
        // Whichever of them is the primary by then.
        wait_until("one follows the other", WITHIN, || self.servers.iter().any(RedisServer::is_followed));
        self.servers[server].may_be_promoted();
    }

    /// Makes the other server the primary by hand; which was it before. The sentinels agree when this returns.
    pub fn fail_over(&self) -> usize {
        let old = self.wait_for_primary();
        let mut order = redis::cmd("SENTINEL");
        order.arg("FAILOVER").arg(NAME);
        wait_until("a sentinel takes the order", WITHIN, || {
            self.sentinels[0].ask::<String>(&order).is_some()
        });
        self.wait_for_failover_from(old);
        old
    }

    /// How many elections there were, as far as the sentinels know.
    pub fn elections(&self) -> u64 {
        self.sentinels.iter().filter_map(Sentinel::elections).max().expect("one answers")
    }

    /// Waits until each sentinel knows the others and a replica that may be promoted.
    pub fn wait_until_ready(&self) {
        wait_until("the sentinels know what they watch", WITHIN, || {
            self.sentinels.iter().all(Sentinel::is_ready)
        });
    }
}

impl Sentinel {
    /// Starts one of `binary` that watches the server at `primary`, with `more` lines in its configuration.
    pub fn start(binary: &str, primary: u16, down_after: Duration, more: &[&str]) -> Self {
        let folder = TempDir::with_prefix("tenure-test-").expect("a temporary folder");
        let port = port::free();
        let text = format!(
            "port {port}\nbind 127.0.0.1\ndaemonize no\nlogfile sentinel.log\n\
             sentinel monitor {NAME} 127.0.0.1 {primary} {QUORUM}\n\
             sentinel down-after-milliseconds {NAME} {}\nsentinel failover-timeout {NAME} 5000\n{}\n",
            down_after.as_millis(),
            more.join("\n")
        );
        fs::write(folder.path().join("sentinel.conf"), text).expect("the folder can be written");
        let mut sentinel = Self { port, process: None, folder };
        sentinel.launch(binary);
        sentinel
    }

    fn launch(&mut self, binary: &str) {
        let folder = self.folder.path();
        let mut command = guarded(binary);
        command.args(["sentinel.conf", "--sentinel"]).current_dir(folder);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.process = Some(spawn_from_lasting_thread(command).expect("a sentinel can be started"));
        wait_until("the sentinel answers", WITHIN, || self.ask::<String>(&redis::cmd("PING")).is_some());
        // Faster than every ten and every two seconds, so that they know each other soon. Older servers know no such order.
        let mut hasten = redis::cmd("SENTINEL");
        hasten.arg("DEBUG").arg("info-period").arg(500).arg("publish-period").arg(500);
        _ = self.ask::<String>(&hasten);
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder of its log.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Stops it where it is (`SIGSTOP`): whoever connects is never answered.
    pub fn pause(&self) {
        signal("STOP", self.process.as_ref().expect("it runs").id());
    }

    /// Lets it go on (`SIGCONT`).
    pub fn resume(&self) {
        signal("CONT", self.process.as_ref().expect("it runs").id());
    }

    /// Kills it at once.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("our own child can be killed");
            process.wait().expect("our own child can be awaited");
        }
    }

    /// The port of the primary, as it says.
    fn names(&self) -> Option<u16> {
        let mut ask = redis::cmd("SENTINEL");
        let named: (String, u16) = self.ask(ask.arg("GET-MASTER-ADDR-BY-NAME").arg(NAME))?;
        Some(named.1)
    }

    fn elections(&self) -> Option<u64> {
        let mut ask = redis::cmd("SENTINEL");
        let known: HashMap<String, String> = self.ask(ask.arg("MASTER").arg(NAME))?;
        known.get("config-epoch")?.parse().ok()
    }

    fn is_ready(&self) -> bool {
        self.knows_others().unwrap_or(false) && self.knows_replica().unwrap_or(false)
    }

    fn knows_others(&self) -> Option<bool> {
        let mut ask = redis::cmd("SENTINEL");
        let known: HashMap<String, String> = self.ask(ask.arg("MASTER").arg(NAME))?;
        let others: usize = known.get("num-other-sentinels")?.parse().ok()?;
        Some(others == SENTINELS - 1 && known.get("flags")? == "master")
    }

    fn knows_replica(&self) -> Option<bool> {
        let mut ask = redis::cmd("SENTINEL");
        let known: Vec<HashMap<String, String>> = self.ask(ask.arg("REPLICAS").arg(NAME))?;
        Some(known.iter().any(|replica| {
            replica.get("flags").is_some_and(|flags| flags == "slave")
                && replica.get("master-link-status").is_some_and(|status| status == "ok")
                && replica.get("slave-priority").is_some_and(|priority| priority == PROMOTABLE)
                && replica.get("slave-repl-offset").is_some_and(|offset| offset != "0")
        }))
    }

    /// An answer, if it gives one.
    fn ask<T: redis::FromRedisValue>(&self, command: &redis::Cmd) -> Option<T> {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.port)).expect("a good address");
        let mut conn = client.get_connection_with_timeout(Duration::from_secs(1)).ok()?;
        conn.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
        command.query(&mut conn).ok()
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            let log = fs::read_to_string(self.folder.path().join("sentinel.log")).unwrap_or_default();
            eprintln!("--- log of the sentinel on port {}\n{log}", self.port);
        }
    }
}
