//! Messages that ask for a class beyond what their server can honour: at the plain door they are refused, and in an inbox
//! they wait a while before.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tracing::warn;

use super::incarnation::Incarnation;
use crate::{
    model::{AgentDeclaration, AgentName, Durability, Failure, NewMessage, Partition, SessionId, StreamId},
    store::{DeadLetter, Lack, Refused, Relayed, RelayedKind, Store, StoreResult},
};

/// For how long an accepted message waits for what it asks for to be there: a replica may be on its way.
const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks while it waits.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How far the clocks of two servers may be apart, in milliseconds.
const SKEW_MS: u64 = 60_000;

/// How many letters one look for a refused entry reads.
const LETTERS: usize = 1_000;

/// What the server of `session` lacks to honour `class`, if it still does after [`PATIENCE`]. One that does not say counts
/// as able: then it is the commit that waits.
pub(super) async fn lasting_lack<S: Store>(
    shared: Arc<Incarnation<S>>,
    session: SessionId,
    class: Durability,
) -> Option<Lack> {
    let partition = shared.store.partitions().of(&session);
    let until = shared.env.now().plus(PATIENCE);
    let mut warned = false;
    loop {
        let lack = shared.store.lacks(partition, class).await.ok()??;
        if shared.env.now() >= until {
            return Some(lack);
        }
        if !warned {
            warn!(%session, %class, found = lack.found, "a message waits for what it asks for: {}", lack.advice);
            warned = true;
        }
        shared.env.sleep(LOOK_EVERY).await;
    }
}

/// Why a message is given up on that asks for what its server lacks.
pub(super) fn failure(lack: &Lack, class: Durability) -> Failure {
    Failure { reason: Lack::REASON, message: lack.sentence(class), retry: false, not_before: Duration::ZERO }
}

/// What one look at the plain door found out about classes.
pub(super) struct Beyond<'a, S> {
    store: &'a S,
    agents: &'a BTreeMap<AgentName, AgentDeclaration>,
    known: Vec<(Partition, Durability, Option<Lack>)>,
}

impl<'a, S: Store> Beyond<'a, S> {
    pub(super) fn new(store: &'a S, agents: &'a BTreeMap<AgentName, AgentDeclaration>) -> Self {
        Self { store, agents, known: Vec::new() }
    }

    /// The entry as it is, unless it asks for what its server lacks: then it is refused.
    pub(super) async fn refuse(&mut self, at: Partition, what: RelayedKind) -> StoreResult<RelayedKind> {
        let RelayedKind::Message(message) = what else { return Ok(what) };
        Ok(match self.lack(at, &message).await? {
            Some(lack) => RelayedKind::Refuse(Box::new(refused(*message, &lack))),
            None => RelayedKind::Message(message),
        })
    }

    /// The class that an entry which its partition took has to reach before it may go.
    ///
    /// If it was refused, and its relay died before it could remove it, that is none: what it asked for would be waited for in
    /// vain.
    pub(super) async fn class_taken(&mut self, at: Partition, taken: &Relayed) -> StoreResult<Durability> {
        let class = Relayed::class(std::slice::from_ref(taken));
        let RelayedKind::Message(message) = &taken.what else { return Ok(class) };
        let was_refused =
            self.lack(at, message).await?.is_some() && self.was_refused(at, taken.id, message).await?;
        Ok(if was_refused { Durability::MEMORY } else { class })
    }

    /// What is lacking for a message that asks for more than its agent.
    async fn lack(&mut self, at: Partition, message: &NewMessage) -> StoreResult<Option<Lack>> {
        let declared = self.agents.get(&message.session.agent()).map(|how| how.durability);
        if message.class == declared.unwrap_or_default() {
            return Ok(None);
        }
        let asked = (at, message.class);
        if let Some((.., lack)) = self.known.iter().find(|(at, class, _)| (*at, *class) == asked) {
            return Ok(lack.clone());
        }
        let lack = self.store.lacks(at, message.class).await?;
        self.known.push((at, message.class, lack.clone()));
        Ok(lack)
    }

    /// Whether there is a letter that an earlier look made of this entry.
    async fn was_refused(&self, at: Partition, entry: StreamId, message: &NewMessage) -> StoreResult<bool> {
        let after = StreamId { millis: entry.millis.saturating_sub(SKEW_MS), seq: 0 };
        let letters = self.store.dead(at, Some(after), LETTERS).await?;
        Ok(letters.iter().any(|letter| is_made_of(letter, message)))
    }
}

fn is_made_of(letter: &DeadLetter, message: &NewMessage) -> bool {
    letter.reason == Lack::REASON
        && letter.message.is_none()
        && letter.session.as_ref() == Some(&message.session)
        && (&letter.reply_to, letter.durability) == (&message.reply_to, message.durability)
        && letter.body == message.body
}

fn refused(message: NewMessage, lack: &Lack) -> Refused {
    Refused {
        sentence: lack.sentence(message.class),
        session: Some(message.session),
        id: message.id,
        reply_to: message.reply_to,
        durability: message.durability,
        reason: Lack::REASON.to_owned(),
        body: message.body,
    }
}
