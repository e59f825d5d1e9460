//! On the way out: what is read is opened, and what cannot be is unreadable.

use super::{Seals, UnopenedEntry};
use crate::{
    model::{
        Body, Entry, Message, SessionId,
        seal::{Content, Place, Seal, Unopened, Why},
    },
    store::{Claimed, DeadLetter, Mail, StoreError, StoreResult},
};

impl Seals {
    /// What was claimed. In place of a state that cannot be opened stands why.
    pub(super) fn claimed(&self, mut claimed: Box<Claimed>) -> Box<Claimed> {
        let session = claimed.lease.session().clone();
        if self.keyring.has_groups() {
            self.groups.claimed(&session, claimed.record.group.as_ref());
        }
        claimed.state = claimed.state.map(|stored| self.state(&session, stored));
        claimed.mail = self.mail(&session, claimed.mail);
        claimed
    }

    /// A stored state; in place of one that cannot be opened stands why.
    pub(super) fn state(&self, session: &SessionId, stored: String) -> String {
        match self.open(&stored, &self.place(session, Content::State)) {
            Ok(None) => stored,
            Ok(Some(state)) => state,
            Err(why) => why.as_body().as_json().to_owned(),
        }
    }

    /// Waiting messages.
    pub(super) fn mail(&self, session: &SessionId, mail: Vec<Mail>) -> Vec<Mail> {
        mail.into_iter().map(|mail| self.one_mail(session, mail)).collect()
    }

    pub(super) fn one_mail(&self, session: &SessionId, mail: Mail) -> Mail {
        let (message, opened) = match mail {
            Mail::Message(message) => {
                let opened = self.mail_body(Some(session), &message.body);
                (message, opened)
            }
            Mail::Malformed(message, _) if is_broken(&message.body) => (message, Err(BROKEN)),
            other => return other,
        };
        match opened {
            Ok(None) => Mail::Message(message),
            Ok(Some((body, came))) => {
                Mail::Message(Message { body, sealed: came == Content::Message, ..message })
            }
            Err(why) => Mail::Unreadable(format!("message {}: {why}", message.message)),
        }
    }

    /// A part of a history.
    pub(super) fn history(&self, session: &SessionId, mut entries: Vec<Entry>) -> StoreResult<Vec<Entry>> {
        for entry in &mut entries {
            let (kind, seq) = (entry.kind, entry.id.seq);
            let place = Place { entry: Some((kind, seq)), ..self.place(session, Content::Entry) };
            match (self.opened_body(&entry.body, &place), self.unopened) {
                (Ok(None), _) => (),
                (Ok(Some(body)), _) => entry.body = body,
                (Err(why), UnopenedEntry::Show) => entry.body = why.as_body(),
                (Err(why), UnopenedEntry::Refuse) => {
                    return Err(StoreError::unreadable(format!("entry {} of {session}", entry.id), why));
                }
            }
        }
        Ok(entries)
    }

    /// A dead letter; in place of what cannot be opened stands why. It can be sent again all the same.
    pub(super) fn letter(&self, letter: DeadLetter) -> DeadLetter {
        let body = match letter.reason.as_str() {
            DeadLetter::REPLY_TO => self
                .opened_answer(letter.session.as_ref(), letter.body.as_json())
                .map(|said| said.and_then(|said| Body::parse(&said).ok())),
            _ => self
                .mail_body(letter.session.as_ref(), &letter.body)
                .map(|opened| opened.map(|(body, _)| body)),
        };
        let body = body.unwrap_or_else(|why| Some(why.as_body()));
        DeadLetter { body: body.unwrap_or_else(|| letter.body.clone()), ..letter }
    }

    /// A message's body as it was given, and how it came; none if it is in clear.
    pub(super) fn mail_body(
        &self,
        session: Option<&SessionId>,
        body: &Body,
    ) -> Result<Option<(Body, Content)>, Unopened> {
        let Some(seal) = Seal::read(body.as_json()) else { return Ok(None) };
        // What is no message at all is not what belongs here, and is not opened.
        let came = if seal?.content() == Content::Relayed { Content::Relayed } else { Content::Message };
        let opened = self.opened_body(body, &Place::of(&self.namespace, session, came))?;
        Ok(opened.map(|body| (body, came)))
    }

    fn opened_body(&self, body: &Body, place: &Place<'_>) -> Result<Option<Body>, Unopened> {
        // Without a key nothing was sealed, and a text may say what it likes.
        if !self.keyring.is_empty() && is_broken(body) {
            return Err(BROKEN);
        }
        let Some(text) = self.open(body.as_json(), place)? else { return Ok(None) };
        // Whoever has the key seals bodies alone.
        let key = || Seal::read(body.as_json()).and_then(Result::ok).map(|seal| seal.key().clone());
        Body::parse(&text).map(Some).map_err(|_| Unopened { key: key(), why: Why::Changed })
    }
}

/// Something sealed that is not even JSON any more.
const BROKEN: Unopened = Unopened { key: None, why: Why::Changed };

/// Whether a body is the text of such: that is how a store gives what is no JSON.
fn is_broken(body: &Body) -> bool {
    !Seal::is_form_of(body.as_json()) && body.as_text().is_some_and(|text| Seal::is_form_of(&text))
}
