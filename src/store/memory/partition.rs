//! What one partition holds, and the invariant that every operation restores.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use super::{hints::Hints, replies::Replies, stream::Stream};
use crate::{
    model::{
        AgentName, Door, Entry, IdempotencyKey, Limits, MessageId, Millis, Pool, ReplyTo, SessionId,
        SessionRecord, StreamId, Token, WorkerId,
    },
    store::{DeadLetter, Duty, Mail, StoreError, StoreResult},
};

/// One atomic step: when it happens, under which limits, through what it tells others, and where replies go.
pub(super) struct Step<'a> {
    pub(super) now: Millis,
    pub(super) limits: Limits,
    pub(super) hints: &'a mut Hints,
    pub(super) replies: &'a mut Replies,
}

/// All keys of one partition.
#[derive(Debug, Clone, Default)]
pub(super) struct Keyspace {
    pub(super) sessions: BTreeMap<SessionId, Session>,
    pub(super) workers: BTreeMap<WorkerId, WorkerLease>,
    pub(super) ready: BTreeMap<(Pool, AgentName), BTreeMap<SessionId, Millis>>,
    pub(super) idle: BTreeMap<(Pool, AgentName), BTreeMap<WorkerId, u64>>,
    pub(super) held: BTreeMap<WorkerId, BTreeSet<SessionId>>,
    pub(super) timers: BTreeMap<SessionId, Millis>,
    pub(super) index: BTreeSet<SessionId>,
    pub(super) out: Stream<Outgoing>,
    pub(super) dead: Stream<DeadLetter>,
    pub(super) cursors: BTreeMap<Door, StreamId>,
    pub(super) duty: Option<Duty>,
    pub(super) ids: BTreeMap<(SessionId, IdempotencyKey), Remembered>,
}

/// All keys of one session.
#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) record: SessionRecord,
    /// If set, the record was written by a newer version: why it cannot be read.
    pub(super) newer: Option<String>,
    own: Option<(Token, Millis)>,
    pub(super) state: Option<String>,
    pub(super) inbox: VecDeque<Mail>,
    pub(super) history: Vec<Entry>,
}

/// A worker's own lease in the partition.
#[derive(Debug, Clone, Copy)]
pub(super) enum WorkerLease {
    Living { deadline: Millis, lease: Duration },
    Buried { at: Millis },
}

/// What a worker's lease comes to at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Alive,
    Overdue,
    Buried,
    Unknown,
}

/// A reply in `out`.
#[derive(Debug, Clone)]
pub(super) struct Outgoing {
    pub(super) to: ReplyTo,
    pub(super) payload: String,
    pub(super) session: Option<SessionId>,
    pub(super) message: Option<MessageId>,
    /// The incarnation that wrote it and will deliver it; none if a door did.
    pub(super) writer: Option<WorkerId>,
    pub(super) time: Millis,
}

/// What is remembered of an idempotency key.
#[derive(Debug, Clone)]
pub(super) struct Remembered {
    pub(super) message: MessageId,
    pub(super) answer: Option<String>,
    pub(super) waiters: BTreeSet<ReplyTo>,
    pub(super) until: Millis,
}

impl Keyspace {
    /// Restores the invariant for `session`.
    pub(super) fn settle(&mut self, session: &SessionId, now: Millis) {
        let Some(Session { record, inbox, .. }) = self.sessions.get(session) else { return };
        let runnable = record.is_runnable(inbox.len() as u64);
        let queue = (record.pool.clone(), session.agent());
        match (&record.owner, runnable) {
            (None, true) => _ = self.ready.entry(queue).or_default().entry(session.clone()).or_insert(now),
            _ => leave(&mut self.ready, &queue, session),
        }
        set_timer(&mut self.timers, session, record.backoff);
        if let Some(owner) = &record.owner {
            self.held.entry(owner.worker.clone()).or_default().insert(session.clone());
        }
        self.index.insert(session.clone());
    }

    /// Offers `session` to the least loaded worker of `pool` with room, at most three tries; who was told.
    pub(super) fn offer_around(
        &mut self,
        session: &SessionId,
        pool: &Pool,
        except: Option<&WorkerId>,
        hints: &mut Hints,
    ) -> Option<WorkerId> {
        const TRIES: usize = 3;
        const ONE_SESSION: u64 = 1_000;
        let idle = self.idle.get_mut(&(pool.clone(), session.agent()))?;
        let mut by_load: Vec<_> = idle.iter().map(|(worker, load)| (*load, worker.clone())).collect();
        by_load.sort();
        by_load.retain(|(_, worker)| Some(worker) != except);
        for (load, worker) in by_load.into_iter().take(TRIES) {
            if hints.offer(&worker, session) {
                idle.insert(worker.clone(), load + ONE_SESSION);
                return Some(worker);
            }
            idle.remove(&worker);
        }
        None
    }

