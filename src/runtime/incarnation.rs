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
        AgentDeclaration, AgentName, Durability, Epoch, Millis, Partition, Pool, SessionId, TurnPolicy,
        WorkerConfig, WorkerId,
    },
    planted::{Bug, planted},
    store::{Lapsed, Store},
};

/// For how many leases it is known who is gone: a burial that is under way tells of it once more.
const REMEMBERED_LEASES: u32 = 10;

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
    /// Sessions that are being passed on to other workers: a drain waits for these.
    pub(super) passing: TaskTracker,
    /// Those that were passed on, or are being.
    pub(super) passed_on: Mutex<BTreeSet<SessionId>>,
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
    gone: Mutex<BTreeMap<WorkerId, Gone>>,
    /// Whether a duty is to be had that one of them left.
    duty_left: AtomicBool,
    seen_epoch: AtomicU64,
}

/// A worker that was there and is no more.
#[derive(Debug)]
struct Gone {
    /// When that was noticed.
    since: Moment,
    /// Buried: this incarnation of it does not come back.
    is_buried: bool,
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

    /// A worker is not on the list of members any more: see [`lost_one`](Self::lost_one). It may come back.
    pub(super) fn missed(&self, worker: &WorkerId, now: Moment) {
        self.lost_one(worker, Gone { since: now, is_buried: false });
    }

    /// A worker was buried, whether or not it was missed before.
    pub(super) fn buried(&self, worker: &WorkerId, now: Moment) {
        self.lost_one(worker, Gone { since: now, is_buried: true });
    }

    /// A worker is gone: there is one less to share the duties with, and those it had are free. Counts once for each.
    fn lost_one(&self, worker: &WorkerId, gone: Gone) {
        match self.gone().entry(worker.clone()) {
            Entry::Occupied(mut known) => return known.get_mut().is_buried |= gone.is_buried,
            Entry::Vacant(entry) => _ = entry.insert(gone),
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
        if self.gone().get(keeper).is_some_and(|gone| now.since(gone.since) < lease) {
            self.leaves_a_duty();
        }
    }

    /// These are there: who was missed is not gone. Who was buried is, for all that the list may still say, and is
    /// remembered for so long that it is not counted again.
    pub(super) fn met(&self, members: &[WorkerId], now: Moment, lease: Duration) {
        self.gone().retain(|worker, gone| match (members.contains(worker), gone.is_buried) {
            (true, is_buried) => is_buried,
            (false, _) => now.since(gone.since) < lease * REMEMBERED_LEASES,
        });
    }

    fn leaves_a_duty(&self) {
        self.duty_left.store(!planted(Bug::NoHeir), Ordering::Relaxed);
        self.room.notify_one();
    }

    /// Whether a duty was left since this was asked last.
    pub(super) fn takes_duty_left(&self) -> bool {
        self.duty_left.swap(false, Ordering::Relaxed)
    }

    fn gone(&self) -> MutexGuard<'_, BTreeMap<WorkerId, Gone>> {
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

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(10);

    fn at(secs: u64) -> Moment {
        Moment::default().plus(Duration::from_secs(secs))
    }

    fn counts(alive: usize) -> Counts {
        let counts = Counts::default();
        counts.alive.store(alive, Ordering::Relaxed);
        counts
    }

    fn worker(n: u64) -> WorkerId {
        format!("w-{n:08x}").parse().unwrap()
    }

    #[test]
    fn who_was_missed_and_comes_back_leaves_no_duty() {
        let counts = counts(3);
        counts.missed(&worker(1), at(0));
        assert!(counts.takes_duty_left());
        counts.kept_by(&worker(1), at(1), LEASE);
        assert!(counts.takes_duty_left(), "it may be gone");
        counts.met(&[worker(1)], at(1), LEASE);
        counts.kept_by(&worker(1), at(2), LEASE);
        assert!(!counts.takes_duty_left(), "it is there");
    }

    #[test]
    fn who_is_missed_and_buried_is_counted_once_though_the_list_still_names_it() {
        let counts = counts(3);
        counts.missed(&worker(1), at(0));
        counts.buried(&worker(1), at(1));
        counts.met(&[worker(1)], at(2), LEASE);
        counts.missed(&worker(1), at(3));
        assert_eq!(counts.alive.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn who_comes_back_and_goes_again_is_counted_again() {
        let counts = counts(3);
        counts.missed(&worker(1), at(0));
        counts.met(&[worker(1)], at(1), LEASE);
        counts.missed(&worker(1), at(2));
        assert_eq!(counts.alive.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn the_gone_of_long_ago_are_forgotten() {
        let counts = counts(0);
        for n in 0..1_000 {
            counts.buried(&worker(n), at(n));
            counts.met(&[], at(n), LEASE);
        }
        assert_eq!(counts.gone().len(), 100, "those of ten leases");
    }
}
