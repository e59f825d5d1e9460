//! A cluster of `redis-server` processes on the loopback.
//!
//! It is put together by commands: so it takes less time than `redis-cli --cluster create`, and needs none.

use std::time::Duration;

use super::port;
use super::server::{Builder, RedisServer};
use super::wait::wait_until;

/// How many slots a cluster has.
const SLOTS: usize = 16_384;

/// How long the nodes may take to agree.
const AGREED_WITHIN: Duration = Duration::from_secs(60);

/// How long a node that may be away has for one answer.
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);

/// A cluster takes writes two seconds after its start.
const WRITABLE_AFTER: u64 = 3_000;

/// Masters, then their replicas, in the same order.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<RedisServer>,
    masters: usize,
    /// Whether they speak TLS with each other, and announce the ports for that.
    is_encrypted: bool,
}

/// The address of a cluster of these nodes.
pub fn url<'a>(nodes: impl IntoIterator<Item = &'a RedisServer>) -> String {
    let hosts: Vec<_> = nodes.into_iter().map(|node| format!("127.0.0.1:{}", node.port())).collect();
    format!("redis+cluster://{}", hosts.join(","))
}

/// A node that has all slots, with its clock in the test's hand, standing at `now`.
pub fn alone(now: u64) -> RedisServer {
    // It is never to be taken for dead, wherever its clock goes.
    let node = node().option("cluster-node-timeout", "2000000000").clock_ms(now - WRITABLE_AFTER).start();
    let _: () = ask(&node, &["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    wait_until("the node has begun to count", AGREED_WITHIN, || {
        node.clock().set_ms(node.clock().now_ms());
        info(&node, "cluster_slots_assigned") == "16384"
    });
    let mut passed = 0;
    wait_until("the cluster takes writes", AGREED_WITHIN, || {
        passed = (passed + 100).min(WRITABLE_AFTER);
        node.clock().set_ms(now - WRITABLE_AFTER + passed);
        passed == WRITABLE_AFTER && info(&node, "cluster_state") == "ok"
    });
    node
}

fn node() -> Builder {
    RedisServer::builder()
        .option("cluster-enabled", "yes")
        .option("cluster-node-timeout", "1000")
        .option("cluster-port", &port::free().to_string())
        .option("repl-diskless-sync-delay", "0")
        .option("cluster-replica-validity-factor", "0")
}

impl RedisCluster {
    /// So many masters, each with so many replicas, that have agreed on their slots.
    pub fn start(masters: usize, replicas: usize) -> Self {
        Self::start_with(masters, replicas, &[])
    }

    /// The same, with options for each node.
    pub fn start_with(masters: usize, replicas: usize, options: &[(&str, &str)]) -> Self {
        let node = || options.iter().fold(node(), |node, (name, value)| node.option(name, value));
        let nodes = (0..masters * (1 + replicas)).map(|_| node().start()).collect();
        let cluster = Self { nodes, masters, is_encrypted: false };
        cluster.meet();
        cluster.share_out();
        cluster.follow();
        cluster
    }

    /// Two masters that are reached by TLS, and reach each other by it, with options for each that say what they show and trust.
    pub fn start_encrypted(options: &[(&str, &str)]) -> Self {
        let node = || {
            let port = port::free().to_string();
            let node = node().with_tls().option("tls-cluster", "yes").option("tls-port", &port);
            options.iter().fold(node, |node, (name, value)| node.option(name, value)).start()
        };
        let cluster = Self { nodes: vec![node(), node()], masters: 2, is_encrypted: true };
        cluster.meet();
        cluster.share_out();
        cluster
    }

    /// The address that names the masters.
    pub fn url(&self) -> String {
        if !self.is_encrypted {
            return url(&self.nodes[..self.masters]);
        }
        let hosts: Vec<_> = self.encrypted_ports().map(|port| format!("127.0.0.1:{port}")).collect();
        format!("rediss+cluster://{}", hosts.join(","))
    }

    /// The ports on which the masters speak TLS.
    pub fn encrypted_ports(&self) -> impl Iterator<Item = u16> {
        self.nodes[..self.masters].iter().map(|node| setting(node, "tls-port").parse().expect("a port"))
    }

