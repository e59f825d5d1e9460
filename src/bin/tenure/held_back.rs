//! What a session wrote that has not reached its class: until it has, nobody is told of it.

use std::{fmt, time::Duration};

use tenure::{
    Env,
    client::{Client, SessionView},
    model::{Durability, Millis, SessionId, StreamId},
    store::{Lack, RedisStore, Store, StoreResult},
};

use crate::{connect::Connected, output::Time};

/// A reply that is on its way is gone by then.
const MOMENT: Duration = Duration::from_millis(500);

/// What is held back, and by what.
pub(crate) struct HeldBack {
    /// What its agent asks for.
    class: Durability,
    /// Replies in `out`, and when the first of them was written.
    pub(crate) replies: Option<(usize, Millis)>,
    /// What keeps the class from being reached, where that can be seen.
    lack: Option<Lack>,
}

/// Nothing where nothing is held back, or nobody tells.
pub(crate) async fn look(client: &Client<Connected>, view: &SessionView) -> Option<HeldBack> {
    // What does not move for another reason is explained by that.
    if view.cause.is_some() {
        return None;
    }
    let store = client.store().inner();
    let class = store.agents().await.ok()?.known.get(&view.session.agent()).map(|how| how.durability);
    let class = class.unwrap_or_default();
    let replies = standing(store, &view.session).await.ok()?;
    let replies = replies.first().map(|first| (replies.len(), Millis(first.millis)));
    let lack = store.held_up(store.partitions().of(&view.session), class).await.ok()?;
    // Who has no owner has written nothing that anybody waits for, but replies.
    let unacknowledged = lack.is_some() && view.owner.is_some();
    (replies.is_some() || unacknowledged).then_some(HeldBack { class, replies, lack })
}

/// Replies that are in `out` and still there a moment later, oldest first.
async fn standing(store: &RedisStore, session: &SessionId) -> StoreResult<Vec<StreamId>> {
    let mut replies = store.undelivered(session).await?;
    if !replies.is_empty() {
        Env::system().sleep(MOMENT).await;
        let later = store.undelivered(session).await?;
        replies.retain(|reply| later.contains(reply));
    }
    Ok(replies)
}

impl HeldBack {
    /// What to do next.
    pub(crate) fn advice(&self) -> String {
        let told = "what waits is told once its class is reached";
        match &self.lack {
            Some(lack) => format!("{}; `tenure doctor` looks at all of it; {told}", lack.advice),
            None if self.class == Durability::MEMORY => {
                "`tenure doctor` looks at the server, and a worker's log says what keeps it from delivering"
                    .to_owned()
            }
            None => format!("`tenure doctor` looks at the server and its replicas; {told}"),
        }
    }
}

impl fmt::Display for HeldBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { class, replies, lack } = self;
        match replies {
            Some((1, since)) => write!(f, "1 reply waits in `out` since {}", Time(*since))?,
            Some((replies, since)) => write!(f, "{replies} replies wait in `out` since {}", Time(*since))?,
            None => f.write_str("what it writes now is not acknowledged")?,
        }
        if *class != Durability::MEMORY {
            write!(f, ", for {class}")?;
        }
        lack.as_ref().map_or(Ok(()), |lack| write!(f, ": {}", lack.found))
    }
}
