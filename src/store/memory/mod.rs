//! The store in plain Rust: the executable specification, and the embedded default.
//!
//! What an operation does is written here once, in the words of the [`Store`](super::Store) contract; the Redis
//! store is held to it by a test that drives both with the same operations. Nothing here is random
//! and nothing reads a clock but the [`ServerClock`] it was given, so that what the store answers
//! is a function of what it was asked.
//!
//! One lock guards all of it and is never held over an `await`: every operation is atomic. An
//! operation is a method of `Keyspace` (all keys of one partition) that
//! changes records and then *settles* the session, which restores the invariant in one place.

mod class;
mod clock;
mod delete;
mod door;
mod fork;
mod free;
mod hints;
mod inspect;
mod meddling;
mod methods;
mod namespace;
mod ownership;
mod partition;
mod reading;
mod replies;
mod snapshot;
mod stream;
mod turn;
mod upkeep;
mod workers;

use std::{
    fmt::{Arguments, Debug},
    sync::{Arc, Mutex, MutexGuard, atomic::AtomicU8},
};

use tokio::sync::Notify;

#[doc(hidden)]
pub use self::meddling::Meddling;
pub use self::{
    clock::{ManualClock, ServerClock},
    hints::MemoryListener,
    inspect::SessionSight,
};
use self::{
    namespace::State,
    partition::{Keyspace, Step},
};
use super::{Snapshot, StoreResult};
use crate::{
    model::{Millis, Namespace, Partition, Partitions, Settings},
    store::Run,
};

/// A namespace held in this process's memory. Clones are the same store.
#[derive(Clone)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

struct Shared {
    partitions: Partitions,
    settings: Settings,
    clock: Arc<dyn ServerClock>,
    state: Mutex<State>,
    /// Told whenever a reply was pushed.
    replied: Notify,
    /// Told whenever the plain door got an entry.
    posted: Notify,
    /// Told whenever a history grew.
    appended: Notify,
    /// How many replicas have all that is here.
    following: AtomicU8,
    /// How many replicas there are to follow.
    provided: AtomicU8,
}

impl MemoryStore {
    /// The one start of it that there ever is.
    pub(crate) fn only_run() -> Run {
        Run::named(workers::RUN)
    }

    /// An empty namespace with these settings, whose server's time is `clock`.
    pub fn new(namespace: Namespace, settings: Settings, clock: Arc<dyn ServerClock>) -> Self {
        Self::with_state(&namespace, settings, clock, State::default())
    }

    /// The same, and writes down each operation and its outcome; see [`journal`](Self::journal).
    pub fn with_journal(namespace: Namespace, settings: Settings, clock: Arc<dyn ServerClock>) -> Self {
        let state = State { journal: Some(Vec::new()), ..State::default() };
        Self::with_state(&namespace, settings, clock, state)
    }

    fn with_state(
        namespace: &Namespace,
        settings: Settings,
        clock: Arc<dyn ServerClock>,
        state: State,
    ) -> Self {
        let shared = Shared {
            partitions: Partitions::new(namespace, settings.partitions),
            settings,
            clock,
            state: Mutex::new(state),
            replied: Notify::new(),
            posted: Notify::new(),
            appended: Notify::new(),
            following: AtomicU8::new(class::ALL),
            provided: AtomicU8::new(class::ALL),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Every operation so far, a line each: the time, what was asked, what came of it. Empty without a journal.
    pub fn journal(&self) -> Vec<String> {
        self.state().journal.clone().unwrap_or_default()
    }

    /// All that it holds now. What lapsed is gone for good then, also if the clock goes back.
    pub fn snapshot(&self) -> Snapshot {
        let (mut state, now) = (self.state(), self.shared.clock.now());
        state.forget_lapsed(now);
        let all =
            state.partitions.iter().map(|(partition, keys)| (*partition, keys.snapshot(*partition, now)));
        Snapshot { partitions: all.filter(|(_, held)| *held != Default::default()).collect() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().expect("no operation panics with the lock held")
    }

    /// One atomic operation on the namespace; `asked` goes into the journal with its outcome.
    fn run<T: Debug>(
        &self,
        asked: Arguments,
        operation: impl FnOnce(&mut State, Millis) -> StoreResult<T>,
    ) -> StoreResult<T> {
        let (mut state, now) = (self.state(), self.shared.clock.now());
        let outcome = operation(&mut state, now);
        if let Some(journal) = &mut state.journal {
            journal.push(format!("{} {asked} -> {outcome:?}", now.0));
        }
        outcome
    }

    /// One atomic operation on a partition.
    fn run_in<T: Debug>(
        &self,
        partition: Partition,
        asked: Arguments,
        operation: impl FnOnce(&mut Keyspace, &mut Step) -> StoreResult<T>,
    ) -> StoreResult<T> {
        self.run(asked, |state, now| {
            let State { hints, replies, partitions, .. } = state;
            let mut step = Step { now, limits: self.shared.settings.limits, hints, replies };
            operation(partitions.entry(partition).or_default(), &mut step)
        })
    }
}
