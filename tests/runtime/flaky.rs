//! A store whose server can be cut off, and whose requests and replies get lost by seed.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tenure::{
    Env, SessionId,
    model::{
        AgentDeclaration, AgentName, Door, Durability, Entry, Lease, MessageId, NewMessage, Partition,
        Partitions, Pool, ReplyTo, Settings, StreamId, WorkerId,
    },
    store::*,
};
use tokio::sync::watch;

/// How long a lost call takes to be given up, in milliseconds.
const LOST_AFTER_MS: u64 = 500;

/// One worker's way to the store.
#[derive(Clone)]
pub struct Flaky {
    partitions: MemoryStore,
    inner: Arc<Mutex<MemoryStore>>,
    env: Env,
    /// The operation of which a request is lost, and how many arrive before.
    lost_next: Arc<Mutex<Option<(&'static str, usize)>>>,
    /// The operation that next meets a server which is just back.
    loading_next: Arc<Mutex<Option<&'static str>>>,
    /// The operation whose next reply is lost, as its server becomes a replica; and whether that has happened.
    demoted_at: Arc<Mutex<Option<(&'static str, bool)>>>,
    /// How often each operation was called.
    calls: Arc<Mutex<BTreeMap<&'static str, usize>>>,
    lost_after_ms: Arc<AtomicU64>,
    /// Partitions that renew nothing, take nothing of a plain door, and do not tell how far they are.
    silent: Arc<Mutex<BTreeSet<Partition>>>,
    /// Partitions that tell how far they are, and take nothing of a plain door.
    deaf: Arc<Mutex<BTreeSet<Partition>>>,
    /// Agents of which nobody can read how they are served.
    unreadable: Arc<Mutex<BTreeSet<AgentName>>>,
    /// Of 1,000 calls, how many lose their request, and how many their reply.
    lost_in_1000: Arc<AtomicU64>,
    cut: watch::Receiver<bool>,
}

/// Cuts a worker off, and lets it back.
pub struct Cable {
    cut: watch::Sender<bool>,
    inner: Arc<Mutex<MemoryStore>>,
    lost_next: Arc<Mutex<Option<(&'static str, usize)>>>,
    loading_next: Arc<Mutex<Option<&'static str>>>,
    demoted_at: Arc<Mutex<Option<(&'static str, bool)>>>,
    calls: Arc<Mutex<BTreeMap<&'static str, usize>>>,
    lost_after_ms: Arc<AtomicU64>,
    lost_in_1000: Arc<AtomicU64>,
    silent: Arc<Mutex<BTreeSet<Partition>>>,
    deaf: Arc<Mutex<BTreeSet<Partition>>>,
    unreadable: Arc<Mutex<BTreeSet<AgentName>>>,
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

    /// From now on it takes this long until a lost call is given up.
    pub fn give_up_after(&self, patience: Duration) {
        let ms = u64::try_from(patience.as_millis()).unwrap();
        self.lost_after_ms.store(ms, Ordering::Relaxed);
    }

    /// The next request of this operation is lost.
    pub fn lose_next(&self, operation: &'static str) {
        self.lose_after(0, operation);
    }

    /// So many requests of this operation arrive, and the one after them is lost.
    pub fn lose_after(&self, arrive: usize, operation: &'static str) {
        *self.lost_next.lock().unwrap() = Some((operation, arrive));
    }

    /// From now on this partition answers neither a relay nor a renewal.
    pub fn silence(&self, partition: Partition) {
        self.silent.lock().unwrap().insert(partition);
    }

    /// From now on this partition gives no answer to a relay, and to everything else it does.
    pub fn deafen(&self, partition: Partition) {
        self.deaf.lock().unwrap().insert(partition);
    }

    /// From now on nobody can read how this agent is served.
    pub fn spoil_row(&self, agent: AgentName) {
        self.unreadable.lock().unwrap().insert(agent);
    }

    /// From now on all partitions answer.
    pub fn silence_nobody(&self) {
        self.silent.lock().unwrap().clear();
    }

    /// How often this operation was called.
    pub fn calls(&self, operation: &str) -> usize {
        self.calls.lock().unwrap().get(operation).copied().unwrap_or(0)
    }

    /// The next request of this operation meets a server that loads its data.
    pub fn load_at_next(&self, operation: &'static str) {
        *self.loading_next.lock().unwrap() = Some(operation);
    }

    /// The next request of this operation is served and its reply lost, and all that come after it are refused.
    pub fn demote_at_next(&self, operation: &'static str) {
        *self.demoted_at.lock().unwrap() = Some((operation, false));
    }

    /// All requests of this operation are refused, from now on.
    pub fn refuse(&self, operation: &'static str) {
        *self.demoted_at.lock().unwrap() = Some((operation, true));
    }

    /// Whether that request was made.
    pub fn has_loaded(&self) -> bool {
        self.loading_next.lock().unwrap().is_none()
    }

    /// Whether that request was made, and lost.
    pub fn has_lost(&self) -> bool {
        self.lost_next.lock().unwrap().is_none()
    }

    /// From now on another server answers, which holds what this store holds.
    pub fn replace(&self, server: MemoryStore) {
        *self.inner.lock().unwrap() = server;
    }
}

impl Flaky {
    pub fn new(inner: MemoryStore, env: Env) -> (Self, Cable) {
        let (sender, cut) = watch::channel(false);
        let lost_in_1000 = Arc::<AtomicU64>::default();
        let lost_after_ms = Arc::new(AtomicU64::new(LOST_AFTER_MS));
        let (partitions, lost_next, loading_next) = (inner.clone(), Arc::default(), Arc::default());
        let demoted_at = Arc::<Mutex<Option<_>>>::default();
        let calls = Arc::<Mutex<BTreeMap<_, _>>>::default();
        let silent = Arc::<Mutex<BTreeSet<_>>>::default();
        let deaf = Arc::<Mutex<BTreeSet<_>>>::default();
        let unreadable = Arc::<Mutex<BTreeSet<_>>>::default();
        let inner = Arc::new(Mutex::new(inner));
        let cable = Cable {
            cut: sender,
            inner: inner.clone(),
            lost_next: Arc::clone(&lost_next),
            loading_next: Arc::clone(&loading_next),
            demoted_at: Arc::clone(&demoted_at),
            calls: Arc::clone(&calls),
            lost_after_ms: lost_after_ms.clone(),
            lost_in_1000: lost_in_1000.clone(),
            silent: silent.clone(),
            deaf: deaf.clone(),
            unreadable: unreadable.clone(),
        };
        (
            Self {
                partitions,
                inner,
                env,
                lost_next,
                loading_next,
                demoted_at,
                calls,
                lost_after_ms,
                silent,
                deaf,
                unreadable,
                lost_in_1000,
                cut,
            },
            cable,
        )
    }

    fn server(&self) -> MemoryStore {
        self.inner.lock().unwrap().clone()
    }

    fn is_silent(&self, partition: Partition) -> bool {
        self.silent.lock().unwrap().contains(&partition)
    }

    /// Whether this is the request that is to be lost.
    fn is_lost_now(&self, operation: &'static str) -> bool {
        let mut next = self.lost_next.lock().unwrap();
        match next.as_mut().filter(|(lost, _)| *lost == operation) {
            Some((_, arrive @ 1..)) => *arrive -= 1,
            Some(_) => return next.take().is_some(),
            None => (),
        }
        false
    }

    fn is_demoted(&self, operation: &'static str) -> bool {
        *self.demoted_at.lock().unwrap() == Some((operation, true))
    }

    /// Whether the reply of this request is the one that is lost.
    fn is_demoted_now(&self, operation: &'static str) -> bool {
        let mut at = self.demoted_at.lock().unwrap();
        let now = *at == Some((operation, false));
        *at = at.map(|(at, done)| (at, done || now));
        now
    }

    /// Passes a call on, or loses it on its way there or back.
    async fn through<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = StoreResult<T>> + Send,
    ) -> StoreResult<T> {
        *self.calls.lock().unwrap().entry(operation).or_default() += 1;
        let patience = || Duration::from_millis(self.lost_after_ms.load(Ordering::Relaxed));
        if self.is_lost_now(operation) {
            self.env.sleep(patience()).await;
            return Err(lost());
        }
        if self.loading_next.lock().unwrap().take_if(|next| *next == operation).is_some() {
            return Err(StoreError::Loading("here".to_owned()));
        }
        let draw = self.env.random_below(1_000);
        let rate = self.lost_in_1000.load(Ordering::Relaxed);
        if *self.cut.borrow() || draw < rate {
            self.env.sleep(patience()).await;
            return Err(lost());
        }
        if self.is_demoted(operation) {
            return Err(StoreError::Refused("it is a replica".to_owned()));
        }
        let answer = call.await;
        if self.is_demoted_now(operation) {
            self.env.sleep(patience()).await;
            return Err(lost());
        }
        if *self.cut.borrow() || draw >= 1_000 - rate {
            self.env.sleep(patience()).await;
            return Err(lost());
        }
        answer
    }
}

fn lost() -> StoreError {
    StoreError::Unavailable("lost".into())
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
            self.through(stringify!($name), self.server().$name($($arg),*)).await
        })*
    };
}

