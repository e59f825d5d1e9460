//! On the way in: what is written is sealed, where there is a key.

use std::borrow::Cow;

use super::Seals;
use crate::{
    model::{
        Body, Lease, NewEntry, NewMessage, SessionId,
        seal::{Content, Place, Seal, SealingKey},
    },
    store::{Boundary, Refused, Relayed, RelayedKind, StateChange},
};

impl Seals {
    /// A message on its way in; none if it has the form of something sealed, and nobody here can say what it is.
    pub(super) fn message<'m>(&self, message: &'m NewMessage, came: Content) -> Option<Cow<'m, NewMessage>> {
        let Some(key) = self.keyring.sealing(None) else {
            return (!Seal::is_form_of(message.body.as_json())).then_some(Cow::Borrowed(message));
        };
        let body = self.close(key, &self.place(&message.session, came), message.body.as_json());
        Some(Cow::Owned(NewMessage { body, ..message.clone() }))
    }

    /// An entry of the plain door on its way in.
    pub(super) fn relayed(&self, relayed: &Relayed) -> Relayed {
        let what = match &relayed.what {
            RelayedKind::Message(message) => match self.message(message, Content::Relayed) {
                Some(sealed) => RelayedKind::Message(Box::new(sealed.into_owned())),
                None => RelayedKind::Refuse(Box::new(looks_sealed(message))),
            },
            RelayedKind::Refuse(refused) => RelayedKind::Refuse(Box::new(self.refused(refused))),
        };
        Relayed { id: relayed.id, what }
    }

    /// It may be sent again from `dead`, as the message that it is.
    fn refused(&self, refused: &Refused) -> Refused {
        let Some(key) = self.keyring.sealing(None) else { return refused.clone() };
        let place = Place::of(&self.namespace, refused.session.as_ref(), Content::Relayed);
        Refused { body: self.close(key, &place, refused.body.as_json()), ..refused.clone() }
    }

    /// All that a boundary writes.
    pub(super) fn boundary<'b>(&self, lease: &Lease, boundary: &'b Boundary) -> Cow<'b, Boundary> {
        let session = lease.session();
        let group = if self.keyring.has_groups() { self.groups.of(session) } else { None };
        let Some(key) = self.keyring.sealing(group.as_ref()) else { return Cow::Borrowed(boundary) };
        let mut sealed = boundary.clone();
        for (entry, seq) in sealed.entries.iter_mut().zip(boundary.after + 1..) {
            entry.body = self.entry(key, session, entry, seq);
        }
        if let StateChange::Set(state) = &mut sealed.state {
            let place = self.place(session, Content::State);
            *state = self.close(key, &place, state).as_json().to_owned();
        }
        if let Some(done) = sealed.done.as_mut().filter(|done| done.sealed) {
            let place = Place { message: Some(done.message), ..self.place(session, Content::Answer) };
            done.answer = self.seal_answer(key, &place, &done.answer);
        }
        Cow::Owned(sealed)
    }

    fn entry(&self, key: &SealingKey, session: &SessionId, entry: &NewEntry, seq: u64) -> Body {
        let place = Place { entry: Some((entry.kind, seq)), ..self.place(session, Content::Entry) };
        self.close(key, &place, entry.body.as_json())
    }

    /// Every seal has a nonce of its own.
    pub(super) fn close(&self, key: &SealingKey, place: &Place<'_>, text: &str) -> Body {
        Seal::close(key, self.nonces.draw(), place, text)
    }
}

/// Taken as it is it would be unreadable, and set its session aside.
fn looks_sealed(message: &NewMessage) -> Refused {
    Refused {
        session: Some(message.session.clone()),
        id: message.id.clone(),
        reply_to: message.reply_to.clone(),
        durability: message.durability,
        reason: "malformed".to_owned(),
        sentence: "the body has the form of a sealed one, and who relayed it has no keys".to_owned(),
        body: message.body.clone(),
    }
}
