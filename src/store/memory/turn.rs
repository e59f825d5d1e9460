//! The boundary write.

use std::collections::BTreeSet;

use super::{
    door::{REMEMBER_ID, asked_by, body_of},
    partition::{Keyspace, Outgoing, Remembered, Session, Step},
};
use crate::{
    model::{
        Entry, EntryId, Hold, IdempotencyKey, Lease, MessageId, Partition, ReplyTo, SessionId, StreamId,
        WorkerId,
    },
    planted::{Bug, planted},
    store::{Boundary, Commit, DeadLetter, Head, Mail, OutReply, StateChange, StoreResult},
};

/// A message's answer, and all who are to get it.
pub(super) struct Answer<'a> {
    pub(super) session: &'a SessionId,
    pub(super) message: MessageId,
    pub(super) id: Option<&'a IdempotencyKey>,
    pub(super) reply_to: Option<&'a ReplyTo>,
    pub(super) payload: &'a str,
    /// Whether it is at `reply_to` already.
    pub(super) pushed: bool,
    /// The incarnation that will deliver it; none if only the duty can.
    pub(super) writer: Option<&'a WorkerId>,
}

impl Keyspace {
    pub(super) fn commit(
        &mut self,
        step: &mut Step,
        partition: Partition,
        lease: &Lease,
        boundary: &Boundary,
    ) -> StoreResult<Commit> {
        let (id, worker) = (lease.session(), &lease.token().worker);
        let gone = self.is_gone(worker);
        let mut session = self.session(id)?;
        if let Some(session) = &mut session
            && session.record.commit.as_ref() == Some(&boundary.commit)
        {
            if planted(Bug::CommitTwice) {
                session.append(step, lease, boundary);
            }
            return Ok(Commit::Done { out: Vec::new(), mail: session.mail(boundary.page) });
        }
        if gone && !planted(Bug::CommitWithoutToken) {
            return Ok(Commit::Lost);
        }
        let may =
            |session: &&mut Session| session.is_owned_by(lease.token()) || planted(Bug::CommitWithoutToken);
        let Some(session) = session.filter(may) else {
            return Ok(Commit::Fenced);
        };
        let boundaries = session.record.unfinished.map_or(0, |unfinished| unfinished.boundaries);
        let knows_all = (session.record.seq, boundaries) == (boundary.after, boundary.boundaries);
        if !knows_all || !is_at_head(session, boundary.head()) {
            return Ok(Commit::Behind { seq: session.record.seq });
        }
        session.append(step, lease, boundary);
        session.record_boundary(step, boundary);
        session.register(lease.token(), boundary.own_ttl, step.now);
        let out = self.finish(step, partition, lease, boundary);
        self.settle(id, step.now);
        Ok(Commit::Done { out, mail: self.sessions[id].mail(boundary.page) })
    }

    /// Whether this is the session's last commit.
    pub(super) fn has_commit(&self, session: &SessionId, commit: &str) -> bool {
        self.sessions.get(session).is_some_and(|session| session.record.commit.as_deref() == Some(commit))
    }

    /// Takes the finished message, if one is, out of the inbox and answers it.
    fn finish(
        &mut self,
        step: &mut Step,
        partition: Partition,
        lease: &Lease,
        boundary: &Boundary,
    ) -> Vec<OutReply> {
        let Some(done) = &boundary.done else { return Vec::new() };
        let id = lease.session();
        let session = self.sessions.get_mut(id).expect("the caller saw the session");
        let head = session.inbox.pop_front().expect("the finished message is at the head");
        session.record.taken = done.number;
        if let Some((reason, tries)) = &done.dead {
            self.give_up(DeadLetter {
                partition,
                id: StreamId::default(),
                session: Some(id.clone()),
                message: Some(done.message),
                reason: reason.clone(),
                tries: *tries,
                time: step.now,
                reply_to: done.reply_to.clone(),
                durability: asked_by(&head),
                body: body_of(&head),
            });
        }
        let list = boundary.replies_at_once_to();
        let pushed = list.is_some_and(|list| step.replies.push(list, &done.answer, step.now));
        self.answer(
            step,
            &Answer {
                session: id,
                message: done.message,
                id: done.id.as_ref(),
                reply_to: done.reply_to.as_ref(),
                payload: &done.answer,
                pushed,
                writer: Some(&lease.token().worker),
            },
        )
    }

