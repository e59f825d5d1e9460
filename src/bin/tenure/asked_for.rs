//! Messages that ask for a durability class which their server cannot honour: they wait a while before they are given up on.

use std::{collections::BTreeMap, fmt};

use futures_util::future::join_all;
use tenure::{
    client::{Client, SessionView},
    model::{Durability, Partition, SessionId},
    store::{
        Agents, Lack, RedisStore, Store, StoreError, StoreResult,
        redis::{Check, CheckStatus},
    },
};

use crate::connect::Connected;

/// Sessions of each partition whose first message is looked at.
const SESSIONS: usize = 100;

/// A session's first message, which asks for more than its agent.
struct Asks {
    session: SessionId,
    declared: Durability,
    class: Durability,
}

/// The same, and what its server lacks for it.
pub(crate) struct Asked {
    asks: Asks,
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
        let Self { asks: Asks { session, declared, class }, lack } = self;
        write!(
            f,
            "the first message of {session} asks for more than its agent's {declared}, and waits for {class}: {}",
            lack.found
        )
    }
}

/// What is lacking for the message that a session is about to run; nothing where nobody tells.
pub(crate) async fn lack_of(client: &Client<Connected>, view: &SessionView) -> Option<Asked> {
    if view.waiting == 0 || view.cause.is_some() {
        return None;
    }
    let store = client.store().inner();
    let asks = first(store, &store.agents().await.ok()?, &view.session).await.ok()??;
    let lack = store.lacks(store.partitions().of(&asks.session), asks.class).await.ok()??;
    Some(Asked { asks, lack })
}

/// Those that are found; nothing where there are none, or nobody tells.
pub(crate) async fn check(store: &RedisStore) -> Option<Check> {
    let Found { asked, looked_at } = look(store).await.ok()?;
    let more = match asked.len() {
        0 | 1 => String::new(),
        found => format!(", and those of {} more", found - 1),
    };
    let s = if looked_at == 1 { "" } else { "s" };
    let Asked { asks: Asks { session, class, .. }, lack } = asked.first()?;
    Some(Check {
        check: "messages",
        status: CheckStatus::Warn,
        found: format!(
            "asked for by messages over their agents' classes: the first message of {session} waits for {class}: {}{more} (of {looked_at} session{s} looked at)",
            lack.found
        ),
        advice: Some(lack.advice),
    })
}

/// What a look found, and at how many sessions it looked.
#[derive(Default)]
struct Found {
    asked: Vec<Asked>,
    looked_at: usize,
}

async fn look(store: &RedisStore) -> StoreResult<Found> {
    let agents = store.agents().await?;
    let (mut found, mut known) = (Found::default(), BTreeMap::new());
    for partition in store.partitions().all() {
        let sessions = match store.sessions(partition, None, SESSIONS).await {
            // What is wrong with an index is another check's.
            Err(StoreError::Unreadable { .. }) => continue,
            sessions => sessions?,
        };
        found.looked_at += sessions.len();
        for asks in join_all(sessions.iter().map(|session| first(store, &agents, session))).await {
            let asks = match asks {
                Ok(Some(asks)) => asks,
                // What cannot be read of one is another check's.
                Ok(None) | Err(StoreError::Unreadable { .. }) => continue,
                Err(error) => return Err(error),
            };
            let lack = lack_for(store, partition, asks.class, &mut known).await?;
            found.asked.extend(lack.map(|lack| Asked { asks, lack }));
        }
    }
    Ok(found)
}

/// What a partition's server lacks for a class: it is asked once.
async fn lack_for(
    store: &RedisStore,
    partition: Partition,
    class: Durability,
    known: &mut BTreeMap<(Partition, String), Option<Lack>>,
) -> StoreResult<Option<Lack>> {
    let asked = (partition, class.to_string());
    if let Some(lack) = known.get(&asked) {
        return Ok(lack.clone());
    }
    let lack = store.lacks(partition, class).await?;
    known.insert(asked, lack.clone());
    Ok(lack)
}

/// The first message of a session, if it asks for more than its agent; what its agent asks for is another check's.
async fn first(store: &RedisStore, agents: &Agents, session: &SessionId) -> StoreResult<Option<Asks>> {
    let Some(message) = store.first_message(session).await? else { return Ok(None) };
    let declared = agents.of(&session.agent())?.map(|how| how.durability).unwrap_or_default();
    let class = declared.with(message.durability);
    Ok((class != declared).then(|| Asks { session: session.clone(), declared, class }))
}
