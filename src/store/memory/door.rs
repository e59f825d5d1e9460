//! Doors: how messages come in.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::partition::{Keyspace, Outgoing, Remembered, Session, Step};
use crate::{
    model::{
        Body, Door, Durability, Envelope, ErrorReply, Hold, IdempotencyKey, Message, MessageId, NewMessage,
        Partition, Pool, ReplyTo, SessionId, StreamId,
    },
    planted::{Bug, planted},
    store::{
        DeadLetter, Mail, Refusal, Refused, Relay, Relayed, RelayedKind, Revive, Sent, StoreError,
        StoreResult,
    },
};

/// How long an idempotency key is remembered.
pub(super) const REMEMBER_ID: Duration = Duration::from_secs(24 * 60 * 60);

/// How many may wait for the answer to one idempotency key.
const MOST_WAITERS: usize = 100;

impl Keyspace {
    pub(super) fn send(&mut self, step: &mut Step, message: &NewMessage) -> StoreResult<Sent> {
        if let Some(repeat) = self.repeat(step, message)? {
            return Ok(repeat);
        }
        if message.body.as_json().len() > step.limits.body {
            return Ok(Sent::Refused(Refusal::TooLarge));
        }
        if let Some(session) = self.sessions.get(&message.session) {
            if session.record.hold == Some(Hold::Stopped) {
                return Ok(Sent::Refused(Refusal::Stopped));
            }
            if session.waiting() >= step.limits.inbox {
                return Ok(Sent::Refused(Refusal::Full));
            }
            if session.record.pool != message.pool {
                return Ok(Sent::OtherPool(session.record.pool.clone()));
            }
        }
        Ok(self.accept(step, message))
    }

    /// The answer to a message that was accepted before.
    fn repeat(&mut self, step: &mut Step, message: &NewMessage) -> StoreResult<Option<Sent>> {
        let last = self.session(&message.session)?.and_then(|session| session.record.last_message);
        if let Some(id) = &message.id
            && let Some(first) = self.remembered(&message.session, id, step.now)
            && !planted(Bug::DedupeForgets)
        {
            let sent = Sent::Repeat { message: first.message, answer: first.answer.clone() };
            if let Some(reply_to) = &message.reply_to {
                self.answer_repeat(step, &message.session, id, reply_to);
            }
            return Ok(Some(sent));
        }
        let same = last == Some(message.message);
        Ok(same.then_some(Sent::Repeat { message: message.message, answer: None }))
    }

    /// Sees to it that the answer under `id` goes to `reply_to` too: now, or once it is there.
    fn answer_repeat(&mut self, step: &Step, session: &SessionId, id: &IdempotencyKey, reply_to: &ReplyTo) {
        let Some(first) = self.remembered(session, id, step.now) else { return };
        match &first.answer {
            Some(answer) => {
                let reply = Outgoing {
                    to: reply_to.clone(),
                    payload: answer.clone(),
                    session: Some(session.clone()),
                    message: Some(first.message),
                    writer: None,
                    time: step.now,
                };
                self.out.add(step.now, reply);
            }
            None if first.waiters.len() < MOST_WAITERS => _ = first.waiters.insert(reply_to.clone()),
            None => (),
        }
    }

    /// Numbers a message, pushes it, and tells whoever must know.
    fn accept(&mut self, step: &mut Step, new: &NewMessage) -> Sent {
        let session = self.sessions.entry(new.session.clone()).or_insert_with(|| {
            let mut made = Session::made(new.pool.clone(), step.now);
            made.record.group = new.group.clone();
            made
        });
        let record = &mut session.record;
        let was_suspended = record.suspended.take().is_some();
        // Else whoever must know was told of a message before.
        let first = session.inbox.is_empty() || was_suspended;
        record.given += 1;
        record.last_message = Some(new.message);
        record.resume = new.resume.or(record.resume);
        record.updated = step.now;
        let message = Message {
            number: record.given,
            message: new.message,
            time: step.now,
            id: new.id.clone(),
            reply_to: new.reply_to.clone(),
            durability: new.durability,
            body: new.body.clone(),
            sealed: false,
        };
        session.inbox.push_back(Mail::Message(message.clone()));
        let (owner, pool, runnable) =
            (session.record.owner.clone(), session.record.pool.clone(), session.is_runnable());
        if let Some(id) = &new.id {
            let remembered = Remembered {
                message: new.message,
                answer: None,
                waiters: BTreeSet::new(),
                until: step.now.plus(REMEMBER_ID),
            };
            self.ids.insert((new.session.clone(), id.clone()), remembered);
        }
        self.settle(&new.session, step.now);
        match owner {
            Some(owner) if first => step.hints.wake(&owner.worker, &new.session, Some(&message)),
            None if first && runnable => _ = self.offer_around(&new.session, &pool, None, step.hints),
            _ => (),
        }
        Sent::Accepted { message: message.message, number: message.number }
    }

    pub(super) fn relay(
        &mut self,
        step: &mut Step,
        partition: Partition,
        door: Door,
        previous: Option<StreamId>,
        batch: &[Relayed],
    ) -> StoreResult<Relay> {
        let door = cursor_of(door);
        let cursor = self.cursors.get(&door).copied();
        if cursor != previous && !planted(Bug::HighWaterMark) {
            return Ok(Relay::Elsewhere(cursor));
        }
        if let Some((index, pool)) = self.other_pool_in(batch) {
            return Ok(Relay::OtherPool { index, pool });
        }
        let taken = batch.iter().map(|relayed| self.take(step, partition, &relayed.what)).collect();
        if let Some(reached) = cursor.max(batch.last().map(|relayed| relayed.id)) {
            self.cursors.insert(door, reached);
        }
        Ok(Relay::Taken(taken))
    }