    /// How `worker` stands in this partition.
    pub(super) fn standing(&self, worker: &WorkerId, now: Millis) -> Standing {
        match self.workers.get(worker) {
            None => Standing::Unknown,
            Some(WorkerLease::Buried { .. }) => Standing::Buried,
            Some(WorkerLease::Living { deadline, .. }) if now > *deadline => Standing::Overdue,
            Some(WorkerLease::Living { .. }) => Standing::Alive,
        }
    }

    /// Whether `worker` was buried, or never joined.
    pub(super) fn is_gone(&self, worker: &WorkerId) -> bool {
        !matches!(self.workers.get(worker), Some(WorkerLease::Living { .. }))
    }

    /// The session, if it is there and can be read.
    pub(super) fn session(&mut self, id: &SessionId) -> StoreResult<Option<&mut Session>> {
        match self.sessions.get_mut(id) {
            Some(Session { newer: Some(why), .. }) => {
                Err(StoreError::unreadable(format!("session {id}"), why.as_str()))
            }
            found => Ok(found),
        }
    }

    /// What is remembered of `id`, unless its time is over.
    pub(super) fn remembered(
        &mut self,
        session: &SessionId,
        id: &IdempotencyKey,
        now: Millis,
    ) -> Option<&mut Remembered> {
        self.ids.get_mut(&(session.clone(), id.clone())).filter(|remembered| now <= remembered.until)
    }

    /// Forgets for good what lapsed.
    pub(super) fn forget_lapsed(&mut self, now: Millis) {
        self.ids.retain(|_, remembered| now <= remembered.until);
        for session in self.sessions.values_mut() {
            session.own.take_if(|(_, until)| now > *until);
        }
    }

    /// Takes `session` out of `held` of `worker`.
    pub(super) fn let_go(&mut self, worker: &WorkerId, session: &SessionId) {
        if let Some(held) = self.held.get_mut(worker) {
            held.remove(session);
        }
    }
}

/// Makes the timer of `session` agree with what it waits for.
pub(super) fn set_timer(timers: &mut BTreeMap<SessionId, Millis>, session: &SessionId, due: Option<Millis>) {
    match due {
        Some(due) => _ = timers.insert(session.clone(), due),
        None => _ = timers.remove(session),
    }
}

/// Takes `member` out of one of a family of sorted sets.
pub(super) fn leave<K: Ord, M: Ord, V>(family: &mut BTreeMap<K, BTreeMap<M, V>>, key: &K, member: &M) {
    if let Some(set) = family.get_mut(key) {
        set.remove(member);
    }
}

impl Session {
    /// A session that its first message is about to make.
    pub(super) fn made(pool: Pool, now: Millis) -> Self {
        let record = SessionRecord::made(pool, now);
        let (inbox, history) = (VecDeque::new(), Vec::new());
        Self { record, newer: None, own: None, state: None, inbox, history }
    }

    /// Messages in its inbox.
    pub(super) fn waiting(&self) -> u64 {
        self.inbox.len() as u64
    }

    /// Whether a worker should run it now.
    pub(super) fn is_runnable(&self) -> bool {
        self.record.is_runnable(self.waiting())
    }

    /// The first `page` messages of its inbox.
    pub(super) fn mail(&self, page: usize) -> Vec<Mail> {
        self.inbox.iter().take(page).cloned().collect()
    }

    /// Whether `token` is its owner's.
    pub(super) fn is_owned_by(&self, token: &Token) -> bool {
        self.record.owner.as_ref() == Some(token)
    }

    /// Sets `own`, the registry's word on the owner, for `ttl` from now.
    pub(super) fn register(&mut self, token: &Token, ttl: Duration, now: Millis) {
        self.own = Some((token.clone(), now.plus(ttl)));
    }

    /// Takes `own` away.
    pub(super) fn unregister(&mut self) {
        self.own = None;
    }

    /// What stands in `own`, unless it lapsed.
    pub(super) fn own(&self, now: Millis) -> Option<&Token> {
        self.own.as_ref().filter(|(_, until)| now <= *until).map(|(token, _)| token)
    }

    /// Clears the owner; its name stays.
    pub(super) fn disown(&mut self, now: Millis) {
        if let Some(owner) = self.record.owner.take() {
            self.record.last_owner = Some(owner.worker);
            self.record.updated = now;
        }
        self.unregister();
    }
}
