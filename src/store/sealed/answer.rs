//! Answers: an [`Envelope`] of which what was said is sealed, and the rest is not.

use super::Seals;
use crate::{
    model::{
        Body, Envelope, SessionId,
        seal::{Content, Place, Seal, SealingKey, Unopened, Why},
    },
    store::{StoreError, StoreResult},
};

impl Seals {
    /// Seals the reply or the sentence of an error; the latter stands as text where the sentence was.
    pub(super) fn seal_answer(&self, key: &SealingKey, place: &Place<'_>, answer: &str) -> String {
        let Some(mut said) = read(answer) else { return answer.to_owned() };
        if let Some(Some(reply)) = &mut said.reply {
            *reply = self.close(key, place, reply.as_json());
        } else if let Some(error) = &mut said.error {
            error.message = self.close(key, place, &error.message).as_json().to_owned();
        } else {
            return answer.to_owned();
        }
        said.to_json()
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
        let Some(mut said) = read(answer) else { return Ok(None) };
        let (session, message) = (session.or(said.session.as_ref()).cloned(), said.message);
        let place = Place { message, ..Place::of(&self.namespace, session.as_ref(), Content::Answer) };
        if let Some(Some(reply)) = &mut said.reply {
            let Some(text) = self.open(reply.as_json(), &place)? else { return Ok(None) };
            // The sentence of an error, put where a reply should be, is none.
            *reply = Body::parse(&text).map_err(|_| Unopened { key: None, why: Why::Changed })?;
        } else if let Some(error) = &mut said.error {
            let Some(message) = self.open(&error.message, &place)? else { return Ok(None) };
            error.message = message;
        } else {
            return Ok(None);
        }
        Ok(Some(said.to_json()))
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
