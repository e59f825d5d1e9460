//! A thread of the operating system's that looks whether the runtime moves at all.
//!
//! All that ends trust in time runs as tasks; where an agent blocks the runtime's threads, or the whole process
//! was stopped, no task runs. The thread needs none of them: it ends trust that is over, so that what is blocked finds
//! itself fenced when it goes on, before it writes or releases anything.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use tracing::{error, warn};

use super::{
    env::{Env, Moment},
    incarnation::Incarnation,
    trust::Trust,
};
use crate::{model::LeaseTimes, store::Store};

/// How often the runtime says that it moves, and how often the thread looks.
const EVERY: Duration = Duration::from_millis(50);

/// Which part of the time a lease is trusted for the runtime may stand still before somebody is told.
const TOLD_AFTER: u32 = 5;

/// When the runtime moved last.
#[derive(Debug, Default)]
pub(super) struct Pulse(AtomicU64);

impl Pulse {
    fn beat(&self, now: Moment) {
        self.0.store(as_millis(now.elapsed()), Ordering::Relaxed);
    }

    /// For how long nothing has moved.
    fn still_for(&self, now: Moment) -> Duration {
        Duration::from_millis(as_millis(now.elapsed()).saturating_sub(self.0.load(Ordering::Relaxed)))
    }
}

/// What the thread looks at.
struct Watchdog {
    env: Env,
    lease: LeaseTimes,
    pulse: Arc<Pulse>,
    barked: bool,
}

impl<S: Store> Incarnation<S> {
    /// Starts the thread, and the task that shows it that the runtime moves. Both end with the incarnation.
    pub(super) fn keep_watchdog(self: &Arc<Self>) {
        let pulse = Arc::new(Pulse::default());
        pulse.beat(self.env.now());
        let watchdog =
            Watchdog { env: self.env.clone(), lease: self.config.lease, pulse: pulse.clone(), barked: false };
        let shared = Arc::downgrade(self);
        let started = thread::Builder::new().name("watchdog".to_owned()).spawn(move || watchdog.run(&shared));
        if let Err(err) = started {
            return warn!(error = %err, "no watchdog: a runtime that stands still is noticed only when it goes on");
        }
        let env = self.env.clone();
        self.spawn(async move {
            loop {
                pulse.beat(env.now());
                env.sleep(EVERY).await;
            }
        });
    }
}

impl Watchdog {
    fn run<S: Store>(mut self, shared: &Weak<Incarnation<S>>) {
        while let Some(shared) = shared.upgrade() {
            if shared.stops.killed.is_cancelled() {
                return;
            }
            self.look(&shared.trust);
            drop(shared);
            thread::sleep(EVERY);
        }
    }

    /// Says so once if nothing moves, and ends trust that is over.
    fn look(&mut self, trust: &Trust) {
        let now = self.env.now();
        let still = self.pulse.still_for(now);
        let stands = still > self.lease.trusted_for() / TOLD_AFTER;
        if stands && !self.barked {
            error!(?still, "the runtime stands still: does an agent block its threads?");
        }
        self.barked = stands;
        if stands {
            let lapsed = trust.lapse(now).len();
            if lapsed > 0 {
                error!(
                    partitions = lapsed,
                    ?still,
                    "the leases are not trusted any more: nothing is written from here on"
                );
            }
        }
    }
}

fn as_millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Namespace, Partition, Partitions};

    #[test]
    fn trust_that_is_over_ends_while_nothing_else_moves_and_not_before() {
        let env = Env::system();
        let lease = LeaseTimes::new(Duration::from_secs(1)).unwrap();
        let pulse = Arc::new(Pulse::default());
        pulse.beat(env.now());
        let trust = Trust::none(&Partitions::new(&Namespace::default(), 1));
        let asked = env.now();
        let until = asked.plus(lease.trusted_for());
        trust.extend(Partition(0), asked, until);
        let mut watchdog = Watchdog { env: env.clone(), lease, pulse, barked: false };
        while trust.next_lapse().is_some() {
            watchdog.look(&trust);
            assert!(env.now() < until.plus(Duration::from_secs(60)), "it looks, and nothing comes of it");
            thread::yield_now();
        }
        assert!(env.now() >= until);
        assert!(watchdog.barked);
    }

    #[test]
    fn a_runtime_that_moves_is_left_to_its_tasks() {
        let env = Env::system();
        let lease = LeaseTimes::new(Duration::from_secs(300)).unwrap();
        let pulse = Arc::new(Pulse::default());
        pulse.beat(env.now());
        let trust = Trust::none(&Partitions::new(&Namespace::default(), 1));
        let mut watchdog = Watchdog { env, lease, pulse, barked: false };
        watchdog.look(&trust);
        assert!(!watchdog.barked);
    }
}