    /// Puts an answer into `out` for everybody who is to get it and has not, once per key, and keeps it under its `id`.
    pub(super) fn answer(&mut self, step: &Step, answer: &Answer) -> Vec<OutReply> {
        let asked_again = answer.id.map(|id| self.keep_answer(step, id, answer)).unwrap_or_default();
        let own = answer.reply_to.filter(|_| !answer.pushed).into_iter().cloned();
        let others = asked_again.into_iter().filter(|key| Some(key) != answer.reply_to);
        own.chain(others).map(|to| self.put_out(step, to, answer)).collect()
    }

    /// Keeps an answer under its `id` for another day; gives who asked again. An `id` that was forgotten and came to
    /// stand for another message is left alone.
    fn keep_answer(&mut self, step: &Step, id: &IdempotencyKey, answer: &Answer) -> BTreeSet<ReplyTo> {
        let before = self.remembered(answer.session, id, step.now);
        if before.as_ref().is_some_and(|remembered| remembered.message != answer.message) {
            return BTreeSet::new();
        }
        let waiters = before.map(|remembered| std::mem::take(&mut remembered.waiters)).unwrap_or_default();
        let kept = Remembered {
            message: answer.message,
            answer: Some(answer.payload.to_owned()),
            waiters: BTreeSet::new(),
            until: step.now.plus(REMEMBER_ID),
        };
        self.ids.insert((answer.session.clone(), id.clone()), kept);
        waiters
    }

    fn put_out(&mut self, step: &Step, to: ReplyTo, answer: &Answer) -> OutReply {
        let payload = answer.payload.to_owned();
        let outgoing = Outgoing {
            to: to.clone(),
            payload: payload.clone(),
            session: Some(answer.session.clone()),
            message: Some(answer.message),
            writer: answer.writer.cloned(),
            time: step.now,
        };
        OutReply { id: self.out.add(step.now, outgoing), to, payload }
    }
}

/// Whether the message that is to be at the head, if one is, is there.
fn is_at_head(session: &Session, expected: Option<Head>) -> bool {
    let Some(expected) = expected else { return true };
    if planted(Bug::AckByCount) {
        return !session.inbox.is_empty();
    }
    match session.inbox.front() {
        Some(Mail::Message(head) | Mail::Malformed(head, _)) => {
            head.number == expected.number && head.message == expected.message
        }
        Some(Mail::Unreadable(_)) | None => false,
    }
}

impl Session {
    /// Appends the boundary's entries, numbered on from the last.
    fn append(&mut self, step: &Step, lease: &Lease, boundary: &Boundary) {
        for new in &boundary.entries {
            self.record.seq += 1;
            self.history.push(Entry {
                id: EntryId { epoch: lease.epoch(), seq: self.record.seq },
                kind: new.kind,
                turn: boundary.turn,
                time: step.now,
                message: new.message,
                body: new.body.clone(),
            });
        }
    }

    /// Writes down what the boundary says of the session itself.
    fn record_boundary(&mut self, step: &Step, boundary: &Boundary) {
        match &boundary.state {
            StateChange::Keep => (),
            StateChange::Set(state) => self.state = Some(state.clone()),
            StateChange::Clear => self.state = None,
        }
        let record = &mut self.record;
        record.commit = Some(boundary.commit.clone());
        record.turns = boundary.turns;
        record.unfinished = boundary.unfinished;
        record.tries = boundary.tries;
        record.crashes.clear();
        record.backoff = boundary.backoff.map(|wait| step.now.plus(wait));
        record.updated = step.now;
        if let Some((cause, reason)) = &boundary.quarantine {
            record.hold = Some(Hold::Quarantined { cause: *cause, reason: reason.clone() });
        }
    }
}