impl Store for Flaky {
    type Listener = FlakyListener;

    fn partitions(&self) -> &Partitions {
        self.partitions.partitions()
    }

    async fn listen(&self, worker: &WorkerId) -> StoreResult<FlakyListener> {
        let inner = self.through("listen", self.server().listen(worker)).await?;
        Ok(FlakyListener { inner, cut: self.cut.clone() })
    }

    async fn cursors(&self, door: Door, of: &[Partition]) -> StoreResult<Cursors> {
        if of.len() == self.partitions().all().count() {
            *self.calls.lock().unwrap().entry("cursors of all").or_default() += 1;
        }
        let (silent, there): (Vec<_>, Vec<_>) = of.iter().partition(|partition| self.is_silent(**partition));
        if !silent.is_empty() {
            self.env.sleep(Duration::from_millis(self.lost_after_ms.load(Ordering::Relaxed))).await;
        }
        if there.is_empty() && !silent.is_empty() {
            return Err(lost());
        }
        let mut cursors = self.through("cursors", self.server().cursors(door, &there)).await?;
        cursors.unknown.extend(silent.into_iter().map(|partition| (partition, lost())));
        Ok(cursors)
    }

    async fn renew(&self, partition: Partition, presence: &Presence) -> StoreResult<Renewal> {
        if self.is_silent(partition) {
            self.env.sleep(Duration::from_millis(self.lost_after_ms.load(Ordering::Relaxed))).await;
            return Err(lost());
        }
        self.through("renew", self.server().renew(partition, presence)).await
    }

