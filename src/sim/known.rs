//! A session as it was seen last, and what may have become of it since.

use std::collections::{BTreeSet, VecDeque};

use super::{choice::Op, invariants as must};
use crate::{
    model::{EntryKind, Epoch, MessageId, SessionId, Token},
    store::{Mail, memory::SessionSight},
};

/// What does not hold: the name of it, and how.
pub(super) type Broken = (&'static str, String);

/// A session, as it was seen last.
pub(super) struct Known {
    pub(super) owner: Option<Token>,
    epoch: Option<Epoch>,
    seq: u64,
    pub(super) given: u64,
    pub(super) taken: u64,
    turns: u64,
    is_suspended: bool,
    waiting: VecDeque<Option<MessageId>>,
    ended: BTreeSet<MessageId>,
}

impl Known {
    /// A session that is seen for the first time.
    pub(super) fn of(session: &SessionId, sight: &SessionSight) -> Result<Self, Broken> {
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
    pub(super) fn follow(&mut self, session: &SessionId, sight: &SessionSight) -> Result<(), Broken> {
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
    pub(super) fn word(&self, session: &SessionId, sight: &SessionSight, op: Op) -> Result<(), Broken> {
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
pub(super) fn indexes(session: &SessionId, sight: &SessionSight) -> Result<(), Broken> {
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
pub(super) fn suspension(session: &SessionId, sight: &SessionSight, op: Op) -> Result<(), Broken> {
    let record = sight.record;
    let is_right = record.owner.is_none() && record.is_suspended_by_death(sight.inbox.len() as u64);
    if record.suspended.is_none() || is_right || op == Op::Delete {
        return Ok(());
    }
    Err((must::WORD, format!("{session} should not be suspended: {record:?}")))
}
