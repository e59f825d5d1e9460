//! The store on Redis 7.0 and up, or Valkey 7.2 and up.
//!
//! One atomic operation is one Lua file in `lua/`, where its contract stands; here a method names the
//! keys, calls the script and reads the reply. [`Keys`] builds all names, [`Scripts`] holds the texts.
//!
//! # Connections
//! A *lane* is one multiplexed connection that is rebuilt when it breaks or does not answer
//! in time. There is one for messages and commits, one for leases and upkeep, which must never queue
//! behind those, and one for reads. Writes of a durability class above `memory` have a *commit lane* of their own. What blocks has connections of its own, hints come in
//! on another, and administration goes through a pool. Each connection looks at
//! who answers before its first use, and refuses a replica. Behind sentinels it asks them first, and is left when another
//! server becomes the primary: a *term* ends, and all connections of it with it.

mod across;
mod admin;
mod ask;
mod class_checks;
mod cluster;
mod cluster_checks;
mod commit_group;
mod commit_lane;
mod deliveries;
mod doctor;
mod door;
mod errors;
mod follow;
mod keys;
mod lanes;
mod listener;
mod masters;
mod merged;
mod namespace;
mod overwritten;
mod ownership;
mod pulse;
mod reading;
mod records;
mod replicated;
mod replies;
mod rights;
mod rounds;
mod rows;
mod scripts;
mod seeds;
mod sentinel;
mod sentinel_checks;
mod slots;
mod snapshot;
mod store;
mod switch;
mod target;
mod term;
mod tls;
mod topology;
mod turn;
mod upkeep;
mod vital;
mod waiting;
mod waits;
mod workers;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

pub use self::{
    class_checks::class_checks,
    doctor::{CONNECTION, Check, CheckStatus, MASTER_AWAY, announce_lapses, checks},
    errors::{is_moving, lacks_master},
    keys::{Keys, PartitionKeys, SessionKeys},
    listener::RedisListener,
    overwritten::Overwritten,
    pulse::{Pulse, Queue, ServerPulse},
    rights::{REPLIES, Rights, Role},
    scripts::Scripts,
    target::Server,
    tls::{BadTls, Identity, Tls},
};
use self::{
    deliveries::Going,
    masters::{Masters, Traffic},
    rounds::Rounds,
    rows::Unreadable,
    seeds::Seeds,
    target::Target,
};
#[cfg(feature = "fuzzing")]
pub(crate) use self::{ownership::any_claim, records::any_record};
use super::{StoreError, StoreResult};
use crate::model::{AgentName, Limits, Namespace, Partitions, Pool, Settings};

/// How a store reaches its server.
#[derive(Clone)]
pub struct Options {
    /// `redis://[user:password@]host[:port][/db]`, `rediss://` for TLS, or `unix:///path[?db=…&user=…&pass=…]`; behind
    /// sentinels `redis+sentinel://[user:password@]host[:port],…/name[/db][?sentinel_user=…&sentinel_password=…]`, or
    /// `rediss+sentinel://` where both they and Redis are reached by TLS; of a cluster some nodes,
    /// `redis+cluster://[user:password@]host[:port],…`, or `rediss+cluster://`.
    pub url: String,
    /// Whom a `rediss://` connection trusts, and what it shows of itself.
    pub tls: Tls,
    /// The namespace.
    pub namespace: Namespace,
    /// What the namespace's settings are taken for if it has none yet.
    pub settings: Settings,
    /// How long a connection may take to be made, and any single answer to come.
    pub timeout: Duration,
    /// What the server is to run; tests plant faults in it.
    #[doc(hidden)]
    pub scripts: Scripts,
}

impl Options {
    /// How long an answer may take, unless said otherwise.
    pub const TIMEOUT: Duration = Duration::from_secs(5);

