//! What must hold after every step, looked at where the step touched something.
//!
//! The watch remembers of each session what it saw last, and compares. It reads the store from the
//! side and knows nothing of what workers believe, except how long each may trust its leases: that it
//! works out for itself from the renewals that it sees answered.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    choice::{Actor, Object, Op},
    invariants as must,
    known::{Broken, Known, indexes, suspension},
    names::Names,
    process::Process,
    world::State,
};
use crate::{
    model::{AGAIN_AFTER, Lease, LeaseTimes, Partition, SessionId, WorkerId},
    runtime::Moment,
    store::{MemoryStore, Presence, Relayed, RelayedKind, Renewal, StoreResult, memory::SessionSight},
};

/// How long a wait may really be of which a worker's clock says that it is over: clocks drift by two in a hundred.
const SLOWEST: f64 = 0.97;

/// What the watch remembers.
#[derive(Default)]
pub(super) struct Watch {
    writers: Vec<Option<(Actor, Op)>>,
    touched: Vec<(Object, Op)>,
    relayed: BTreeSet<SessionId>,
    known: BTreeMap<SessionId, Known>,
    trust: BTreeMap<(WorkerId, Partition), Trusted>,
    /// Until when who has just come may be wrong about those that are not heard: the server lost renewals, or its clock
    /// was set (see `docs/decisions/0020`).
    in_doubt_until: Duration,
    /// When a worker's clock leapt last.
    clock_leapt: Option<Duration>,
}

/// How long a worker may believe in its lease in one partition.
struct Trusted {
    actor: Actor,
    until: Moment,
    seen: Seen,
}

/// What others may make of a worker that trusts its lease.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// It lives.
    Alive,
    /// Its lifeline was broken for so long that they may take it for dead, wrongly; then it is fenced, and told.
    Missed,
    /// Somebody did.
    GivenUp,
    /// It said that it is over; whatever is still answered to it.
    Over,
}

impl Trusted {
    fn until(actor: Actor, until: Moment) -> Self {
        Self { actor, until, seen: Seen::Alive }
    }

    fn holds(&self, processes: &dyn Fn(Actor) -> (bool, Moment)) -> bool {
        let (is_there, now) = processes(self.actor);
        is_there && matches!(self.seen, Seen::Alive | Seen::Missed) && now < self.until
    }
}

impl Watch {
    /// Who wrote an object last.
    pub(super) fn last_writer(&self, object: Object) -> Option<(Actor, Op)> {
        *self.writers.get(usize::try_from(object.0).ok()?)?
    }

    /// An operation took effect there.
    pub(super) fn touched(&mut self, object: Object, actor: Actor, op: Op) {
        let index = usize::try_from(object.0).expect("few objects");
        if self.writers.len() <= index {
            self.writers.resize(index + 1, None);
        }
        if op.writes() {
            self.writers[index] = Some((actor, op));
            self.touched.push((object, op));
        }
    }

    /// These are about to be relayed: a relay touches their sessions.
    pub(super) fn relays(&mut self, batch: &[Relayed]) {
        for relayed in batch {
            if let RelayedKind::Message(message) = &relayed.what
                && !self.relayed.contains(&message.session)
            {
                self.relayed.insert(message.session.clone());
            }
        }
    }

    /// A worker says itself that it is over.
    pub(super) fn gives_up(&mut self, worker: &WorkerId, partition: Partition) {
        if let Some(trusted) = self.trust.get_mut(&(worker.clone(), partition)) {
            trusted.seen = Seen::Over;
        }
    }

    /// An incarnation is over, because it was told so or found out: it trusts nothing any more, and must write nothing.
    pub(super) fn incarnation_over(&mut self, worker: &WorkerId) {
        let its_own = self.trust.iter_mut().filter(|((whose, _), _)| whose == worker);
        its_own.for_each(|(_, trusted)| trusted.seen = Seen::Over);
    }