    async fn agents(&self) -> StoreResult<Agents> {
        let mut agents = self.through("agents", self.server().agents()).await?;
        let unreadable = self.unreadable.lock().unwrap().clone();
        agents.known.retain(|agent, _| !unreadable.contains(agent));
        Ok(Agents { unreadable, ..agents })
    }

    async fn relay(
        &self,
        partition: Partition,
        door: Door,
        previous: Option<StreamId>,
        batch: &[Relayed],
    ) -> StoreResult<Relay> {
        if self.is_silent(partition) || self.deaf.lock().unwrap().contains(&partition) {
            *self.calls.lock().unwrap().entry("relay in vain").or_default() += 1;
            self.env.sleep(Duration::from_millis(self.lost_after_ms.load(Ordering::Relaxed))).await;
            return Err(lost());
        }
        self.through("relay", self.server().relay(partition, door, previous, batch)).await
    }

    pass_on! {
        fn uptime() -> Duration;
        fn configure(wanted: &Settings) -> Configured;
        fn declare(worker: &WorkerId, agent: &AgentName, how: &AgentDeclaration) -> Declared;
        fn reach(partition: Partition, class: Durability) -> Reach;
        fn lacks(partition: Partition, class: Durability) -> Option<Lack>;
        fn announce(member: &Member, ttl: Duration) -> ();
        fn retire(worker: &WorkerId) -> ();
        fn members() -> Vec<Member>;
        fn send(message: &NewMessage) -> Sent;
        fn take_reply(key: &ReplyTo, wait: Duration) -> Option<String>;
        fn ingress(door: Door, limit: usize, wait: Duration) -> Ingress;
        fn post(door: Door, fields: &[(Vec<u8>, Vec<u8>)]) -> StreamId;
        fn remove_ingress(door: Door, ids: &[StreamId]) -> ();
        fn advance_ingress(door: Door, past: StreamId) -> ();
        fn join(partition: Partition, presence: &Presence) -> Renewal;
        fn bury(partition: Partition, worker: &WorkerId, ground: Ground) -> Bury;
        fn vital(workers: &[WorkerId]) -> Vitals;
        fn tell_to_drain(worker: &WorkerId) -> bool;
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
        fn deliver(partition: Partition, replies: &[OutReply], by: Deliverer) -> ();
        fn look(session: &SessionId) -> Look;
        fn sessions(partition: Partition, after: Option<&SessionId>, limit: usize) -> Vec<SessionId>;
        fn history(session: &SessionId, range: HistoryRange, wait: Duration) -> Vec<Entry>;
        fn dead(partition: Partition, after: Option<StreamId>, limit: usize) -> Vec<DeadLetter>;
        fn revive(letter: &DeadLetter, message: MessageId, pool: &Pool) -> Revive;
        fn drop_dead(partition: Partition, ids: &[StreamId]) -> usize;
        fn free(session: &SessionId, pool: &Pool, first: FirstMessage) -> Free;
        fn proceed(session: &SessionId, pool: &Pool) -> Proceed;
        fn delete(session: &SessionId, pool: &Pool, owner: Option<&WorkerId>) -> Delete;
    }
}
