//! What waits of one session, for people who look: by commands that whoever reads may run.

use redis::Value;

use super::{
    RedisStore,
    ask::unreadable,
    records::{Fields, mails, stream},
};
use crate::{
    model::{Durability, Envelope, SessionId, StreamId},
    store::{Mail, StoreResult},
};

/// How many entries of `out` are read at once, and how often: each may hold a reply of a megabyte.
const PAGE: usize = 100;
const PAGES: usize = 10;

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

    /// The replies to a session's messages that are not delivered, of the oldest 1,000 of its partition. Each says when it was
    /// written, and the class that it waits for, if it names one.
    pub async fn undelivered(&self, session: &SessionId) -> StoreResult<Vec<(StreamId, Option<Durability>)>> {
        let out = self.keys().partition(self.keys().partitions().of(session)).out();
        let (mut replies, mut from) = (Vec::new(), "-".to_owned());
        for _ in 0..PAGES {
            let mut read = redis::cmd("XRANGE");
            read.arg(&out).arg(&from).arg("+").arg("COUNT").arg(PAGE);
            let page = self.shared.masters.administer(&out, &read).await?;
            let page = stream(page).map_err(unreadable("`out`"))?;
            let Some((last, _)) = page.last() else { break };
            from = format!("({last}");
            let of_session = |name: &[u8]| name == session.as_str().as_bytes();
            let ours = page.iter().filter(|(_, reply)| reply.get("session").is_some_and(of_session));
            replies.extend(ours.filter_map(|(id, reply)| Some((id.parse().ok()?, class_of(reply)))));
        }
        Ok(replies)
    }
}

/// What a reply has to reach before it is told, by its own word.
fn class_of(reply: &Fields) -> Option<Durability> {
    serde_json::from_slice::<Envelope>(reply.get("payload")?).ok()?.class
}