    /// All nodes, masters first.
    pub fn nodes(&self) -> &[RedisServer] {
        &self.nodes
    }

    /// One of them, to be killed or paused.
    pub fn node_mut(&mut self, index: usize) -> &mut RedisServer {
        &mut self.nodes[index]
    }

    /// Adds a master without slots; its index.
    pub fn add_master(&mut self) -> usize {
        self.nodes.push(node().start());
        let added = self.nodes.len() - 1;
        self.introduce(&self.nodes[added]);
        let all = self.nodes.len().to_string();
        wait_until("all know the new node", AGREED_WITHIN, || {
            self.nodes.iter().all(|node| info(node, "cluster_known_nodes") == all)
                && info(&self.nodes[added], "cluster_state") == "ok"
        });
        added
    }

    /// The slots that a node has.
    pub fn slots_of(&self, index: usize) -> Vec<usize> {
        let id = self.id(index);
        let said: Vec<Vec<redis::Value>> = ask(&self.nodes[index], &["CLUSTER", "SLOTS"]);
        let own = said.iter().filter_map(|range| match &range[..] {
            [redis::Value::Int(first), redis::Value::Int(last), redis::Value::Array(master), ..] => {
                let is_own = matches!(&master[2], redis::Value::BulkString(name) if *name == id.as_bytes());
                is_own.then_some(*first as usize..=*last as usize)
            }
            other => panic!("not a range of slots: {other:?}"),
        });
        own.flatten().collect()
    }

    /// Moves a slot with all that is in it, as `redis-cli --cluster reshard` does.
    pub fn move_slot(&self, slot: usize, from: usize, to: usize) {
        self.begin_to_move(slot, from, to);
        self.finish_moving(slot, from, to);
    }

