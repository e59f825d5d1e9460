//! The plain door: entries of the ingress stream into their sessions' inboxes, in order, once.
//!
//! Whoever has the duty of partition 0 relays. Each partition remembers the last entry it took, in
//! the same step that takes it; a batch names the entry before it, so that two relays at once, or one
//! that was interrupted, can neither lose nor repeat. Entries are removed once their partition has them.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::future::join_all;
use tracing::{debug, info, warn};

use super::incarnation::Incarnation;
use crate::{
    model::{
        AgentDeclaration, AgentName, Body, Group, IdempotencyKey, NewMessage, Partition, Pool, ReplyTo,
        Resume, SessionId, StreamId,
    },
    store::{IngressEntry, Refused, Relay, Relayed, RelayedKind, Store, StoreResult},
};

/// How many entries are read at once.
const BATCH: usize = 256;

/// How many of them one operation takes.
const CHUNK: usize = 100;

/// How long one look waits for an entry.
const WAIT: Duration = Duration::from_secs(1);

/// The pause after a look that failed.
const PAUSE: Duration = Duration::from_millis(100);

/// The partition whose duty includes the plain door.
const DOOR: Partition = Partition(0);

/// Relays whenever this worker has the duty of partition 0, until the incarnation is over.
pub(super) async fn run<S: Store>(shared: Arc<Incarnation<S>>) {
    // What is in doubt stays so when relaying begins again: the stream itself does not tell any more.
    let mut in_doubt = None;
    loop {
        tokio::select! {
            biased;
            () = shared.stops.lost.cancelled() => return,
            () = shared.stops.drain.cancelled() => return,
            () = shared.duties.until_has(DOOR) => (),
        }
        let in_doubt = &mut in_doubt;
        let mut door = Door { shared: &shared, cursors: BTreeMap::new(), agents: BTreeMap::new(), in_doubt };
        tokio::select! {
            biased;
            () = shared.stops.lost.cancelled() => return,
            // May be dropped anywhere: the next relay asks each partition how far it is.
            () = shared.stops.drain.cancelled() => return,
            ended = door.relay() => if let Err(err) = ended {
                debug!(error = %err, "relaying again");
                shared.env.sleep(PAUSE).await;
            },
        }
    }
}

/// One holder's view of the door.
struct Door<'a, S: Store> {
    shared: &'a Incarnation<S>,
    /// How far each partition is, as far as we know.
    cursors: BTreeMap<Partition, StreamId>,
    agents: BTreeMap<AgentName, AgentDeclaration>,
    /// The stream's ids went back: of entries up to here, those behind a cursor may or may not have been taken.
    in_doubt: &'a mut Option<StreamId>,
}

