//! The simulated server: a memory store with a clock, a replica, a disk and a limit.

use std::time::Duration;

use futures_util::FutureExt;

use super::clock::START;
use crate::{
    model::{Cause, Hold, Millis, Partition, Partitions, SessionId, SessionRecord},
    store::{FirstMessage, Free, MemoryStore, Snapshot, Store, memory::ManualClock},
};

/// The server.
pub(super) struct Server {
    store: MemoryStore,
    clock: ManualClock,
    /// How far its wall clock is from virtual time, in milliseconds.
    ahead_ms: i64,
    /// What the replica held when it was cut off; none while it follows.
    replica: Option<MemoryStore>,
    /// What each server held when a replica took its place.
    replaced: Vec<Snapshot>,
    /// Since when it has been up; none if it was as long as can be.
    started: Option<Duration>,
    /// How often another start of it, or a replica, took over.
    starts: u64,
    full_until: Duration,
    fsync: (Duration, Duration),
}

impl Server {
    pub(super) fn new(store: MemoryStore, clock: ManualClock) -> Self {
        clock.set(START);
        Self {
            store,
            clock,
            ahead_ms: 0,
            replica: None,
            replaced: Vec::new(),
            started: None,
            starts: 0,
            full_until: Duration::ZERO,
            fsync: Default::default(),
        }
    }

    pub(super) fn store(&self) -> &MemoryStore {
        &self.store
    }

    /// Virtual time went on.
    pub(super) fn tick(&self, now: Duration) {
        self.clock.set(Millis(START.plus(now).0.saturating_add_signed(self.ahead_ms)));
    }

    /// Its wall clock is set.
    pub(super) fn set_clock(&mut self, now: Duration, by_ms: i64) {
        self.ahead_ms += by_ms;
        self.tick(now);
    }

    pub(super) fn uptime(&self, now: Duration) -> Duration {
        self.started.map_or(Duration::MAX, |started| now - started)
    }

    /// It starts anew, with what it held.
    pub(super) fn restart(&mut self, now: Duration) {
        self.started = Some(now);
        self.starts += 1;
    }

    /// What this start of it is called.
    pub(super) fn run(&self) -> String {
        self.starts.to_string()
    }

    pub(super) fn cut_replica(&mut self) {
        if self.replica.is_none() {
            self.replica = Some(self.store.fork());
            self.store.set_replicas(0);
        }
    }

    pub(super) fn heal_replica(&mut self) {
        self.replica = None;
        self.store.set_replicas(u8::MAX);
    }

    /// The replica takes over, with what it has; it has been up for as long as can be.
    pub(super) fn fail_over(&mut self) {
        self.replaced.push(self.store.snapshot());
        self.store = self.replica.take().unwrap_or_else(|| self.store.fork());
        self.started = None;
        self.starts += 1;
    }

    /// What each server held when a replica took its place.
    pub(super) fn replaced(&self) -> &[Snapshot] {
        &self.replaced
    }

    pub(super) fn fill(&mut self, until: Duration) {
        self.full_until = self.full_until.max(until);
    }

    pub(super) fn is_full(&self, now: Duration) -> bool {
        now < self.full_until
    }

    pub(super) fn slow_down(&mut self, by: Duration, until: Duration) {
        self.fsync = (by, until);
    }

    /// How long the disk makes a write wait now.
    pub(super) fn fsync_takes(&self, now: Duration) -> Option<Duration> {
        let (by, until) = self.fsync;
        (now < until).then_some(by)
    }

    /// An operator lets every session go on that was taken for the death of its workers.
    pub(super) fn free_all(&self) {
        let poisoned = |record: &SessionRecord| {
            record.owner.is_none()
                && matches!(record.hold, Some(Hold::Quarantined { cause: Cause::Poison, .. }))
        };
        for (session, held) in self.store.snapshot().partitions.into_values().flat_map(|held| held.sessions) {
            if poisoned(&held.record) {
                let freed = self.store.free(&session, &held.record.pool, FirstMessage::Keep).now_or_never();
                debug_assert!(matches!(freed, Some(Ok(Free::Freed))), "{session}: {freed:?}");
            }
        }
    }

    pub(super) fn partition_of(&self, session: &SessionId) -> Partition {
        self.store.partitions().of(session)
    }

    pub(super) fn partitions(&self) -> Partitions {
        self.store.partitions().clone()
    }
}
