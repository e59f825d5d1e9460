//! A store to stand on, with its server's clock in the test's hand.

use std::{sync::Arc, time::Duration};

use futures_util::FutureExt;
use tenure::{
    Env,
    model::{Limits, Millis, ReplyTo, SessionId, Settings, WorkerId, seal::Keyring},
    sim::{SimListener, SimStore},
    store::{
        Hint, Listener, MemoryStore, Sealed, Snapshot, Store,
        memory::{ManualClock, Meddling, MemoryListener},
        sealed::SealedListener,
    },
};

/// What is sealed with in tests.
const KEYS: &str = "k1 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n\
                    g1 ICECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8= group=tenants";

/// Where the clock stands at first.
pub const START: Millis = Millis(1_800_000_000_000);

/// Small limits, so that tests reach them.
pub fn settings() -> Settings {
    Settings { partitions: 4, limits: Limits { body: 2_000, inbox: 120 }, ..Settings::default() }
}

/// One store, and what a test may do behind its back.
pub trait Ground: Send + Sync + Sized {
    /// The store.
    type Store: Store;

    /// The store under test.
    fn store(&self) -> &Self::Store;

    /// The server's time.
    fn now(&self) -> Millis;

    /// Moves the server's clock, forward or back.
    fn set_clock(&self, now: Millis);

    /// All that the store holds.
    async fn snapshot(&self) -> Snapshot;

    /// Changes a session's keys by hand.
    async fn meddle(&self, session: &SessionId, how: Meddling);

    /// Makes `key` something that takes no push.
    async fn occupy(&self, key: &ReplyTo);

    /// The hints for `worker` that its listener did not give yet, all that were published before this call.
    async fn heard(&self, worker: &WorkerId, listener: &mut <Self::Store as Store>::Listener) -> Vec<Hint>;

    /// Moves the server's clock forward.
    fn advance(&self, by: Duration) {
        self.set_clock(self.now().plus(by));
    }
}

/// The store as a simulation has it, with every call let through.
pub struct Simulated {
    memory: Memory,
    store: SimStore,
}

impl Simulated {
    /// An empty one.
    pub async fn start() -> Self {
        let memory = Memory::start().await;
        let store = SimStore::direct(memory.store.clone());
        Self { memory, store }
    }
}

impl Ground for Simulated {
    type Store = SimStore;

    fn store(&self) -> &SimStore {
        &self.store
    }

    fn now(&self) -> Millis {
        self.memory.now()
    }

    fn set_clock(&self, now: Millis) {
        self.memory.set_clock(now);
    }

    async fn snapshot(&self) -> Snapshot {
        self.memory.snapshot().await
    }

    async fn meddle(&self, session: &SessionId, how: Meddling) {
        self.memory.meddle(session, how).await;
    }

    async fn occupy(&self, key: &ReplyTo) {
        self.memory.occupy(key).await;
    }

    async fn heard(&self, _: &WorkerId, listener: &mut SimListener) -> Vec<Hint> {
        self.store.hand_out_hints();
        std::iter::from_fn(|| listener.recv().now_or_never()).collect()
    }
}

/// The store in memory with all that it holds under seal.
pub struct UnderSeal {
    memory: Memory,
    store: Sealed<MemoryStore>,
}

impl UnderSeal {
    /// An empty one, with a key for all and one for a group.
    pub async fn start() -> Self {
        let memory = Memory::start().await;
        let keyring = Keyring::parse(KEYS).expect("good keys");
        let namespace = "contract".parse().expect("a good name");
        let store = Sealed::new(memory.store.clone(), namespace, keyring, Arc::new(Env::seeded(1)));
        Self { memory, store }
    }
}

impl Ground for UnderSeal {
    type Store = Sealed<MemoryStore>;

    fn store(&self) -> &Self::Store {
        &self.store
    }

    fn now(&self) -> Millis {
        self.memory.now()
    }

    fn set_clock(&self, now: Millis) {
        self.memory.set_clock(now);
    }

    async fn snapshot(&self) -> Snapshot {
        self.store.opened(self.memory.snapshot().await)
    }

    async fn meddle(&self, session: &SessionId, how: Meddling) {
        self.memory.meddle(session, how).await;
    }

    async fn occupy(&self, key: &ReplyTo) {
        self.memory.occupy(key).await;
    }

    async fn heard(&self, _: &WorkerId, listener: &mut SealedListener<MemoryListener>) -> Vec<Hint> {
        std::iter::from_fn(|| listener.recv().now_or_never()).collect()
    }
}

/// The store in this process's memory.
pub struct Memory {
    store: MemoryStore,
    clock: ManualClock,
}

impl Memory {
    /// An empty one.
    pub async fn start() -> Self {
        let clock = ManualClock::at(START);
        let namespace = "contract".parse().expect("a good name");
        Self { store: MemoryStore::new(namespace, settings(), Arc::new(clock.clone())), clock }
    }
}

impl Ground for Memory {
    type Store = MemoryStore;

    fn store(&self) -> &MemoryStore {
        &self.store
    }

    fn now(&self) -> Millis {
        tenure::store::memory::ServerClock::now(&self.clock)
    }

    fn set_clock(&self, now: Millis) {
        self.clock.set(now);
    }

    async fn snapshot(&self) -> Snapshot {
        self.store.snapshot()
    }

    async fn meddle(&self, session: &SessionId, how: Meddling) {
        self.store.meddle(session, how);
    }

    async fn occupy(&self, key: &ReplyTo) {
        self.store.occupy(key);
    }

    async fn heard(&self, _: &WorkerId, listener: &mut MemoryListener) -> Vec<Hint> {
        std::iter::from_fn(|| listener.recv().now_or_never()).collect()
    }
}
