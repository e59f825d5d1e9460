//! Both stores, under one sequence of operations.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use futures_util::FutureExt;
use tenure::{
    model::{Lease, Millis, SessionId, WorkerId},
    store::{
        Hint, Listener, MemoryStore, RedisStore, Snapshot, Store,
        memory::{ManualClock, Meddling, MemoryListener},
        redis::{Options, RedisListener, Scripts},
    },
};

use super::{
    call::Call, cast, invariant::broken, knowledge::Knowledge, operation::Operation, resolve::resolve,
};
use crate::support::RedisServer;

/// How often all that the stores hold is compared.
const LOOK_EVERY: usize = 25;
/// How long a hint may be under way.
const PATIENCE: Duration = Duration::from_secs(10);

/// A server with its clock held, a store on it, and workers who listen; used for sequence after sequence.
pub struct Ground {
    server: RedisServer,
    control: redis::aio::MultiplexedConnection,
    store: RedisStore,
    listeners: BTreeMap<WorkerId, RedisListener>,
    marks: u64,
}

/// Where the stores part.
#[derive(Debug)]
pub struct Mismatch {
    /// The number of the operation, from 1.
    step: usize,
    /// What was asked there.
    asked: String,
    /// What differs.
    what: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {}: {}\n{}", self.step, self.asked, self.what)
    }
}

impl Ground {
    /// A server of its own, that runs the scripts as they stand.
    pub async fn start() -> Self {
        let server = RedisServer::builder().clock_ms(cast::START.0).start();
        let control = server.client().get_multiplexed_async_connection().await.expect("the server answers");
        let store = connect(&server, Scripts::embedded()).await;
        let mut listeners = BTreeMap::new();
        for worker in cast::workers().into_iter().take(cast::LISTENING) {
            let listener = store.listen(&worker).await.expect("the server answers");
            listeners.insert(worker, listener);
        }
        Self { server, control, store, listeners, marks: 0 }
    }

    /// The same, with other scripts.
    pub async fn run_scripts(&mut self, scripts: Scripts) {
        self.store = connect(&self.server, scripts).await;
    }

    /// Tries a sequence on a fresh pair of stores.
    pub async fn try_sequence(&mut self, operations: &[Operation]) -> Result<(), Mismatch> {
        self.empty().await;
        let mut pair = Pair::new(self).await;
        pair.first_workers_join().await;
        for (at, operation) in operations.iter().enumerate() {
            let asked = format!("{operation:?}");
            let step = at + 1;
            let parted = |(asked, what)| Mismatch { step, asked, what };
            pair.step(operation).await.map_err(parted)?;
            if step % LOOK_EVERY == 0 || step == operations.len() {
                pair.look().await.map_err(|what| Mismatch { step, asked, what })?;
            }
        }
        Ok(())
    }

    async fn empty(&mut self) {
        self.server.clock().set_ms(cast::START.0);
        let list = cast::lists().pop().expect("there are lists");
        let mut commands = redis::pipe();
        commands.cmd("FLUSHALL").cmd("SET").arg(list.as_str()).arg("no list");
        commands.exec_async(&mut self.control).await.expect("the server does it");
        self.heard().await;
    }

    async fn delete_own(&mut self, session: &SessionId) {
        let key = self.store.keys().session(session).own();
        redis::cmd("DEL").arg(key).exec_async(&mut self.control).await.expect("the server does it");
    }

    /// What came in for each listening worker; a mark behind it tells that it is all.
    async fn heard(&mut self) -> BTreeMap<WorkerId, Vec<Hint>> {
        self.marks += 1;
        let mark: SessionId = format!("mark/{}", self.marks).parse().expect("a good session");
        let mut publish = redis::pipe();
        let any = self.store.partitions().all().next().expect("there are partitions");
        for worker in self.listeners.keys() {
            let channel = self.store.keys().partition(any).wake(worker);
            publish.cmd("SPUBLISH").arg(channel).arg(format!("o {mark}"));
        }
        publish.exec_async(&mut self.control).await.expect("the server does it");
        let mark = Hint::Offer { session: mark };
        let mut heard = BTreeMap::new();
        for (worker, listener) in &mut self.listeners {
            let hints: &mut Vec<Hint> = heard.entry(worker.clone()).or_default();
            loop {
                let next = tokio::time::timeout(PATIENCE, listener.recv()).await;
                match next.expect("what was published comes in") {
                    hint if hint == mark => break,
                    hint => hints.push(hint),
                }
            }
        }
        heard
    }
}

async fn connect(server: &RedisServer, scripts: Scripts) -> RedisStore {
    let options = Options { settings: cast::settings(), scripts, ..Options::new(server.url()) };
    RedisStore::connect(options).await.expect("the server answers")
}

/// Two stores that are asked the same.
struct Pair<'a> {
    ground: &'a mut Ground,
    clock: ManualClock,
    memory: MemoryStore,
    listeners: BTreeMap<WorkerId, MemoryListener>,
    /// What each store granted, in the same places.
    leases: (Vec<Lease>, Vec<Lease>),
    known: Knowledge,
    last: Option<Call>,
}

