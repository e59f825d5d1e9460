//! A cluster of a few masters, what is in it, and whose it is.

use std::time::Duration;

use futures_util::future::join_all;
use tenure::{
    model::{Partition, ReplyTo},
    store::{
        OutReply, RedisStore, Store,
        redis::{Options, REPLIES, Rights, Role},
    },
};

use crate::{
    slot,
    support::{RedisCluster, RedisServer},
};

/// A cluster of a few masters, and its store.
pub struct Scene {
    pub cluster: RedisCluster,
    masters: usize,
    pub store: RedisStore,
}

impl Scene {
    pub async fn start() -> Self {
        Self::of(RedisCluster::start(2, 0), 2).await
    }

    /// Three, of which two go on without the third.
    pub async fn of_three() -> Self {
        let options = [("cluster-require-full-coverage", "no")];
        Self::of(RedisCluster::start_with(3, 0, &options), 3).await
    }

    async fn of(cluster: RedisCluster, masters: usize) -> Self {
        let store = store_at(&cluster.url()).await;
        Self { cluster, masters, store }
    }

    /// The same namespace for a user with a worker's rights and no more.
    pub async fn store_of_a_worker(&self) -> RedisStore {
        let hosts = self.cluster.url().replace("redis+cluster://", "");
        let url = format!("redis+cluster://worker:secret@{hosts}");
        let rights = Rights::of(Role::Worker, &Options::new(&url), &[REPLIES]).expect("a worker's");
        let mut line = rights.line("worker");
        line.push_str(" >secret");
        self.cluster.tell_all(&line.split(' ').collect::<Vec<_>>());
        store_at(&url).await
    }

    pub fn master_of(&self, key: &str) -> usize {
        RedisCluster::master_of(slot(key), self.masters)
    }

    pub fn node_of(&self, key: &str) -> &RedisServer {
        &self.cluster.nodes()[self.master_of(key)]
    }

    pub async fn ask<T: redis::FromRedisValue>(&self, key: &str, command: &redis::Cmd) -> T {
        let config = redis::AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_secs(20)));
        let node = self.node_of(key).client();
        let mut node =
            node.get_multiplexed_async_connection_with_config(&config).await.expect("the node answers");
        command.query_async(&mut node).await.expect("it does")
    }

    /// A partition that this master has.
    pub fn partition_on(&self, master: usize) -> Partition {
        let out = |partition| self.store.keys().partition(partition).out();
        let is_there = |at: &Partition| self.master_of(&out(*at)) == master;
        self.store.partitions().all().find(is_there).expect("partitions are spread")
    }

    /// Writes a reply to `out`, by nobody that is there.
    pub async fn written(&self, at: Partition, to: &str, payload: &str) -> OutReply {
        let out = self.store.keys().partition(at).out();
        let mut add = redis::cmd("XADD");
        add.arg(&out).arg("*").arg("to").arg(to).arg("payload").arg(payload).arg("time").arg(1);
        let id: String = self.ask(&out, &add).await;
        OutReply { id: id.parse().expect("an id"), to: list(to), payload: payload.to_owned() }
    }

    pub async fn left(&self, at: Partition) -> usize {
        let out = self.store.keys().partition(at).out();
        self.ask(&out, redis::cmd("XLEN").arg(&out)).await
    }

    pub async fn taken(&self, to: &str) -> Vec<String> {
        let mut taken = Vec::new();
        while let Some(reply) = self.store.take_reply(&list(to), Duration::ZERO).await.expect("it answers") {
            taken.push(reply);
        }
        taken
    }

    pub async fn dead(&self, at: Partition) -> usize {
        self.store.dead(at, None, 10).await.expect("it answers").len()
    }

    /// How many pushes the masters have seen.
    pub async fn pushes(&self) -> u64 {
        let counts = join_all(["{a}", "{b}"].map(|key| async move {
            let said: String = self.ask(key, redis::cmd("INFO").arg("commandstats")).await;
            let line =
                said.lines().find_map(|line| line.strip_prefix("cmdstat_rpush:calls=")?.split(',').next());
            line.map_or(0, |calls| calls.parse().expect("a number"))
        }));
        assert_ne!(RedisCluster::master_of(slot("{a}"), 2), RedisCluster::master_of(slot("{b}"), 2));
        counts.await.into_iter().sum()
    }
}

pub async fn store_at(url: &str) -> RedisStore {
    let options = Options { timeout: Duration::from_secs(20), ..Options::new(url) };
    RedisStore::connect(options).await.expect("the cluster answers")
}

pub fn list(name: &str) -> ReplyTo {
    name.parse().expect("a good list")
}
