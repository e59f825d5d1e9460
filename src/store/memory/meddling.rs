//! What somebody might do to a store by hand, past every operation. For tests.

use super::{
    MemoryStore,
    partition::{Keyspace, leave},
};
use crate::{
    model::{Body, Millis, ReplyTo, SessionId},
    store::Mail,
};

/// One change to a session's keys that no operation makes.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meddling {
    /// Its `own` is deleted.
    DeleteOwn,
    /// It is taken out of `ready`.
    LeaveReady,
    /// It is put into `ready`.
    EnterReady,
    /// It is taken out of `timers`.
    LeaveTimers,
    /// It is put into `timers`, due long ago.
    EnterTimers,
    /// It is taken out of its owner's `held`.
    LeaveHeld,
    /// It is taken off the list.
    LeaveIndex,
    /// Its record says that a newer version wrote it.
    NewerVersion,
    /// The body of its first message becomes an array.
    SpoilBody,
    /// The record of its first message says that a newer version wrote it.
    NewerMail,
}

#[doc(hidden)]
impl MemoryStore {
    /// Changes a session's keys.
    pub fn meddle(&self, session: &SessionId, how: Meddling) {
        let (mut state, now) = (self.state(), self.shared.clock.now());
        let keys = state.partitions.entry(self.shared.partitions.of(session)).or_default();
        keys.meddle(session, how, now);
    }

    /// Makes `key` something that takes no push.
    pub fn occupy(&self, key: &ReplyTo) {
        self.state().replies.occupy(key);
    }
}

impl Keyspace {
    fn meddle(&mut self, id: &SessionId, how: Meddling, now: Millis) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        let queue = (session.record.pool.clone(), id.agent());
        match how {
            Meddling::DeleteOwn => session.unregister(),
            Meddling::LeaveReady => leave(&mut self.ready, &queue, id),
            Meddling::EnterReady => _ = self.ready.entry(queue).or_default().insert(id.clone(), now),
            Meddling::LeaveTimers => _ = self.timers.remove(id),
            Meddling::EnterTimers => _ = self.timers.insert(id.clone(), Millis(1)),
            Meddling::LeaveHeld => {
                if let Some(owner) = session.record.owner.clone() {
                    self.let_go(&owner.worker, id);
                }
            }
            Meddling::LeaveIndex => _ = self.index.remove(id),
            Meddling::NewerVersion => session.newer = Some("layout 2".to_owned()),
            Meddling::SpoilBody => spoil(session.inbox.front_mut()),
            Meddling::NewerMail => {
                if let Some(head) = session.inbox.front_mut() {
                    *head = Mail::Unreadable("version 2".to_owned());
                }
            }
        }
    }
}

fn spoil(head: Option<&mut Mail>) {
    let Some(mail) = head else { return };
    if let Mail::Message(message) = mail.clone() {
        let body = Body::from_door("[1]");
        *mail = Mail::Malformed(crate::model::Message { body, ..message }, "not an object".to_owned());
    }
}
