//! One start of a worker: what all its tasks share.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::sync::{Notify, Semaphore, mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    admission::Admission,
    agent::AnyAgent,
    brake::Brake,
    deeds::Deeds,
    env::{Env, Moment},
    home::Home,
    ledger::Ledger,
    supervisor::Command,
    trust::Trust,
};
use crate::{
    model::{
        AgentDeclaration, AgentName, Durability, Epoch, Millis, Partition, Pool, TurnPolicy, WorkerConfig,
        WorkerId,
    },
    planted::{Bug, planted},
    store::{Lapsed, Store},
};

/// An agent that this worker serves.
pub(super) struct Hosted {
    pub(super) agent: Arc<dyn AnyAgent>,
    pub(super) policy: TurnPolicy,
    /// Where its new sessions belong.
    pub(super) home: Home,
    /// What its commits reach before anything of them is told.
    pub(super) class: Durability,
    /// One permit per turn that may run at once.
    pub(super) slots: Arc<Semaphore>,
    /// Whether the last round of renewals took this worker out of the agent's `idle`.
    pub(super) shown_full: AtomicBool,
}

impl Hosted {
    /// `class` is the worker's own.
    pub(super) fn new(agent: Arc<dyn AnyAgent>, policy: TurnPolicy, home: Home, class: Durability) -> Self {
        let slots = Arc::new(Semaphore::new(policy.concurrency.max(1)));
        let class = policy.durability.unwrap_or(class);
        Self { agent, policy, home, class, slots, shown_full: AtomicBool::new(false) }
    }

    /// Whether as many of its turns run as may.
    pub(super) fn is_full(&self) -> bool {
        self.slots.available_permits() == 0
    }

    /// Whether the others believe something else of its room than is so.
    pub(super) fn is_news(&self) -> bool {
        self.is_full() != self.shown_full.load(Ordering::Relaxed)
    }

    /// What clients are to know of it, as a worker of `own` has it.
    pub(super) fn declaration(&self, own: &Pool) -> AgentDeclaration {
        let pool = self.home.of(own).clone();
        AgentDeclaration { pool, resume: self.policy.resume, durability: self.class }
    }
}

/// What all tasks of one incarnation share.
pub(super) struct Incarnation<S> {
    pub(super) store: S,
    pub(super) env: Env,
    pub(super) config: Arc<WorkerConfig>,
    pub(super) worker: WorkerId,
    pub(super) since: Millis,
    pub(super) agents: Arc<BTreeMap<AgentName, Arc<Hosted>>>,
    pub(super) trust: Arc<Trust>,
    pub(super) brake: Brake,
    pub(super) stops: Stops,
    /// How fast sessions are taken on.
    pub(super) admission: Admission,
    /// One permit: for the one session that may kill its owner.
    pub(super) suspects: Arc<Semaphore>,
    pub(super) counts: Arc<Counts>,
    /// What was acknowledged; shared with the incarnations before and after.
    pub(super) ledger: Arc<Ledger>,
    pub(super) duties: Duties,
    /// Whose time may be over, for the duty to look at.
    pub(super) lapses: mpsc::Sender<Lapsed>,
    pub(super) tasks: TaskTracker,
    pub(super) commands: mpsc::Sender<Command>,
}

/// The ways in which an incarnation is told to end, each stronger than the one before.
#[derive(Debug, Clone, Default)]
pub(super) struct Stops {
    /// Take nothing new; hand off at boundaries.
    pub(super) drain: CancellationToken,
    /// The grace period is over: hand off in the middle of turns.
    pub(super) grace_over: CancellationToken,
    /// Buried: nothing that this incarnation does counts any more.
    pub(super) lost: CancellationToken,
    /// Stop at once, as `kill -9` would; for tests.
    pub(super) killed: CancellationToken,
}

/// What is going on, in numbers.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) sessions: AtomicUsize,
    pub(super) running: AtomicUsize,
    /// Workers within their deadline, by the last renewal.
    pub(super) alive: AtomicUsize,
    /// Workers that take sessions, by the last look at the members; 0 before the first.
    pub(super) ready: AtomicUsize,
    /// Whether the last renewal took this worker out of `idle`.
    pub(super) full: AtomicBool,
    /// What it has done so far.
    pub(super) deeds: Deeds,
    /// Told when there is room again, or none any more, or a duty to be had.
    pub(super) room: Notify,
    /// Workers that were there and are no more, and when that was noticed.
    gone: Mutex<BTreeMap<WorkerId, Moment>>,
    /// Whether a duty is to be had that one of them left.
    duty_left: AtomicBool,
    seen_epoch: AtomicU64,
}

