//! What waits of one session, for people who look: by commands that whoever reads may run.

use redis::Value;

use super::{RedisStore, ask::unreadable, records::mails};
use crate::{
    model::SessionId,
    store::{Mail, StoreResult},
};

impl RedisStore {
    /// The messages that wait for a session, the first of them first, at most `limit`. One behind another that is taken
    /// meanwhile may be missed.
    pub async fn inbox(&self, session: &SessionId, limit: usize) -> StoreResult<Vec<Mail>> {
        let inbox = self.keys().session(session).inbox();
        // The whole range at once would be a right more for everybody who reads.
        let mut look = redis::pipe();
        (0..limit).for_each(|at| _ = look.cmd("LINDEX").arg(&inbox).arg(at));
        let found = self.shared.masters.administer_all(&inbox, &look).await?;
        mails(found.into_iter().take_while(|element| *element != Value::Nil)).map_err(unreadable("`in`"))
    }
}
