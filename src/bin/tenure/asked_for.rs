//! Messages that ask for a durability class which their server cannot honour: they wait a while before they are given up on.

use std::fmt;

use futures_util::future::join_all;
use tenure::{
    client::{Client, SessionView},
    model::{Durability, SessionId},
    store::{
        Agents, Lack, RedisStore, Store, StoreError, StoreResult,
        redis::{Check, CheckStatus},
    },
};

use crate::connect::Connected;

/// Sessions of each partition whose first message is looked at.
const SESSIONS: usize = 100;

/// A session's first message, and what its server lacks for it.
pub(crate) struct Asked {
    session: SessionId,
    class: Durability,
    lack: Lack,
}

impl Asked {
    pub(crate) fn advice(&self) -> String {
        format!(
            "{}; its message is given up on (`tenure dead ls`) when it has waited for a minute",
            self.lack.advice
        )
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the first message of {} waits for {}: {}", self.session, self.class, self.lack.found)
    }
}

/// What is lacking for the message that a session is about to run; nothing where nobody tells.
pub(crate) async fn lack_of(client: &Client<Connected>, view: &SessionView) -> Option<Asked> {
    let waits = view.waiting > 0 && view.cause.is_none();
    let store = client.store().inner();
    if waits { first(store, &store.agents().await.ok()?, &view.session).await.ok()? } else { None }
}

/// The first that is found; nothing where there is none, or nobody tells.
pub(crate) async fn check(store: &RedisStore) -> Option<Check> {
    let asked = look(store).await.ok()??;
    let (found, advice) = (asked.to_string(), Some(asked.lack.advice));
    Some(Check { check: "messages", status: CheckStatus::Warn, found, advice })
}

async fn look(store: &RedisStore) -> StoreResult<Option<Asked>> {
    let agents = store.agents().await?;
    for partition in store.partitions().all() {
        let sessions = store.sessions(partition, None, SESSIONS).await?;
        for asked in join_all(sessions.iter().map(|session| first(store, &agents, session))).await {
            match asked {
                Ok(Some(asked)) => return Ok(Some(asked)),
                // What cannot be read of one is another check's.
                Ok(None) | Err(StoreError::Unreadable { .. }) => (),
                Err(error) => return Err(error),
            }
        }
    }
    Ok(None)
}

async fn first(store: &RedisStore, agents: &Agents, session: &SessionId) -> StoreResult<Option<Asked>> {
    let Some(message) = store.first_message(session).await? else { return Ok(None) };
    let declared = agents.of(&session.agent())?.map(|how| how.durability).unwrap_or_default();
    let class = declared.with(message.durability);
    // What its agent asks for is another check's.
    let lack = match class == declared {
        true => None,
        false => store.lacks(store.partitions().of(session), class).await?,
    };
    Ok(lack.map(|lack| Asked { session: session.clone(), class, lack }))
}