    /// A worker's lifeline is broken since then, though it lives: for so long that others may have missed it at every
    /// look, by clocks that go a little fast, or leapt.
    pub(super) fn lifeline_broke(&mut self, actor: Actor, since: Duration, now: Duration) {
        let looks: Duration = AGAIN_AFTER.iter().sum();
        if now - since >= looks.mul_f64(SLOWEST) || self.clock_leapt.is_some_and(|leapt| leapt >= since) {
            let its_own = self
                .trust
                .values_mut()
                .filter(|trusted| trusted.actor == actor && trusted.seen == Seen::Alive);
            its_own.for_each(|trusted| trusted.seen = Seen::Missed);
        }
    }

    /// Somebody buries a worker whose lifeline it misses.
    pub(super) fn gives_up_on(&mut self, worker: &WorkerId, partition: Partition) {
        let trusted = self.trust.get_mut(&(worker.clone(), partition));
        if let Some(trusted) = trusted.filter(|trusted| trusted.seen == Seen::Missed) {
            trusted.seen = Seen::GivenUp;
        }
    }

    /// Somebody buries by deadline a worker that is subscribed nowhere.
    pub(super) fn gives_up_unheard(&mut self, worker: &WorkerId, partition: Partition, now: Duration) {
        let trusted = self.trust.get_mut(&(worker.clone(), partition));
        if let Some(trusted) =
            trusted.filter(|trusted| now < self.in_doubt_until && trusted.seen != Seen::Over)
        {
            trusted.seen = Seen::GivenUp;
        }
    }

    /// Some worker's clock leapt forward: it may have looked several times at once.
    pub(super) fn clock_leapt(&mut self, now: Duration) {
        self.clock_leapt = Some(now);
    }

    /// What the server says of deadlines is in doubt for a lease.
    pub(super) fn doubt_deadlines(&mut self, now: Duration) {
        self.in_doubt_until = now + LeaseTimes::default().ttl();
    }

    /// The server lost writes: what it holds now is all that counts.
    pub(super) fn forget(&mut self) {
        self.known.clear();
    }

    /// Sessions met, and messages that every one of them has not finished.
    pub(super) fn unfinished(&self) -> u64 {
        self.known.values().map(|known| known.given - known.taken).sum()
    }

    /// Who trusts its lease, and where.
    pub(super) fn trusting(
        &self,
        processes: &dyn Fn(Actor) -> (bool, Moment),
    ) -> impl Iterator<Item = (Actor, &WorkerId, Partition)> {
        let trusting = self.trust.iter().filter(|(_, trusted)| trusted.holds(processes));
        trusting.map(|((worker, partition), trusted)| (trusted.actor, worker, *partition))
    }

    fn sessions(&mut self, names: &Names) -> Vec<(SessionId, Op)> {
        let mut sessions = Vec::new();
        for (object, op) in std::mem::take(&mut self.touched) {
            match names.as_session(object) {
                Some(session) => sessions.push((session.clone(), op)),
                None if op == Op::Relay => sessions.extend(self.relayed.iter().map(|one| (one.clone(), op))),
                None => (),
            }
        }
        sessions
    }

    fn look(
        &mut self,
        session: &SessionId,
        partition: Partition,
        op: Op,
        sight: Option<SessionSight>,
        processes: &dyn Fn(Actor) -> (bool, Moment),
    ) -> Result<(), Broken> {
        let Some(sight) = sight else {
            return match self.known.remove(session) {
                Some(known) if op != Op::Delete && known.given > 0 => {
                    Err((must::ONE_PLACE, format!("{session} is gone, and nobody deleted it")))
                }
                _ => Ok(()),
            };
        };
        indexes(session, &sight)?;
        suspension(session, &sight, op)?;
        let Some(known) = self.known.get_mut(session) else {
            self.known.insert(session.clone(), Known::of(session, &sight)?);
            return Ok(());
        };
        if let Some(old) = known.owner.as_ref().filter(|old| sight.record.owner.as_ref() != Some(old)) {
            let trusted = self.trust.get(&(old.worker.clone(), partition));
            let new = sight.record.owner.as_ref();
            let is_own =
                matches!(op, Op::Release | Op::Delete) || new.is_some_and(|new| new.worker == old.worker);
            if !is_own && trusted.is_some_and(|trusted| trusted.holds(processes)) {
                let new = new.map_or("nobody".to_owned(), ToString::to_string);
                let how =
                    format!("{session} went from {old}, who trusts its lease, to {new} by {}", op.as_str());
                return Err((must::ONE_OWNER, how));
            }
        }
        known.word(session, &sight, op)?;
        known.follow(session, &sight)
    }
}