impl<S: Store> Door<'_, S> {
    /// Relays as long as the duty is ours.
    async fn relay(&mut self) -> StoreResult<()> {
        self.cursors = self.shared.store.cursors().await?;
        while self.shared.duties.has(DOOR) {
            let read = self.shared.store.ingress(BATCH, WAIT).await?;
            if read.entries.is_empty() {
                continue;
            }
            if self.is_any_behind(&read.entries) {
                // What is behind is removed: so it is the server that says so, and not what we remember.
                self.cursors = self.shared.store.cursors().await?;
            }
            let furthest = self.cursors.values().max().copied().unwrap_or_default();
            if read.last < furthest {
                warn!(last = %read.last, %furthest, "the plain door's ids went back: what is in doubt goes to `dead`");
                *self.in_doubt = (*self.in_doubt).max(Some(furthest));
                self.shared.store.advance_ingress(furthest).await?;
            }
            self.agents = self.shared.store.agents().await?;
            self.take(read.entries).await?;
        }
        Ok(())
    }

    /// Whether any partition is further than the first of these entries.
    fn is_any_behind(&self, entries: &[IngressEntry]) -> bool {
        let first = entries.first().map(|entry| entry.id);
        self.cursors.values().any(|cursor| Some(*cursor) >= first)
    }

    /// Hands entries to their partitions, then removes them.
    async fn take(&mut self, entries: Vec<IngressEntry>) -> StoreResult<()> {
        let ids: Vec<_> = entries.iter().map(|entry| entry.id).collect();
        let mut batches = BTreeMap::<Partition, Vec<Relayed>>::new();
        for entry in entries {
            let (partition, relayed) = self.place(entry);
            batches.entry(partition).or_default().extend(relayed);
        }
        // Side by side: only within a partition does the order matter.
        let taken = batches.into_iter().map(|(partition, batch)| self.take_batch(partition, batch));
        for (partition, taken) in join_all(taken).await {
            let cursor = taken?;
            match cursor {
                Some(cursor) => _ = self.cursors.insert(partition, cursor),
                None => _ = self.cursors.remove(&partition),
            }
        }
        self.shared.store.remove_ingress(&ids).await
    }

    /// Has one partition take its part, chunk by chunk; how far it is then.
    async fn take_batch(
        &self,
        partition: Partition,
        batch: Vec<Relayed>,
    ) -> (Partition, StoreResult<Option<StreamId>>) {
        let mut cursor = self.cursors.get(&partition).copied();
        for chunk in batch.chunks(CHUNK) {
            match self.take_chunk(partition, cursor, chunk.to_vec()).await {
                Ok(reached) => cursor = reached,
                Err(err) => return (partition, Err(err)),
            }
        }
        (partition, Ok(cursor))
    }

    /// Where an entry belongs, and what is still to be done with it: nothing if its partition has it already.
    fn place(&self, entry: IngressEntry) -> (Partition, Option<Relayed>) {
        let id = entry.id;
        let what = read(&entry, self.shared, &self.agents);
        let session = match &what {
            RelayedKind::Message(message) => Some(&message.session),
            RelayedKind::Refuse(refused) => refused.session.as_ref(),
        };
        let partition = session.map_or(DOOR, |session| self.shared.store.partitions().of(session));
        let behind = self.cursors.get(&partition).is_some_and(|cursor| id <= *cursor);
        let in_doubt = self.in_doubt.is_some_and(|last| id <= last);
        let what = match (behind, in_doubt) {
            (false, _) => what,
            (true, false) => return (partition, None),
            (true, true) => ambiguous(what),
        };
        (partition, Some(Relayed { id, what }))
    }

    /// Has one partition take a chunk, how far it is then; a wrong idea of pool or cursor is corrected and tried again.
    async fn take_chunk(
        &self,
        partition: Partition,
        mut cursor: Option<StreamId>,
        mut chunk: Vec<Relayed>,
    ) -> StoreResult<Option<StreamId>> {
        while !chunk.is_empty() {
            match self.shared.store.relay(partition, cursor, &chunk).await? {
                Relay::Taken(outcomes) => {
                    debug!(%partition, entries = outcomes.len(), "relayed");
                    let last = chunk.iter().map(|entry| entry.id).max();
                    return Ok(last.max(cursor));
                }
                Relay::Elsewhere(reached) => {
                    info!(%partition, ours = ?cursor, theirs = ?reached, "another relay was here");
                    cursor = reached;
                    chunk.retain(|entry| Some(entry.id) > cursor);
                }
                Relay::OtherPool { index, pool } => {
                    if let Some(RelayedKind::Message(message)) =
                        chunk.get_mut(index).map(|entry| &mut entry.what)
                    {
                        message.pool = pool;
                    }
                }
            }
        }
        Ok(cursor)
    }
}

/// An entry whose id its partition has passed, though the stream's ids went back: it may have been taken.
fn ambiguous(what: RelayedKind) -> RelayedKind {
    let refused = match what {
        RelayedKind::Refuse(refused) => *refused,
        RelayedKind::Message(message) => Refused {
            session: Some(message.session),
            id: message.id,
            reply_to: message.reply_to,
            reason: String::new(),
            sentence: String::new(),
            body: message.body,
        },
    };
    let sentence = "the plain door's ids went back, and this entry may have been taken before".to_owned();
    RelayedKind::Refuse(Box::new(Refused { reason: "ambiguous".to_owned(), sentence, ..refused }))
}

/// Reads an entry: a message, or the reason why it is none.
fn read<S: Store>(
    entry: &IngressEntry,
    shared: &Incarnation<S>,
    agents: &BTreeMap<AgentName, AgentDeclaration>,
) -> RelayedKind {
    let fields = Fields::of(entry);
    match fields.message() {
        Ok(Parsed { session, id, reply_to, group, resume, body }) => {
            let pool = agents.get(&session.agent()).map_or_else(Pool::default, |how| how.pool.clone());
            let message = shared.env.message_id();
            RelayedKind::Message(Box::new(NewMessage {
                session,
                message,
                id,
                reply_to,
                body,
                group,
                resume,
                pool,
            }))
        }
        Err(sentence) => RelayedKind::Refuse(Box::new(Refused {
            session: fields.parse("to").ok().flatten(),
            id: fields.parse("id").ok().flatten(),
            reply_to: fields.parse("reply_to").ok().flatten(),
            reason: "malformed".to_owned(),
            sentence,
            body: fields.as_body(),
        })),
    }
}

