//! What a session wrote that has not reached its class: until it has, nobody is told of it.

use std::{fmt, time::Duration};

use tenure::{
    Env,
    client::{Client, SessionView},
    model::{Durability, Millis, SessionId, StreamId},
    store::{Lack, RedisStore, Store, StoreResult, Waiting},
};

use crate::{connect::Connected, output::Time};

/// A reply that is on its way is gone by then.
const MOMENT: Duration = Duration::from_millis(500);

/// What is held back, and by what.
pub(crate) struct HeldBack {
    /// What its agent asks for.
    declared: Durability,
    /// What is waited for: that, or more where its message asks for more.
    pub(crate) class: Durability,
    /// Replies in `out`, and when the first of them was written.
    pub(crate) replies: Option<(usize, Millis)>,
    /// What its owner knows of that it wrote and is not acknowledged: for which class, and since when.
    pub(crate) written: Option<(Durability, Millis)>,
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
    let declared = store.agents().await.ok()?.known.get(&view.session.agent()).map(|how| how.durability);
    let declared = declared.unwrap_or_default();
    let written = unacknowledged(store, view).await.ok()?;
    let standing = standing(store, &view.session).await.ok()?;
    let classes = standing.iter().map(|(_, class)| class.unwrap_or(declared));
    let class = classes.chain(written.as_ref().map(|written| written.class)).reduce(Durability::with);
    let class = class.unwrap_or(declared);
    let lack = store.held_up(store.partitions().of(&view.session), class).await.ok()?;
    let replies = standing.first().map(|(first, _)| (standing.len(), Millis(first.millis)));
    let written = written.map(|written| (written.class, written.since));
    // Who has no owner has written nothing that anybody waits for, but replies.
    let is_held_back = replies.is_some() || written.is_some() || (lack.is_some() && view.owner.is_some());
    is_held_back.then_some(HeldBack { declared, class, replies, written, lack })
}

/// What the session's owner says of it: its last boundary may ask for more than its agent, and nothing else tells of that
/// once its message is taken.
async fn unacknowledged(store: &RedisStore, view: &SessionView) -> StoreResult<Option<Waiting>> {
    let Some(owner) = &view.owner else { return Ok(None) };
    let owner = store.members().await?.into_iter().find(|member| member.worker == *owner);
    let waiting = owner.map(|owner| owner.tally.unacknowledged.longest).unwrap_or_default();
    Ok(waiting.into_iter().find(|waiting| waiting.session == view.session))
}

/// Replies that are in `out` and still there a moment later, oldest first, with the classes they name.
async fn standing(
    store: &RedisStore,
    session: &SessionId,
) -> StoreResult<Vec<(StreamId, Option<Durability>)>> {
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
        let Self { declared, class, replies, written, lack } = self;
        match (replies, written) {
            (Some((1, since)), _) => write!(f, "1 reply waits in `out` since {}", Time(*since))?,
            (Some((replies, since)), _) => {
                write!(f, "{replies} replies wait in `out` since {}", Time(*since))?;
            }
            (None, Some((_, since))) => {
                write!(f, "what it wrote is not acknowledged since {}", Time(*since))?
            }
            (None, None) => f.write_str("what it writes now is not acknowledged")?,
        }
        if *class != Durability::MEMORY {
            write!(f, ", for {class}")?;
        }
        if class > declared {
            write!(
                f,
                ", which is more than its agent's {declared}: its message asks for it, or its agent did when that was written"
            )?;
        }
        lack.as_ref().map_or(Ok(()), |lack| write!(f, ": {}", lack.found))
    }
}