impl State {
    /// A renewal was answered to a worker that asked for it at `asked`.
    pub(super) fn renewed(
        &mut self,
        actor: Actor,
        partition: Partition,
        presence: &Presence,
        asked: Moment,
        answer: &StoreResult<Renewal>,
    ) {
        let Ok(Renewal::Renewed { .. }) = answer else { return };
        let Ok(times) = LeaseTimes::new(presence.lease) else { return };
        let until = asked.plus(times.trusted_for());
        self.unowned.told(partition, presence);
        let key = (presence.worker.clone(), partition);
        let trusted = self.watch.trust.entry(key).or_insert(Trusted::until(actor, until));
        trusted.until = trusted.until.max(until);
    }

    /// A renewal was granted to a worker that is buried.
    pub(super) fn revived(&mut self, worker: &WorkerId) {
        self.fail(must::BURIED, format!("{worker} is buried, and renewed its lease"));
    }

    /// A worker sends a commit.
    pub(super) fn commits(&mut self, actor: Actor, partition: Partition, lease: &Lease) {
        let now = self.local_time(actor);
        let worker = &lease.token().worker;
        let trusted = self.watch.trust.get(&(worker.clone(), partition));
        if trusted.is_none_or(|trusted| now >= trusted.until || trusted.seen == Seen::Over) {
            let until = trusted.map(|trusted| trusted.until.elapsed());
            let now = now.elapsed();
            let session = lease.session();
            let how =
                format!("{worker} commits to {session} at {now:?} of its clock, trusting until {until:?}");
            self.fail(must::TRUST, how);
        }
    }

    /// Looks at what the last step touched.
    pub(super) fn check_touched(&mut self) {
        let sessions = self.watch.sessions(&self.names);
        for (session, op) in sessions {
            self.check_session(&session, op);
        }
    }

    /// Looks at all sessions that were ever met.
    pub(super) fn check_all(&mut self) {
        for session in self.names.sessions().to_vec() {
            self.check_session(&session, Op::Look);
        }
    }

    fn check_session(&mut self, session: &SessionId, op: Op) {
        let now = self.now();
        let store: MemoryStore = self.server.store().clone();
        let partition = self.server.partition_of(session);
        let (processes, workers) = (&self.processes, self.workers);
        let there = |actor: Actor| clock_of(processes, workers, actor, now);
        let (watch, unowned) = (&mut self.watch, &mut self.unowned);
        let looked = store.inspect(session, |sight| {
            match &sight {
                Some(sight) => unowned.saw(session, partition, sight),
                None => unowned.gone(session),
            }
            watch.look(session, partition, op, sight, &there)
        });
        if let Err((invariant, sentence)) = looked {
            self.fail(invariant, sentence);
        }
    }

    /// Whether a process is there, and what its clock shows.
    pub(super) fn own_clock(&self, actor: Actor) -> (bool, Moment) {
        clock_of(&self.processes, self.workers, actor, self.now())
    }

    /// A worker's process is no more: nobody trusts anything there.
    pub(super) fn distrust(&mut self, actor: Actor) {
        self.watch.trust.retain(|_, trusted| trusted.actor != actor);
    }
}

/// Whether a process is there, and what its clock shows.
fn clock_of(processes: &[Process], workers: u16, actor: Actor, now: Duration) -> (bool, Moment) {
    let index = match actor {
        Actor::Worker(worker) => worker,
        Actor::Client(client) => workers + client,
        Actor::World => return (false, Moment::default()),
    };
    let process = &processes[usize::from(index)];
    (process.is_up, process.clock.at(now))
}
