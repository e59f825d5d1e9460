//! Waiting messages, for people to see.

use super::{Sealed, Seals};
use crate::{
    model::{Message, SessionId},
    store::{Mail, RedisStore, StoreResult},
};

impl Sealed<RedisStore> {
    /// The messages that wait for a session, as [`RedisStore::inbox`] has them. In place of a body that cannot be opened
    /// stands [why](crate::model::seal::Unopened::as_body).
    pub async fn inbox(&self, session: &SessionId, limit: usize) -> StoreResult<Vec<Mail>> {
        let mail = self.inner.inbox(session, limit).await?;
        Ok(mail.into_iter().map(|mail| self.seals.shown(session, mail)).collect())
    }
}

impl Seals {
    fn shown(&self, session: &SessionId, mail: Mail) -> Mail {
        let Mail::Message(message) = mail else { return mail };
        let body = match self.mail_body(Some(session), &message.body) {
            Ok(None) => return Mail::Message(message),
            Ok(Some((body, _))) => body,
            Err(why) => why.as_body(),
        };
        Mail::Message(Message { body, ..message })
    }
}
