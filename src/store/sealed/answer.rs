//! Answers: an [`Envelope`] of which what was said is sealed, and the rest is not.

use super::Seals;
use crate::{
    model::{
        Body, Envelope, ErrorReply, SessionId,
        seal::{Content, Place, Seal, SealingKey, Unopened},
    },
    store::{StoreError, StoreResult},
};

impl Seals {
    /// Seals the reply or the sentence of an error; the latter stands as text where the sentence was.
    pub(super) fn seal_answer(&self, key: &SealingKey, place: &Place<'_>, answer: &str) -> String {
        let close = |text: &str| self.close(key, place, text);
        match read(answer) {
            Some(said @ Envelope { reply: Some(Some(_)), .. }) => {
                let reply = said.reply.map(|reply| reply.map(|body| close(body.as_json())));
                Envelope { reply, ..said }.to_json()
            }
            Some(Envelope { error: Some(ErrorReply { reason, message }), .. }) => {
                let message = close(&message).as_json().to_owned();
                let said = read(answer).expect("it was just read");
                Envelope { error: Some(ErrorReply { reason, message }), ..said }.to_json()
            }
            _ => answer.to_owned(),
        }
    }

    /// An answer as it was given; of `session`, where the caller knows that.
    pub(super) fn open_answer(&self, session: Option<&SessionId>, answer: String) -> StoreResult<String> {
        let opened = self.opened_answer(session, &answer);
        let opened = opened.map_err(|why| StoreError::unreadable("the reply", why))?;
        Ok(opened.unwrap_or(answer))
    }

    /// None if there is nothing to open.
    pub(super) fn opened_answer(
        &self,
        session: Option<&SessionId>,
        answer: &str,
    ) -> Result<Option<String>, Unopened> {
        let Some(said) = read(answer) else { return Ok(None) };
        let session = session.or(said.session.as_ref()).cloned();
        let place = Place::of(&self.namespace, session.as_ref(), Content::Answer);
        let place = Place { message: said.message, ..place };
        if let Some(Some(reply)) = &said.reply {
            let Some(text) = self.open(reply.as_json(), &place)? else { return Ok(None) };
            let reply = Body::parse(&text).expect("only bodies are sealed as replies");
            return Ok(Some(Envelope { reply: Some(Some(reply)), ..said }.to_json()));
        }
        let Some(ErrorReply { reason, message }) = &said.error else { return Ok(None) };
        let Some(message) = self.open(message, &place)? else { return Ok(None) };
        let error = ErrorReply { reason: reason.clone(), message };
        Ok(Some(Envelope { error: Some(error), ..said }.to_json()))
    }

    /// What is sealed in `json`; none if that is in clear.
    pub(super) fn open(&self, json: &str, place: &Place<'_>) -> Result<Option<String>, Unopened> {
        let Some(seal) = Seal::read(json) else { return Ok(None) };
        seal?.open(&self.keyring, place).map(Some)
    }
}

fn read(answer: &str) -> Option<Envelope> {
    serde_json::from_str(answer).ok()
}
