//! The store on a Redis server of its own, whose clock is held.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use redis::AsyncCommands;
use tenure::{
    model::{Millis, Partition, Pool, ReplyTo, SessionId, WorkerId},
    store::{
        Hint, Listener, RedisStore, Snapshot,
        memory::Meddling,
        redis::{Options, RedisListener, Scripts, SessionKeys},
    },
};

use super::ground::{Ground, START, settings};
use crate::support::{RedisServer, cluster};

/// How long a hint may be under way.
const PATIENCE: Duration = Duration::from_secs(10);

/// The store on Redis.
pub struct OnRedis {
    store: RedisStore,
    server: RedisServer,
    marks: AtomicU64,
}

impl OnRedis {
    /// An empty one.
    pub async fn start() -> Self {
        Self::start_with(Scripts::embedded()).await
    }

    /// An empty one that runs these scripts.
    pub async fn start_with(scripts: Scripts) -> Self {
        let server = RedisServer::builder().clock_ms(START.0).start();
        let url = server.url();
        Self::at(server, url, scripts).await
    }

    /// An empty one on a cluster of one node, which has all slots: it is as strict about them as any.
    pub async fn start_clustered() -> Self {
        let node = cluster::alone(START.0);
        let url = cluster::url([&node]);
        Self::at(node, url, Scripts::embedded()).await
    }

    async fn at(server: RedisServer, url: String, scripts: Scripts) -> Self {
        let options = Options {
            namespace: "contract".parse().expect("a good name"),
            settings: settings(),
            scripts,
            ..Options::new(url)
        };
        let store = RedisStore::connect(options).await.expect("the server answers");
        Self { store, server, marks: AtomicU64::new(0) }
    }

    async fn connection(&self) -> redis::aio::MultiplexedConnection {
        self.server.client().get_multiplexed_async_connection().await.expect("the server answers")
    }

    /// The pool of a session, and who owns it.
    async fn pool_and_owner(&self, keys: &SessionKeys<'_>) -> (Pool, Option<String>) {
        let fields: (Option<String>, Option<String>) =
            self.connection().await.hmget(keys.meta(), &["pool", "token"][..]).await.expect("it is a hash");
        let owner = fields.1.and_then(|token| token.split_once('|').map(|(worker, _)| worker.to_owned()));
        (fields.0.map(|pool| pool.parse().expect("a good pool")).unwrap_or_default(), owner)
    }
}

impl Ground for OnRedis {
    type Store = RedisStore;

    fn store(&self) -> &RedisStore {
        &self.store
    }

    fn now(&self) -> Millis {
        Millis(self.server.clock().now_ms())
    }

    fn set_clock(&self, now: Millis) {
        self.server.clock().set_ms(now.0);
    }

    async fn snapshot(&self) -> Snapshot {
        self.store.snapshot().await.expect("the server answers")
    }

    async fn meddle(&self, session: &SessionId, how: Meddling) {
        let keys = self.store.keys().session(session);
        let partition = keys.partition();
        let (pool, owner) = self.pool_and_owner(&keys).await;
        let name = session.as_str();
        let mut connection = self.connection().await;
        let mut command = redis::Cmd::new();
        match how {
            Meddling::DeleteOwn => command.arg("DEL").arg(keys.own()),
            Meddling::LeaveReady => command.arg("ZREM").arg(keys.ready(&pool)).arg(name),
            Meddling::EnterReady => command.arg("ZADD").arg(keys.ready(&pool)).arg(self.now().0).arg(name),
            Meddling::LeaveTimers => command.arg("ZREM").arg(partition.timers()).arg(name),
            Meddling::EnterTimers => command.arg("ZADD").arg(partition.timers()).arg(1).arg(name),
            Meddling::LeaveHeld => {
                let owner = owner.expect("it has an owner").parse().expect("a good worker");
                command.arg("SREM").arg(partition.held(&owner)).arg(name)
            }
            Meddling::LeaveIndex => command.arg("ZREM").arg(partition.index()).arg(name),
            Meddling::NewerVersion => command.arg("HSET").arg(keys.meta()).arg("v").arg(2),
            Meddling::SpoilBody => {
                let head: String = connection.lindex(keys.inbox(), 0).await.expect("there is mail");
                let (header, _) = head.split_once('\n').expect("a header");
                command.arg("LSET").arg(keys.inbox()).arg(0).arg(format!("{header}\n[1]"))
            }
            Meddling::NewerMail => {
                command.arg("LSET").arg(keys.inbox()).arg(0).arg("{\"v\":2,\"of\":\"later\"}\n{}")
            }
        };
        command.exec_async(&mut connection).await.expect("the server does it");
    }

    async fn occupy(&self, key: &ReplyTo) {
        let mut connection = self.connection().await;
        connection.set::<_, _, ()>(key.as_str(), "taken").await.expect("the server does it");
    }

    /// Publishes a mark of its own: what was published before it comes in before it.
    async fn heard(&self, worker: &WorkerId, listener: &mut RedisListener) -> Vec<Hint> {
        let mark = format!("mark/{}", self.marks.fetch_add(1, Ordering::Relaxed));
        let channel = self.store.keys().partition(Partition(0)).wake(worker);
        let mut publish = redis::cmd("SPUBLISH");
        publish.arg(channel).arg(format!("o {mark}"));
        publish.exec_async(&mut self.connection().await).await.expect("the server does it");
        let mark = Hint::Offer { session: mark.parse().expect("a good session") };
        let mut heard = Vec::new();
        loop {
            let next = tokio::time::timeout(PATIENCE, listener.recv()).await;
            match next.expect("what was published comes in") {
                hint if hint == mark => return heard,
                hint => heard.push(hint),
            }
        }
    }
}
