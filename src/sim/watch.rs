//! What must hold after every step, looked at where the step touched something.
//!
//! The watch remembers of each session what it saw last, and compares. It reads the store from the
//! side and knows nothing of what workers believe, except how long each may trust its leases: that it
//! works out for itself from the renewals that it sees answered.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{
    choice::{Actor, Object, Op},
    names::Names,
    process::Process,
    world::State,
};
use crate::{
    model::{EntryKind, Epoch, Lease, LeaseTimes, MessageId, Partition, SessionId, Token, WorkerId},
    runtime::Moment,
    store::{Mail, MemoryStore, Presence, Relayed, RelayedKind, Renewal, StoreResult, memory::SessionSight},
};

/// Names of what must hold after every step.
pub mod invariants {
    /// A session is taken from nobody who may still believe in its lease.
    pub const ONE_OWNER: &str = "never two unfenced owners";
    /// Entries and epochs of a session follow each other without gaps, each under the epoch of its owner.
    pub const CHAIN: &str = "epochs and seqs form one chain";
    /// A message is in one place from its acceptance on.
    pub const ONE_PLACE: &str = "every accepted message is in exactly one place";
    /// No boundary is written on a lease that is not trusted any more.
    pub const TRUST: &str = "nobody acts on a lease outside its trust window";
    /// Who is buried renews nothing any more.
    pub const BURIED: &str = "the buried stay buried";
    /// A lazy turn whose owner died in the middle of it goes on at somebody's word, and not before.
    pub const WORD: &str = "a suspended turn waits for a word";
    /// `ready`, `held`, `timers` and `index` say what the sessions say.
    pub const INDEXES: &str = "indexes agree with the sessions";
    /// Each message ends once.
    pub const ONE_END: &str = "exactly one end of each turn";
    /// Nothing of the runtime, and no client, panics.
    pub const NO_PANIC: &str = "nothing panics";
    /// When faults have stopped, everything is finished in time.
    pub const LIVENESS: &str = "everything is finished when faults have stopped";
    /// What a client was told is accepted is answered in the end.
    pub const NO_LOSS: &str = "no acknowledged message is lost";
    /// The answers that everybody got about a session could have been given one after the other.
    pub const LINEAR: &str = "each session is linearizable";
    /// A reader finds what it read before, and more.
    pub const READERS: &str = "each reader sees histories grow";
    /// Whoever saw something finds all that it came of, across sessions.
    pub const CAUSES: &str = "nobody sees an effect without its cause";
    /// A run ends.
    pub const ENDS: &str = "a run ends";
}

use invariants as must;