    /// The first entry that names another pool than its session's, or than the first one for a session not made yet.
    fn other_pool_in(&self, batch: &[Relayed]) -> Option<(usize, Pool)> {
        let mut made = BTreeMap::new();
        batch.iter().enumerate().find_map(|(index, relayed)| {
            let RelayedKind::Message(message) = &relayed.what else { return None };
            let pool = match self.sessions.get(&message.session) {
                Some(session) if session.newer.is_some() => return None,
                Some(session) => &session.record.pool,
                None => *made.entry(&message.session).or_insert(&message.pool),
            };
            (*pool != message.pool).then(|| (index, pool.clone()))
        })
    }

    /// Takes one entry of the plain door: into its inbox, or into `dead`.
    fn take(&mut self, step: &mut Step, partition: Partition, what: &RelayedKind) -> Sent {
        let message = match what {
            RelayedKind::Refuse(refused) => {
                self.refuse(step, partition, refused);
                return Sent::Refused(Refusal::Malformed);
            }
            RelayedKind::Message(message) => message,
        };
        let refusal = match self.send(step, message) {
            Ok(Sent::Refused(refusal)) => refusal,
            Ok(sent) => return sent,
            Err(_) => Refusal::Unreadable,
        };
        let refused = Refused {
            session: Some(message.session.clone()),
            id: message.id.clone(),
            reply_to: message.reply_to.clone(),
            durability: message.durability,
            reason: refusal.as_str().to_owned(),
            sentence: refusal.sentence().to_owned(),
            body: message.body.clone(),
        };
        self.refuse(step, partition, &refused);
        Sent::Refused(refusal)
    }

    /// Puts a refused entry into `dead`, and its error where a reply was to go.
    fn refuse(&mut self, step: &Step, partition: Partition, refused: &Refused) {
        let Refused { session, id, reply_to, durability, reason, sentence, body } = refused.clone();
        let letter = DeadLetter {
            partition,
            id: StreamId::default(),
            session: session.clone(),
            message: None,
            reason: reason.clone(),
            tries: 0,
            time: step.now,
            reply_to: reply_to.clone(),
            durability,
            body,
        };
        self.give_up(letter);
        let Some(to) = reply_to else { return };
        let payload = error_envelope(session.clone(), None, id, &reason, &sentence).to_json();
        let reply = Outgoing { to, payload, session, message: None, writer: None, time: step.now };
        self.out.add(step.now, reply);
    }

    /// Puts a letter into `dead`, under the next id there.
    pub(super) fn give_up(&mut self, letter: DeadLetter) {
        self.dead.add(letter.time, letter);
    }

    pub(super) fn revive(
        &mut self,
        step: &mut Step,
        letter: &DeadLetter,
        message: MessageId,
        pool: &Pool,
    ) -> StoreResult<Revive> {
        let Some(session) = letter.session.clone() else {
            return Ok(Revive::Sent(Sent::Refused(Refusal::Malformed)));
        };
        let last = self.session(&session)?.and_then(|session| session.record.last_message);
        if last == Some(message) {
            return Ok(Revive::Sent(Sent::Repeat { message, answer: None }));
        }
        let Some(stored) = self.dead.get(letter.id) else { return Ok(Revive::Gone) };
        let new = NewMessage {
            class: Durability::MEMORY,
            session,
            message,
            id: None,
            reply_to: stored.reply_to.clone(),
            body: stored.body.clone(),
            group: None,
            resume: None,
            durability: stored.durability,
            pool: pool.clone(),
        };
        let sent = self.send(step, &new)?;
        if matches!(sent, Sent::Accepted { .. }) {
            self.dead.remove(letter.id);
        }
        Ok(Revive::Sent(sent))
    }
}

/// An error in place of a reply.
pub(super) fn error_envelope(
    session: Option<SessionId>,
    message: Option<MessageId>,
    id: Option<IdempotencyKey>,
    reason: &str,
    sentence: &str,
) -> Envelope {
    let error = ErrorReply { reason: reason.to_owned(), message: sentence.to_owned() };
    Envelope { session, message, id, turn: None, entry: None, reply: None, error: Some(error), class: None }
}

/// Whose cursor counts for a door: its own.
pub(super) fn cursor_of(door: Door) -> Door {
    if planted(Bug::OneCursor) { Door::MAIN } else { door }
}

/// What an entry of the plain door may hold at most: one field at least, as `XADD` demands.
pub(super) fn check_fields(fields: &[(Vec<u8>, Vec<u8>)]) -> StoreResult<()> {
    match fields {
        [] => Err(StoreError::Refused("an entry needs at least one field".to_owned())),
        _ => Ok(()),
    }
}

/// What mail asks for over its agent's class, as far as it can be read.
pub(super) fn asked_by(mail: &Mail) -> Durability {
    match mail {
        Mail::Message(message) | Mail::Malformed(message, _) => message.durability,
        Mail::Unreadable(_) => Durability::MEMORY,
    }
}

/// The body that a dead letter keeps of mail.
pub(super) fn body_of(mail: &Mail) -> Body {
    match mail {
        Mail::Message(message) | Mail::Malformed(message, _) => message.body.clone(),
        Mail::Unreadable(why) => Body::text(why),
    }
}