impl<'a> Pair<'a> {
    async fn new(ground: &'a mut Ground) -> Self {
        let clock = ManualClock::at(cast::START);
        let memory = MemoryStore::new(Default::default(), cast::settings(), Arc::new(clock.clone()));
        memory.occupy(&cast::lists().pop().expect("there are lists"));
        let mut listeners = BTreeMap::new();
        for worker in ground.listeners.keys() {
            listeners.insert(worker.clone(), memory.listen(worker).await.expect("it answers"));
        }
        let known = Knowledge::new(memory.partitions().clone());
        Self { ground, clock, memory, listeners, leases: Default::default(), known, last: None }
    }

    /// The first of each worker joins both partitions, with room.
    async fn first_workers_join(&mut self) {
        for (load, worker) in cast::workers().iter().take(cast::FIRST).enumerate() {
            for at in [0, 3] {
                let load = Some(1_000 * load as u64);
                let presence = cast::presence(worker, load, tenure::store::DutyWish::Leave);
                let call = Call::Join(self.known.partition(at), presence);
                self.ask(&call).await.expect("nothing differs yet");
            }
        }
    }

    /// Fulfils one wish on both; what was asked and what differs, if anything does.
    async fn step(&mut self, operation: &Operation) -> Result<(), (String, String)> {
        match operation {
            Operation::Tick(by) => self.tick(*by).await,
            Operation::DeleteOwn { session } => {
                let session = self.known.session(*session).clone();
                self.memory.meddle(&session, Meddling::DeleteOwn);
                self.ground.delete_own(&session).await;
            }
            Operation::Again => {
                if let Some(call) = self.last.clone() {
                    self.ask(&call).await.map_err(|what| (format!("again {call:?}"), what))?;
                }
            }
            _ => {
                self.known.snapshot = self.memory.snapshot();
                for (door, seen) in (0..).zip(&mut self.known.doors) {
                    let look = self.memory.ingress(cast::door(door), 100, Duration::ZERO);
                    *seen = look.await.expect("it answers");
                }
                if let Some(call) = resolve(&mut self.known, operation, &self.leases.0) {
                    self.ask(&call).await.map_err(|what| (format!("{call:?}"), what))?;
                    self.last = Some(call);
                }
            }
        }
        Ok(())
    }

    /// Moves both clocks. What lapses is forgotten at once, or going back would bring back what the
    /// server happened not to have looked at.
    async fn tick(&mut self, by: i64) {
        self.known.now = Millis(self.known.now.0.saturating_add_signed(by));
        self.clock.set(self.known.now);
        self.ground.server.clock().set_ms(self.known.now.0);
        self.memory.snapshot();
        let mut look_at_all = redis::cmd("SCAN");
        look_at_all.arg(0).arg("COUNT").arg(1_000_000);
        look_at_all.exec_async(&mut self.ground.control).await.expect("the server does it");
    }

    /// Makes a call on both; what differs.
    async fn ask(&mut self, call: &Call) -> Result<(), String> {
        let memory = call.make(&self.memory, &mut self.leases.0).await;
        let redis = call.make(&self.ground.store, &mut self.leases.1).await;
        if memory == redis { Ok(()) } else { Err(format!("  memory says {memory}\n   redis says {redis}")) }
    }

    /// Compares all that the stores hold and all that their workers heard.
    async fn look(&mut self) -> Result<(), String> {
        let memory = self.memory.snapshot();
        if let Some(rule) = broken(&memory) {
            return Err(format!("  the memory store breaks the invariant: {rule}"));
        }
        let redis =
            self.ground.store.snapshot().await.map_err(|err| format!("  no snapshot of redis: {err}"))?;
        if memory != redis {
            return Err(difference(&memory, &redis));
        }
        let redis = self.ground.heard().await;
        for (worker, listener) in &mut self.listeners {
            let memory: Vec<_> = std::iter::from_fn(|| listener.recv().now_or_never()).collect();
            if memory != redis[worker] {
                return Err(format!("  {worker} heard {memory:?}\n    on redis {:?}", redis[worker]));
            }
        }
        Ok(())
    }
}

/// The lines that differ between two snapshots.
fn difference(memory: &Snapshot, redis: &Snapshot) -> String {
    let lines = |snapshot: &Snapshot| format!("{snapshot:#?}").lines().map(str::to_owned).collect::<Vec<_>>();
    let (memory, redis) = (lines(memory), lines(redis));
    let same = memory.iter().zip(&redis).take_while(|(a, b)| a == b).count();
    let around = |lines: &[String]| {
        let from = same.saturating_sub(8);
        lines[from..lines.len().min(same + 6)].join("\n")
    };
    format!("what they hold differs.\n  memory:\n{}\n  redis:\n{}", around(&memory), around(&redis))
}