impl Counts {
    /// The greatest epoch seen on this server.
    pub(super) fn seen(&self) -> Epoch {
        Epoch(self.seen_epoch.load(Ordering::Relaxed))
    }

    /// A turn or a session ended: if this worker had left `idle`, it may come back.
    pub(super) fn made_room(&self) {
        if self.full.load(Ordering::Relaxed) {
            self.room.notify_one();
        }
    }

    /// A worker is gone: there is one less to share the duties with, and those it had are free. Counts once for each.
    pub(super) fn lost_one(&self, worker: &WorkerId, now: Moment) {
        match self.gone().entry(worker.clone()) {
            Entry::Occupied(_) => return,
            Entry::Vacant(entry) => _ = entry.insert(now),
        }
        for count in [&self.alive, &self.ready] {
            // What is not there was not counted either.
            let _ = count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| count.checked_sub(1));
        }
        self.leaves_a_duty();
    }

    /// This worker has a partition's duty: who is gone leaves it, when its lease there is over. Of who is still there a lease
    /// after it seemed to be gone that is not so.
    pub(super) fn kept_by(&self, keeper: &WorkerId, now: Moment, lease: Duration) {
        if self.gone().get(keeper).is_some_and(|gone| now.since(*gone) < lease) {
            self.leaves_a_duty();
        }
    }

    fn leaves_a_duty(&self) {
        self.duty_left.store(!planted(Bug::NoHeir), Ordering::Relaxed);
        self.room.notify_one();
    }

    /// Whether a duty was left since this was asked last.
    pub(super) fn takes_duty_left(&self) -> bool {
        self.duty_left.swap(false, Ordering::Relaxed)
    }

    fn gone(&self) -> MutexGuard<'_, BTreeMap<WorkerId, Moment>> {
        self.gone.lock().expect("nobody panics while looking at the gone")
    }

    /// Remembers an epoch that the server granted.
    pub(super) fn saw(&self, epoch: Epoch) {
        self.seen_epoch.fetch_max(epoch.0, Ordering::Relaxed);
    }
}

/// The partitions whose duty this incarnation has.
#[derive(Debug, Default)]
pub(super) struct Duties {
    held: Mutex<BTreeSet<Partition>>,
    changed: Notify,
}

impl Duties {
    /// A renewal's word on one partition.
    pub(super) fn set(&self, partition: Partition, held: bool) {
        let mut all = self.held.lock().expect("nobody panics while looking at duties");
        let changed = if held { all.insert(partition) } else { all.remove(&partition) };
        drop(all);
        if changed {
            self.changed.notify_waiters();
        }
    }

    /// All of them, in order.
    pub(super) fn all(&self) -> Vec<Partition> {
        self.held.lock().expect("nobody panics while looking at duties").iter().copied().collect()
    }

    /// Whether `partition` is among them.
    pub(super) fn has(&self, partition: Partition) -> bool {
        self.held.lock().expect("nobody panics while looking at duties").contains(&partition)
    }

    /// Waits until `partition` is among them.
    pub(super) async fn until_has(&self, partition: Partition) {
        loop {
            let changed = self.changed.notified();
            if self.has(partition) {
                return;
            }
            changed.await;
        }
    }
}

impl<S: Store> Incarnation<S> {
    /// Runs a task that ends with this incarnation's killing, and that its end waits for.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let killed = self.stops.killed.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                biased;
                () = killed.cancelled() => (),
                () = task => (),
            }
        });
    }

    /// A turn of this agent began or ended: says so if that may change who is offered its sessions.
    pub(super) fn counted(&self, hosted: &Hosted) {
        if hosted.is_news() {
            self.counts.room.notify_one();
        }
    }

    /// The pool this worker serves.
    pub(super) fn pool(&self) -> &Pool {
        &self.config.pool
    }
}