/// An entry's fields by name; of a name given twice the last counts.
struct Fields<'a>(BTreeMap<&'a [u8], &'a [u8]>);

/// A message's parts.
#[derive(Debug)]
struct Parsed {
    session: SessionId,
    id: Option<IdempotencyKey>,
    reply_to: Option<ReplyTo>,
    group: Option<Group>,
    resume: Option<Resume>,
    body: Body,
}

impl<'a> Fields<'a> {
    const KNOWN: [&'static str; 6] = ["to", "body", "id", "reply_to", "group", "resume"];

    fn of(entry: &'a IngressEntry) -> Self {
        Self(entry.fields.iter().map(|(name, value)| (name.as_slice(), value.as_slice())).collect())
    }

    fn message(&self) -> Result<Parsed, String> {
        let unknown = self.0.keys().find(|name| !Self::KNOWN.iter().any(|known| known.as_bytes() == **name));
        if let Some(name) = unknown {
            let name = String::from_utf8_lossy(name);
            return Err(format!("`{name}` is not a field: {} are", Self::KNOWN.join(", ")));
        }
        let missing = |name| format!("the field `{name}` is missing: XADD … to SESSION body BODY");
        Ok(Parsed {
            session: self.parse("to")?.ok_or_else(|| missing("to"))?,
            id: self.parse("id")?,
            reply_to: self.parse("reply_to")?,
            group: self.parse("group")?,
            resume: self.parse("resume")?,
            body: self.text("body")?.map(Body::from_door).ok_or_else(|| missing("body"))?,
        })
    }

    fn text(&self, name: &str) -> Result<Option<&'a str>, String> {
        let value = self.0.get(name.as_bytes()).map(|bytes| std::str::from_utf8(bytes));
        value.transpose().map_err(|_| format!("`{name}` is not UTF-8"))
    }

    fn parse<T: std::str::FromStr<Err: ToString>>(&self, name: &str) -> Result<Option<T>, String> {
        let value = self.text(name)?.map(str::parse);
        value.transpose().map_err(|err: T::Err| err.to_string())
    }

    /// All of it, for `dead`.
    fn as_body(&self) -> Body {
        let fields: BTreeMap<_, _> = self
            .0
            .iter()
            .map(|(name, value)| (String::from_utf8_lossy(name), String::from_utf8_lossy(value)))
            .collect();
        Body::of(&fields).expect("an object")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(fields: &[(&str, &[u8])]) -> IngressEntry {
        let fields = fields.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.to_vec()));
        IngressEntry { id: StreamId { millis: 1, seq: 0 }, fields: fields.collect() }
    }

    #[test]
    fn text_and_objects_are_bodies_and_a_missing_or_unknown_field_is_named() {
        let text = entry(&[("to", b"echo/a"), ("body", b"hello")]);
        let parsed = Fields::of(&text).message().unwrap();
        assert_eq!(parsed.body.as_text().as_deref(), Some("hello"));
        for (fields, named) in [
            (vec![("body", b"x".as_slice())], "`to` is missing"),
            (vec![("to", b"echo/a".as_slice())], "`body` is missing"),
            (vec![("to", b"echo"), ("body", b"x")], "`echo` is not a session"),
            (vec![("to", b"echo/a"), ("body", b"x"), ("reply", b"k")], "`reply` is not a field"),
            (vec![("to", b"echo/a"), ("body", &[0xff])], "`body` is not UTF-8"),
            (vec![("to", b"echo/a"), ("body", b"x"), ("resume", b"never")], "`never` is not a resume"),
            (vec![("to", b"echo/a"), ("body", b"x"), ("reply_to", b"tenure:x")], "is not a reply_to"),
        ] {
            let entry = entry(&fields);
            let why = Fields::of(&entry).message().unwrap_err();
            assert!(why.contains(named), "{why}");
        }
    }
}
