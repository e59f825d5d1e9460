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

/// A cluster takes writes two seconds after its start.
const WRITABLE_AFTER: u64 = 3_000;

/// Masters, then their replicas, in the same order.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<RedisServer>,
    masters: usize,
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
        let nodes = (0..masters * (1 + replicas)).map(|_| node().start()).collect();
        let cluster = Self { nodes, masters };
        cluster.meet();
        cluster.share_out();
        cluster.follow();
        cluster
    }

    /// The address that names the masters.
    pub fn url(&self) -> String {
        url(&self.nodes[..self.masters])
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

    /// The same up to where all keys are there, and the slot is not.
    pub fn begin_to_move(&self, slot: usize, from: usize, to: usize) {
        let (slot, source, target) = (slot.to_string(), &self.nodes[from], &self.nodes[to]);
        let (from_id, to_id) = (self.id(from), self.id(to));
        let _: () = ask(target, &["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from_id]);
        let _: () = ask(source, &["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to_id]);
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
        let config: Vec<String> = ask(first, &["CONFIG", "GET", "cluster-port"]);
        let port = first.port().to_string();
        let _: () = ask(node, &["CLUSTER", "MEET", "127.0.0.1", &port, &config[1]]);
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

/// One field of `CLUSTER INFO`.
fn info(node: &RedisServer, field: &str) -> String {
    let said: String = ask(node, &["CLUSTER", "INFO"]);
    let value = said.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    value.unwrap_or_default().trim().to_owned()
}

fn ask<T: redis::FromRedisValue>(node: &RedisServer, command: &[&str]) -> T {
    let mut connection = node.client().get_connection().expect("the node answers");
    let mut asked = redis::cmd(command[0]);
    asked.arg(&command[1..]);
    asked.query(&mut connection).unwrap_or_else(|err| panic!("{command:?}: {err}"))
}