    /// The defaults, for the server at `url`.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            tls: Tls::default(),
            namespace: Namespace::default(),
            settings: Settings::default(),
            timeout: Self::TIMEOUT,
            scripts: Scripts::embedded(),
        }
    }

    /// Whether the address is one, and the certificates fit it.
    ///
    /// Fails with [`StoreError::Refused`] if not.
    pub fn check(&self) -> StoreResult<()> {
        self.target().map(drop)
    }

    /// What opens connections to the server, for programs that have business there besides the namespace: behind sentinels,
    /// to the one that is the primary now.
    ///
    /// Fails with [`StoreError::Refused`] at an address that is none, and with [`StoreError::Unavailable`] where no
    /// sentinel names a primary.
    pub async fn client(&self) -> StoreResult<redis::Client> {
        if self.is_cluster() {
            return Err(StoreError::Refused(
                "this wants one server, and --redis (TENURE_REDIS) names a cluster: name a server by itself"
                    .to_owned(),
            ));
        }
        Ok(self.target()?.client().await?.0)
    }

    fn is_cluster(&self) -> bool {
        Seeds::of(&self.url).is_some()
    }

    /// What leads to the server; of a cluster to the node that is named first.
    fn target(&self) -> StoreResult<Target> {
        if let Some(seeds) = Seeds::of(&self.url) {
            return Ok(seeds.targets(self)?.remove(0));
        }
        Target::new(&self.url, &self.tls, self.timeout, self.scripts.clone())
    }
}

/// Without the address: it may hold a password.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { namespace, settings, timeout, .. } = self;
        f.debug_struct("Options")
            .field("namespace", namespace)
            .field("settings", settings)
            .field("timeout", timeout)
            .finish_non_exhaustive()
    }
}

/// A namespace held in Redis. Clones share their connections.
#[derive(Clone)]
pub struct RedisStore {
    shared: Arc<Shared>,
}

struct Shared {
    keys: Keys,
    configured: bool,
    limits: Mutex<Limits>,
    scripts: Scripts,
    masters: Masters,
    deliveries: Rounds<Going, bool>,
    unreadable: Unreadable,
    /// The pool that an agent's sessions were last seen in: where no caller can name it, the first guess.
    pools: Mutex<BTreeMap<AgentName, Pool>>,
}

impl RedisStore {
    /// Connects, and takes the namespace's settings as they stand there, else those of `options`.
    ///
    /// Fails with [`StoreError::Refused`] at a replica, with [`StoreError::Forbidden`] at a wrong password, with
    /// [`StoreError::Unreadable`] where a newer version wrote the settings, and with
    /// [`StoreError::Unavailable`] if nobody answers.
    pub async fn connect(options: Options) -> StoreResult<Self> {
        let masters = Masters::connect(&options).await?;
        let Options { namespace, settings, scripts, .. } = options;
        let scripts = if masters.is_cluster() { scripts.guarded() } else { scripts };
        let keys = |partitions| Keys::new(namespace.clone(), Partitions::new(&namespace, partitions));
        let found = namespace::settings(&masters, Traffic::Reads, &keys(1).conf()).await?;
        if let Some(found) = &found
            && found.layout != Settings::LAYOUT
        {
            let why = format!("layout {}, where this version reads {}", found.layout, Settings::LAYOUT);
            return Err(StoreError::unreadable(format!("namespace {namespace}"), why));
        }
        let configured = found.is_some();
        let settings = found.unwrap_or(settings);
        let shared = Shared {
            configured,
            keys: keys(settings.partitions),
            limits: Mutex::new(settings.limits),
            scripts,
            masters,
            deliveries: Rounds::default(),
            unreadable: Unreadable::default(),
            pools: Mutex::default(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The names of its keys.
    pub fn keys(&self) -> &Keys {
        &self.shared.keys
    }

    /// Whether the namespace had settings when this store connected: then these are its own.
    pub fn was_configured(&self) -> bool {
        self.shared.configured
    }

    /// Who answers on the lane that leases go through, where the namespace's own keys are.
    pub async fn server(&self) -> StoreResult<Arc<Server>> {
        self.shared.masters.server(&self.keys().conf()).await
    }

    fn limits(&self) -> Limits {
        *self.shared.limits.lock().expect("nobody panics with the lock held")
    }

    /// Where sessions of `agent` were last seen.
    fn likely_pool(&self, agent: &AgentName) -> Pool {
        let pools = self.shared.pools.lock().expect("nobody panics with the lock held");
        pools.get(agent).cloned().unwrap_or_default()
    }

    fn saw_pool(&self, agent: AgentName, pool: &Pool) {
        let mut pools = self.shared.pools.lock().expect("nobody panics with the lock held");
        if pools.get(&agent) != Some(pool) {
            pools.insert(agent, pool.clone());
        }
    }
}
