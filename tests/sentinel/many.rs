//! Primaries behind sentinels, replaced again and again: `scripts/failovers sentinel`.

use super::{
    DOWN_AFTER, SESSIONS,
    load::{
        Load, MEMORY, REPLICATED,
        failovers::{self, Replaceable},
        workers,
    },
    support::sentinel::Watched,
};

impl Replaceable for Watched {
    const WHAT: &'static str = "primaries";
    const NAMED: &'static str = "the sentinels name another";

    fn wait_until_ready(&self) {
        self.wait_until_ready();
    }

    fn kill(&mut self) -> usize {
        self.kill_primary()
    }

    fn wait_for_failover_from(&self, old: usize) {
        self.wait_for_failover_from(old);
    }

    fn revive(&mut self, old: usize) {
        self.revive(old);
    }

    fn fail_over(&mut self) {
        Self::fail_over(self);
    }

    fn elections(&self) -> u64 {
        self.elections()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes as long as it is told: scripts/failovers"]
async fn as_many_primaries_are_replaced_as_asked_for_and_no_turn_that_was_told_at_replicas_1_is_lost() {
    let mut watched = Watched::start_with(DOWN_AFTER);
    let (_workers, _folder) = workers(&watched.url(), &[MEMORY, REPLICATED], &[]);
    let load = Load::start(&watched.url(), &[MEMORY, REPLICATED], SESSIONS).await;
    failovers::run(&mut watched, load).await;
}