/// What does not hold: the name of it, and how.
type Broken = (&'static str, String);

/// What the watch remembers.
#[derive(Default)]
pub(super) struct Watch {
    writers: Vec<Option<(Actor, Op)>>,
    touched: Vec<(Object, Op)>,
    relayed: BTreeSet<SessionId>,
    known: BTreeMap<SessionId, Known>,
    trust: BTreeMap<(WorkerId, Partition), Trusted>,
    /// Until when others may be judged by deadlines that are not theirs: the server's clock was set, which a worker that
    /// has just come cannot know, or renewals were lost with the server, which nobody is told yet.
    deadlines_in_doubt: std::time::Duration,
}

/// How long a worker may believe in its lease in one partition.
struct Trusted {
    actor: Actor,
    until: Moment,
}

/// A session, as it was seen last.
struct Known {
    owner: Option<Token>,
    epoch: Option<Epoch>,
    seq: u64,
    given: u64,
    taken: u64,
    turns: u64,
    is_suspended: bool,
    waiting: VecDeque<Option<MessageId>>,
    ended: BTreeSet<MessageId>,
}

impl Trusted {
    fn holds(&self, processes: &dyn Fn(Actor) -> (bool, Moment)) -> bool {
        let (is_there, now) = processes(self.actor);
        is_there && now < self.until
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
        self.trust.remove(&(worker.clone(), partition));
    }

    /// The server lost writes: what it holds now is all that counts.
    pub(super) fn forget(&mut self, now: std::time::Duration) {
        self.known.clear();
        self.doubt_deadlines(now);
    }

    /// For a lease from now, deadlines at the server are not those that workers were told.
    pub(super) fn doubt_deadlines(&mut self, now: std::time::Duration) {
        self.deadlines_in_doubt = now + LeaseTimes::default().ttl();
    }

    /// Sessions met, and messages that every one of them has not finished.
    pub(super) fn unfinished(&self) -> u64 {
        self.known.values().map(|known| known.given - known.taken).sum()
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
        now: std::time::Duration,
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
            let is_judged = now >= self.deadlines_in_doubt;
            if !is_own && is_judged && trusted.is_some_and(|trusted| trusted.holds(processes)) {
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

impl Known {
    /// A session that is seen for the first time.
    fn of(session: &SessionId, sight: &SessionSight) -> Result<Self, Broken> {
        let mut known = Self {
            owner: None,
            epoch: None,
            seq: 0,
            given: 0,
            taken: 0,
            turns: 0,
            is_suspended: false,
            waiting: VecDeque::new(),
            ended: BTreeSet::new(),
        };
        let record = sight.record;
        known.take_ends(session, sight)?;
        known.taken = record.taken;
        known.given = record.taken;
        known.inbox(session, sight)?;
        known.adopt(sight);
        Ok(known)
    }

    /// What changed since, if that may be.
    fn follow(&mut self, session: &SessionId, sight: &SessionSight) -> Result<(), Broken> {
        self.chain(session, sight)?;
        self.take_ends(session, sight)?;
        self.inbox(session, sight)?;
        self.adopt(sight);
        Ok(())
    }

    fn adopt(&mut self, sight: &SessionSight) {
        let record = sight.record;
        if self.owner != record.owner {
            self.owner = record.owner.clone();
        }
        (self.epoch, self.seq, self.turns) = (record.epoch, record.seq, record.turns);
        (self.given, self.taken) = (record.given, record.taken);
        self.is_suspended = record.suspended.is_some();
    }

    /// A lazy turn in the middle is suspended when it is taken from the dead, and goes on at a word.
    fn word(&self, session: &SessionId, sight: &SessionSight, op: Op) -> Result<(), Broken> {
        let record = sight.record;
        let words = [Op::Send, Op::Relay, Op::Revive, Op::Proceed, Op::Free, Op::Delete];
        if self.is_suspended && record.suspended.is_none() && !words.contains(&op) {
            return Err((must::WORD, format!("{session} goes on by {}", op.as_str())));
        }
        let old = self.owner.as_ref().map(|token| &token.worker);
        let is_taken = matches!(op, Op::Reap | Op::Claim)
            && old.is_some()
            && record.owner.as_ref().map(|token| &token.worker) != old;
        let suspends = record.is_suspended_by_death(sight.inbox.len() as u64);
        if is_taken && suspends && record.suspended.is_none() {
            return Err((must::WORD, format!("{session} was taken from the dead and goes on: {record:?}")));
        }
        Ok(())
    }

    fn chain(&self, session: &SessionId, sight: &SessionSight) -> Result<(), Broken> {
        let record = sight.record;
        let broken = |how: String| Err((must::CHAIN, format!("{session}: {how}")));
        if record.epoch < self.epoch {
            return broken(format!("the epoch went from {:?} back to {:?}", self.epoch, record.epoch));
        }
        let is_new_owner = record.owner.is_some() && record.owner != self.owner;
        if is_new_owner && record.epoch <= self.epoch {
            return broken(format!("{:?} has the epoch of an older claim", record.owner));
        }
        if record.seq < self.seq || sight.history.len() as u64 != record.seq {
            let entries = sight.history.len();
            return broken(format!("seq {} after {}, with {entries} entries", record.seq, self.seq));
        }
        for (entry, seq) in sight.history[self.seq as usize..].iter().zip(self.seq + 1..) {
            if entry.id.seq != seq {
                return broken(format!("entry {} stands where {seq} belongs", entry.id));
            }
            if Some(entry.id.epoch) != self.epoch || self.owner.is_none() {
                return broken(format!("entry {} was written while {:?} owned it", entry.id, self.owner));
            }
        }
        if record.turns < self.turns || record.turns > self.turns + 1 {
            return broken(format!("{} turns after {}", record.turns, self.turns));
        }
        Ok(())
    }

    /// The messages whose turn ended: each has one `user` entry, ever.
    fn take_ends(&mut self, session: &SessionId, sight: &SessionSight) -> Result<(), Broken> {
        for entry in &sight.history[self.seq as usize..] {
            let Some(message) = entry.message.filter(|_| entry.kind == EntryKind::User) else { continue };
            if !self.ended.insert(message) {
                return Err((must::ONE_END, format!("{session}: message {message} has two `user` entries")));
            }
        }
        Ok(())
    }

    /// The inbox holds all messages that were given and not taken, in order.
    fn inbox(&mut self, session: &SessionId, sight: &SessionSight) -> Result<(), Broken> {
        let record = sight.record;
        let broken = |how: String| Err((must::ONE_PLACE, format!("{session}: {how}")));
        for number in self.taken + 1..=record.taken {
            let Some(gone) = self.waiting.pop_front() else {
                return broken(format!("message {number} was taken before it was given"));
            };
            if gone.is_some_and(|gone| !self.ended.contains(&gone)) {
                return broken(format!("message {number} left the inbox and is in no history"));
            }
        }
        if sight.inbox.len() as u64 != record.given - record.taken.min(record.given) {
            let (given, taken, waiting) = (record.given, record.taken, sight.inbox.len());
            return broken(format!("{given} given, {taken} taken, and {waiting} wait"));
        }
        for (mail, number) in sight.inbox.iter().zip(record.taken + 1..) {
            let named = match mail {
                Mail::Message(message) | Mail::Malformed(message, _) => {
                    Some((message.number, message.message))
                }
                Mail::Unreadable(_) => None,
            };
            if named.is_some_and(|(has, _)| has != number) {
                return broken(format!("message {named:?} stands where {number} belongs"));
            }
            let index = usize::try_from(number - record.taken - 1).expect("short inboxes");
            match self.waiting.get(index) {
                Some(Some(known)) if named.is_some_and(|(_, name)| name != *known) => {
                    return broken(format!("message {number} became {named:?}"));
                }
                Some(_) => (),
                None => self.waiting.push_back(named.map(|(_, name)| name)),
            }
        }
        Ok(())
    }
}

/// *no owner and runnable ⇔ in `ready`*, and so on: as the store's contract says.
fn indexes(session: &SessionId, sight: &SessionSight) -> Result<(), Broken> {
    let record = sight.record;
    let wants_owner = record.owner.is_none() && record.is_runnable(sight.inbox.len() as u64);
    let rules = [
        (sight.is_ready == wants_owner, "in `ready` exactly if it has no owner and is runnable"),
        (sight.timer == record.backoff, "in `timers` exactly if it waits for a time"),
        (sight.is_held, "in `held` of its owner"),
        (sight.is_indexed, "in `index`"),
    ];
    match rules.into_iter().find(|(holds, _)| !holds) {
        Some((_, rule)) => Err((must::INDEXES, format!("{session} should be {rule}: {record:?}"))),
        None => Ok(()),
    }
}

/// What is suspended is nobody's, and is a lazy turn in the middle with nothing behind it.
fn suspension(session: &SessionId, sight: &SessionSight, op: Op) -> Result<(), Broken> {
    let record = sight.record;
    let is_right = record.owner.is_none() && record.is_suspended_by_death(sight.inbox.len() as u64);
    if record.suspended.is_none() || is_right || op == Op::Delete {
        return Ok(());
    }
    Err((must::WORD, format!("{session} should not be suspended: {record:?}")))
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
        let key = (presence.worker.clone(), partition);
        let trusted = self.watch.trust.entry(key).or_insert(Trusted { actor, until });
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
        if trusted.is_none_or(|trusted| now >= trusted.until) {
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
        let there = |actor: Actor| match actor {
            Actor::Worker(worker) => clock_of(&processes[usize::from(worker)], now),
            Actor::Client(client) => clock_of(&processes[usize::from(workers + client)], now),
            Actor::World => (false, Moment::default()),
        };
        let watch = &mut self.watch;
        let looked = store.inspect(session, |sight| watch.look(session, partition, op, sight, now, &there));
        if let Err((invariant, sentence)) = looked {
            self.fail(invariant, sentence);
        }
    }

    /// A worker's process is no more: nobody trusts anything there.
    pub(super) fn distrust(&mut self, actor: Actor) {
        self.watch.trust.retain(|_, trusted| trusted.actor != actor);
    }
}

fn clock_of(process: &Process, now: std::time::Duration) -> (bool, Moment) {
    (process.is_up, process.clock.at(now))
}
