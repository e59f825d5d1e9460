//! Masters of a cluster, replaced again and again: `scripts/failovers cluster`.

use std::collections::BTreeSet;

use super::{
    WORKER,
    load::{
        Load, MEMORY, REPLICATED,
        failovers::{self, Replaceable},
        workers,
    },
    slot,
    support::RedisCluster,
};

/// How many masters there are, each with a replica.
const MASTERS: usize = 3;

/// Sessions of each class: enough that each master has some.
const SESSIONS: usize = 6;

/// Whose master is the next is taken in turn.
struct InTurn {
    cluster: RedisCluster,
    next: usize,
}

impl InTurn {
    fn next(&mut self) -> usize {
        self.next += 1;
        self.next % MASTERS
    }
}

impl Replaceable for InTurn {
    const WHAT: &'static str = "masters";
    const NAMED: &'static str = "its replica is the master";

    fn wait_until_ready(&self) {
        self.cluster.wait_until_each_is_followed();
    }

    fn kill(&mut self) -> usize {
        let shard = self.next();
        self.cluster.kill_master(shard)
    }

    fn wait_for_failover_from(&self, old: usize) {
        self.cluster.wait_for_failover_from(old);
    }

    fn revive(&mut self, old: usize) {
        self.cluster.revive(old);
    }

    fn fail_over(&mut self) {
        let shard = self.next();
        self.cluster.fail_over(shard);
    }

    fn elections(&self) -> u64 {
        self.cluster.epoch()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes as long as it is told: scripts/failovers"]
async fn as_many_masters_are_replaced_as_asked_for_and_no_turn_that_was_told_at_replicas_1_is_lost() {
    // As docs/topologies.md has it: else everything stands still with one of them.
    let cluster = RedisCluster::start_with(MASTERS, 1, &[("cluster-require-full-coverage", "no")]);
    let (_workers, _folder) = workers(&cluster.url(), &[MEMORY, REPLICATED], &WORKER);
    let load = Load::start(&cluster.url(), &[MEMORY, REPLICATED], SESSIONS).await;
    for class in [MEMORY, REPLICATED] {
        assert_eq!(masters_of(class, &load).len(), MASTERS, "each master has sessions of {class}");
    }
    failovers::run(&mut InTurn { cluster, next: 0 }, load).await;
}

/// The masters that have the sessions of an agent.
fn masters_of(agent: &str, load: &Load) -> BTreeSet<usize> {
    let keys = load.client().store().keys();
    let sessions = load.sessions().filter(|session| session.agent().as_str() == agent);
    sessions.map(|session| RedisCluster::master_of(slot(&keys.session(session).meta()), MASTERS)).collect()
}
