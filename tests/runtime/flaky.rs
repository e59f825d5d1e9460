//! A store whose server can be cut off, and whose requests and replies get lost by seed.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tenure::{
    Env, SessionId,
    model::{
        AgentDeclaration, AgentName, Entry, Lease, MessageId, NewMessage, Partition, Partitions, Pool,
        ReplyTo, Settings, StreamId, WorkerId,
    },
    store::*,
};
use tokio::sync::watch;

/// How long a lost call takes to be given up.
const LOST_AFTER: Duration = Duration::from_millis(500);

/// One worker's way to the store.
#[derive(Clone)]
pub struct Flaky {
    inner: MemoryStore,
    env: Env,
    /// Of 1,000 calls, how many lose their request, and how many their reply.
    lost_in_1000: Arc<AtomicU64>,
    cut: watch::Receiver<bool>,
}

/// Cuts a worker off, and lets it back.
pub struct Cable {
    cut: watch::Sender<bool>,
    lost_in_1000: Arc<AtomicU64>,
}

impl Cable {
    pub fn cut(&self) {
        self.cut.send_replace(true);
    }

    /// From now on loses this many requests, and as many replies, of 1,000.
    pub fn lose(&self, lost_in_1000: u64) {
        self.lost_in_1000.store(lost_in_1000, Ordering::Relaxed);
    }

    pub fn heal(&self) {
        self.cut.send_replace(false);
    }
}

impl Flaky {
    pub fn new(inner: MemoryStore, env: Env) -> (Self, Cable) {
        let (sender, cut) = watch::channel(false);
        let lost_in_1000 = Arc::<AtomicU64>::default();
        let cable = Cable { cut: sender, lost_in_1000: lost_in_1000.clone() };
        (Self { inner, env, lost_in_1000, cut }, cable)
    }

    /// Passes a call on, or loses it on its way there or back.
    async fn through<T>(&self, call: impl Future<Output = StoreResult<T>> + Send) -> StoreResult<T> {
        let lost = || StoreError::Unavailable("lost".into());
        let draw = self.env.random_below(1_000);
        let rate = self.lost_in_1000.load(Ordering::Relaxed);
        if *self.cut.borrow() || draw < rate {
            self.env.sleep(LOST_AFTER).await;
            return Err(lost());
        }
        let answer = call.await;
        if *self.cut.borrow() || draw >= 1_000 - rate {
            self.env.sleep(LOST_AFTER).await;
            return Err(lost());
        }
        answer
    }
}

/// Hints that come only while the cable is whole.
pub struct FlakyListener {
    inner: <MemoryStore as Store>::Listener,
    cut: watch::Receiver<bool>,
}

impl Listener for FlakyListener {
    async fn recv(&mut self) -> Hint {
        loop {
            if *self.cut.borrow() {
                self.cut.wait_for(|cut| !cut).await.expect("the cable outlives the worker");
                return Hint::Missed;
            }
            tokio::select! {
                biased;
                changed = self.cut.changed() => changed.expect("the cable outlives the worker"),
                hint = self.inner.recv() => return hint,
            }
        }
    }
}

macro_rules! pass_on {
    ($(fn $name:ident($($arg:ident: $kind:ty),*) -> $out:ty;)*) => {
        $(async fn $name(&self, $($arg: $kind),*) -> StoreResult<$out> {
            self.through(self.inner.$name($($arg),*)).await
        })*
    };
}

impl Store for Flaky {
    type Listener = FlakyListener;

    fn partitions(&self) -> &Partitions {
        self.inner.partitions()
    }

    async fn listen(&self, worker: &WorkerId) -> StoreResult<FlakyListener> {
        let inner = self.through(self.inner.listen(worker)).await?;
        Ok(FlakyListener { inner, cut: self.cut.clone() })
    }

    pass_on! {
        fn uptime() -> Duration;
        fn configure(wanted: &Settings) -> Configured;
        fn declare(agent: &AgentName, how: &AgentDeclaration) -> ();
        fn agents() -> BTreeMap<AgentName, AgentDeclaration>;
        fn announce(member: &Member, ttl: Duration) -> ();
        fn retire(worker: &WorkerId) -> ();
        fn members() -> Vec<Member>;
        fn send(message: &NewMessage) -> Sent;
        fn take_reply(key: &ReplyTo, wait: Duration) -> Option<String>;
        fn ingress(limit: usize, wait: Duration) -> Ingress;
        fn post(fields: &[(Vec<u8>, Vec<u8>)]) -> StreamId;
        fn remove_ingress(ids: &[StreamId]) -> ();
        fn advance_ingress(past: StreamId) -> ();
        fn cursors() -> BTreeMap<Partition, StreamId>;
        fn relay(partition: Partition, previous: Option<StreamId>, batch: &[Relayed]) -> Relay;
        fn join(partition: Partition, presence: &Presence) -> Renewal;
        fn renew(partition: Partition, presence: &Presence) -> Renewal;
        fn bury(partition: Partition, worker: &WorkerId, ground: Ground) -> Bury;
        fn held(partition: Partition, worker: &WorkerId, limit: usize) -> Vec<SessionId>;
        fn claim(session: &SessionId, claimant: &Claimant, page: usize) -> Claim;
        fn release(lease: &Lease, leaving: Leaving, page: usize) -> Release;
        fn refresh(lease: &Lease, own_ttl: Duration, page: usize) -> Refresh;
        fn reap(session: &SessionId, from: &WorkerId, pool: &Pool) -> Reap;
        fn commit(lease: &Lease, boundary: &Boundary) -> Commit;
        fn survey(partition: Partition, agents: &[(Pool, AgentName)]) -> Survey;
        fn fire(session: &SessionId, pool: &Pool) -> Fire;
        fn offer(session: &SessionId, pool: &Pool, except: Option<&WorkerId>) -> Offer;
        fn mend(session: &SessionId, pool: &Pool, owner: Option<&WorkerId>, home: Option<&Pool>) -> Mend;
        fn deliver(partition: Partition, replies: &[OutReply]) -> ();
        fn look(session: &SessionId) -> Look;
        fn sessions(partition: Partition, after: Option<&SessionId>, limit: usize) -> Vec<SessionId>;
        fn history(session: &SessionId, range: HistoryRange, wait: Duration) -> Vec<Entry>;
        fn dead(partition: Partition, after: Option<StreamId>, limit: usize) -> Vec<DeadLetter>;
        fn revive(letter: &DeadLetter, message: MessageId, pool: &Pool) -> Revive;
        fn drop_dead(partition: Partition, ids: &[StreamId]) -> usize;
        fn delete(session: &SessionId, pool: &Pool, owner: Option<&WorkerId>) -> Delete;
    }
}