    /// The same up to where both nodes know, and no key has gone yet.
    pub fn open_to_move(&self, slot: usize, from: usize, to: usize) {
        let (slot, source, target) = (slot.to_string(), &self.nodes[from], &self.nodes[to]);
        let (from_id, to_id) = (self.id(from), self.id(to));
        let _: () = ask(target, &["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from_id]);
        let _: () = ask(source, &["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to_id]);
    }

    /// The same up to where all keys are there, and the slot is not.
    pub fn begin_to_move(&self, slot: usize, from: usize, to: usize) {
        self.open_to_move(slot, from, to);
        let (slot, source, target) = (slot.to_string(), &self.nodes[from], &self.nodes[to]);
        let port = target.port().to_string();
        loop {
            let keys: Vec<String> = ask(source, &["CLUSTER", "GETKEYSINSLOT", &slot, "10"]);
            if keys.is_empty() {
                break;
            }
            let mut migrate = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
            migrate.extend(keys.iter().map(String::as_str));
            let _: redis::Value = ask(source, &migrate);
        }
    }

    /// Gives a slot away that has no keys any more.
    pub fn finish_moving(&self, slot: usize, from: usize, to: usize) {
        let (slot, id) = (slot.to_string(), self.id(to));
        for node in [&self.nodes[to], &self.nodes[from]] {
            let _: () = ask(node, &["CLUSTER", "SETSLOT", &slot, "NODE", &id]);
        }
    }

    /// Has the node itself move a slot as a whole, while it goes on serving it.
    pub fn migrate_slot(&self, slot: usize, from: usize, to: usize) {
        let (slot, id) = (slot.to_string(), self.id(to));
        let moves = ["CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", &slot, &slot, "NODE", &id];
        let _: () = ask(&self.nodes[from], &moves);
        wait_until("the slot is there", AGREED_WITHIN, || self.slots_of(to).contains(&slot.parse().unwrap()));
    }

    /// How often a node was called with a command.
    pub fn calls(&self, node: usize, command: &str) -> u64 {
        let said: String = ask(&self.nodes[node], &["INFO", "commandstats"]);
        let of = format!("cmdstat_{command}:calls=");
        let line = said.lines().find_map(|line| line.strip_prefix(of.as_str())?.split(',').next());
        line.map_or(0, |calls| calls.parse().expect("a number"))
    }

    /// Waits until so many nodes are masters with slots, and all is well.
    pub fn wait_until_whole(&self, masters: usize) {
        let masters = masters.to_string();
        wait_until("the cluster is whole", AGREED_WITHIN, || {
            self.nodes
                .iter()
                .filter(|node| node.is_running())
                .all(|node| info(node, "cluster_state") == "ok" && info(node, "cluster_size") == masters)
        });
    }

    /// Has every node do something.
    pub fn tell_all(&self, command: &[&str]) {
        for node in &self.nodes {
            let _: redis::Value = ask(node, command);
        }
    }

    /// Whether a node takes writes.
    pub fn is_master(&self, index: usize) -> bool {
        let role: Vec<redis::Value> = ask(&self.nodes[index], &["ROLE"]);
        matches!(&role[0], redis::Value::BulkString(role) if role == b"master")
    }

    /// Which master a slot is given to in the beginning, of so many.
    pub fn master_of(slot: usize, masters: usize) -> usize {
        (slot * masters + masters - 1) / SLOTS
    }

    /// Kills the node that is the master of what the master `shard` had in the beginning; which it was.
    pub fn kill_master(&mut self, shard: usize) -> usize {
        let master = self.wait_for_master(shard);
        self.nodes[master].kill();
        master
    }

    /// Waits until the other of two, a master and its replica, has the place of `old`, and the living know it.
    pub fn wait_for_failover_from(&self, old: usize) {
        wait_until("its replica takes over", AGREED_WITHIN, || self.serves(self.other(old)));
    }

    /// Starts a node again that was killed, as the one that follows the other. What it has is old, so nobody may promote it
    /// before it has caught up.
    pub fn revive(&mut self, node: usize) {
        self.nodes[node].restart_with("cluster-replica-no-failover", "yes");
        let shard = node % self.masters;
        wait_until("one follows the other", AGREED_WITHIN, || self.follower_of(shard).is_some());
        let _: () = ask(&self.nodes[node], &["CONFIG", "SET", "cluster-replica-no-failover", "no"]);
    }

    /// Has the replica of a master take its place, in order; the master knows it when this returns.
    pub fn fail_over(&self, shard: usize) {
        let old = self.wait_for_master(shard);
        let new = self.other(old);
        wait_until("the replica takes the order", AGREED_WITHIN, || {
            try_ask::<String>(&self.nodes[new], &["CLUSTER", "FAILOVER"]).is_some()
        });
        wait_until("the replica takes over", AGREED_WITHIN, || self.serves(new) && !self.serves(old));
    }

    /// Waits until each master has a replica that follows, and all nodes know all of them to be there.
    pub fn wait_until_each_is_followed(&self) {
        wait_until("each master is followed", AGREED_WITHIN, || {
            (0..self.masters).all(|shard| self.follower_of(shard).is_some())
                && self.nodes.iter().all(|node| self.knows_all(node))
        });
    }

    /// The highest epoch that any node has heard of: each election has one of its own.
    pub fn epoch(&self) -> u64 {
        let living = self.nodes.iter().filter(|node| node.is_running());
        living.filter_map(|node| info(node, "cluster_current_epoch").parse().ok()).max().expect("one answers")
    }

    /// The node that serves what the master `shard` had in the beginning.
    fn wait_for_master(&self, shard: usize) -> usize {
        let mut found = None;
        wait_until("one of two is the master", AGREED_WITHIN, || {
            found = [shard, self.other(shard)].into_iter().find(|node| self.serves(*node));
            found.is_some()
        });
        found.expect("one is")
    }

    /// A master's replica, or a replica's master.
    fn other(&self, node: usize) -> usize {
        (node + self.masters) % self.nodes.len()
    }

    /// Whether a node is a master and knows itself to be one: who was away takes no writes until it has heard the others.
    fn serves(&self, node: usize) -> bool {
        let node = &self.nodes[node];
        let role: Option<Vec<redis::Value>> = node.is_running().then(|| try_ask(node, &["ROLE"])).flatten();
        let is_master = role.is_some_and(|role| role[0] == redis::Value::BulkString(b"master".to_vec()));
        is_master && try_info(node, "cluster_state").is_some_and(|state| state == "ok")
    }

    /// The replica of a master, if it has all that its master has.
    fn follower_of(&self, shard: usize) -> Option<usize> {
        let pair = [shard, self.other(shard)];
        let master = pair.into_iter().find(|node| self.serves(*node))?;
        let replica = self.other(master);
        let said: String = try_ask(&self.nodes[replica], &["INFO", "replication"])?;
        let follows = said.contains("master_link_status:up") && self.nodes[master].is_followed();
        follows.then_some(replica)
    }

    /// Whether a node takes each to be there, half of them as replicas.
    fn knows_all(&self, node: &RedisServer) -> bool {
        let said: Option<String> = try_ask(node, &["CLUSTER", "NODES"]);
        let said = said.unwrap_or_default();
        let flags: Vec<_> = said.lines().filter_map(|line| line.split(' ').nth(2)).collect();
        let replicas = flags.iter().filter(|flags| flags.contains("slave")).count();
        replicas == self.nodes.len() - self.masters && !flags.iter().any(|flags| flags.contains("fail"))
    }

    /// What the cluster calls a node.
    fn id(&self, index: usize) -> String {
        ask(&self.nodes[index], &["CLUSTER", "MYID"])
    }

    fn meet(&self) {
        for (epoch, node) in self.nodes.iter().enumerate() {
            let epoch = (epoch + 1).to_string();
            let _: () = ask(node, &["CLUSTER", "SET-CONFIG-EPOCH", &epoch]);
        }
        for node in &self.nodes[1..] {
            self.introduce(node);
        }
        let all = self.nodes.len().to_string();
        wait_until("all nodes know each other", AGREED_WITHIN, || {
            self.nodes.iter().all(|node| info(node, "cluster_known_nodes") == all)
        });
    }

    /// Makes the first node known to another, which tells the rest.
    fn introduce(&self, node: &RedisServer) {
        let first = &self.nodes[0];
        let port = if self.is_encrypted { setting(first, "tls-port") } else { first.port().to_string() };
        let _: () = ask(node, &["CLUSTER", "MEET", "127.0.0.1", &port, &setting(first, "cluster-port")]);
    }

    fn share_out(&self) {
        for (index, node) in self.nodes[..self.masters].iter().enumerate() {
            let first = (index * SLOTS / self.masters).to_string();
            let last = ((index + 1) * SLOTS / self.masters - 1).to_string();
            let _: () = ask(node, &["CLUSTER", "ADDSLOTSRANGE", &first, &last]);
        }
        self.wait_until_whole(self.masters);
    }

    fn follow(&self) {
        for (index, replica) in self.nodes.iter().enumerate().skip(self.masters) {
            let id = self.id(index % self.masters);
            let _: () = ask(replica, &["CLUSTER", "REPLICATE", &id]);
        }
        let replicas = (self.nodes.len() - self.masters) / self.masters;
        for master in &self.nodes[..self.masters] {
            master.wait_for_replicas(replicas);
        }
    }
}

fn setting(node: &RedisServer, name: &str) -> String {
    let mut config: Vec<String> = ask(node, &["CONFIG", "GET", name]);
    config.pop().expect("a name and a value")
}

/// One field of `CLUSTER INFO`.
fn info(node: &RedisServer, field: &str) -> String {
    field_of(&ask::<String>(node, &["CLUSTER", "INFO"]), field)
}

/// The same of a node that may be away.
fn try_info(node: &RedisServer, field: &str) -> Option<String> {
    Some(field_of(&try_ask::<String>(node, &["CLUSTER", "INFO"])?, field))
}

fn field_of(said: &str, field: &str) -> String {
    let value = said.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    value.unwrap_or_default().trim().to_owned()
}

/// An answer, if the node gives one.
fn try_ask<T: redis::FromRedisValue>(node: &RedisServer, command: &[&str]) -> Option<T> {
    let mut connection = node.client().get_connection_with_timeout(ANSWERED_WITHIN).ok()?;
    connection.set_read_timeout(Some(ANSWERED_WITHIN)).ok()?;
    redis::cmd(command[0]).arg(&command[1..]).query(&mut connection).ok()
}

fn ask<T: redis::FromRedisValue>(node: &RedisServer, command: &[&str]) -> T {
    let mut connection = node.client().get_connection().expect("the node answers");
    let mut asked = redis::cmd(command[0]);
    asked.arg(&command[1..]);
    asked.query(&mut connection).unwrap_or_else(|err| panic!("{command:?}: {err}"))
}
