//! Deleting a session.

use super::{
    door::{asked_by, body_of, error_envelope},
    partition::{Keyspace, Step},
    turn::Answer,
};
use crate::{
    model::{Hold, Partition, Pool, SessionId, StreamId, WorkerId},
    store::{DeadLetter, Delete, Mail, StoreResult},
};

/// How many waiting messages one call gives up on.
const PAGE: usize = 100;

/// What the senders of deleted mail are told.
const REASON: &str = "deleted";
const SENTENCE: &str = "the session was deleted";

impl Keyspace {
    pub(super) fn delete(
        &mut self,
        step: &Step,
        partition: Partition,
        id: &SessionId,
        pool: &Pool,
        owner: Option<&WorkerId>,
    ) -> StoreResult<Delete> {
        let Some(session) = self.session(id)? else {
            self.forget(id, pool, owner);
            return Ok(Delete::Absent);
        };
        session.disown(step.now);
        session.record.hold = Some(Hold::Stopped);
        session.record.backoff = None;
        session.record.updated = step.now;
        let page = PAGE.min(session.inbox.len());
        let given_up: Vec<Mail> = session.inbox.drain(..page).collect();
        let left = session.inbox.len();
        for mail in &given_up {
            self.give_up_mail(step, partition, id, mail);
        }
        self.forget(id, pool, owner);
        if left > 0 {
            self.index.insert(id.clone());
            return Ok(Delete::More);
        }
        self.sessions.remove(id);
        Ok(Delete::Deleted)
    }

    /// Puts one waiting message into `dead`, and tells whoever waits for its answer.
    fn give_up_mail(&mut self, step: &Step, partition: Partition, id: &SessionId, mail: &Mail) {
        let message = match mail {
            Mail::Message(message) | Mail::Malformed(message, _) => Some(message),
            Mail::Unreadable(_) => None,
        };
        self.give_up(DeadLetter {
            partition,
            id: StreamId::default(),
            session: Some(id.clone()),
            message: message.map(|message| message.message),
            reason: REASON.to_owned(),
            tries: 0,
            time: step.now,
            reply_to: message.and_then(|message| message.reply_to.clone()),
            durability: asked_by(mail),
            body: body_of(mail),
        });
        let Some(message) = message else { return };
        let name = Some(message.message);
        let envelope = error_envelope(Some(id.clone()), name, message.id.clone(), REASON, SENTENCE);
        self.answer(
            step,
            &Answer {
                session: id,
                message: message.message,
                id: message.id.as_ref(),
                reply_to: message.reply_to.as_ref(),
                payload: &envelope.to_json(),
                pushed: false,
                writer: None,
            },
        );
    }
}
