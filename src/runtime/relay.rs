//! The plain doors: entries of each ingress stream into their sessions' inboxes, in order, once.
//!
//! Whoever has the duty of a door's partition relays. Each partition remembers the last entry of each door
//! it took, in the same step that takes it; a batch names the entry before it, so that two relays at once, or one
//! that was interrupted, can neither lose nor repeat. Entries are removed once their partition has them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures_util::future::join_all;
use tracing::{debug, info, warn};

use super::{beyond::Beyond, entry::read, incarnation::Incarnation};
use crate::{
    model::{AgentDeclaration, AgentName, Door, Durability, Partition, StreamId},
    store::{IngressEntry, Reach, Refused, Relay, Relayed, RelayedKind, Store, StoreError, StoreResult},
};

/// How many entries are read at once.
const BATCH: usize = 256;

/// How many of them one operation takes.
const CHUNK: usize = 100;

/// After how many bytes of bodies an operation takes no further entry: a script holds up everybody.
const CHUNK_BYTES: usize = 1 << 20;

/// How many bytes one look should give: when entries are large, fewer are read.
const BATCH_BYTES: usize = 16 << 20;

/// How long one look waits for an entry.
const WAIT: Duration = Duration::from_secs(1);

/// The pause after a look that failed.
const PAUSE: Duration = Duration::from_millis(100);

/// The pause where the server forbids to look: the user's rights may be older than this door.
const REFUSED_PAUSE: Duration = Duration::from_secs(1);

/// Relays from `door` whenever this worker has the duty of its partition, until the incarnation is over.
pub(super) async fn run<S: Store>(shared: Arc<Incarnation<S>>, door: Door) {
    // What is in doubt stays so when relaying begins again: the stream itself does not tell any more.
    let mut in_doubt = None;
    loop {
        tokio::select! {
            biased;
            () = shared.stops.lost.cancelled() => return,
            () = shared.stops.drain.cancelled() => return,
            () = shared.duties.until_has(door.partition()) => (),
        }
        let in_doubt = &mut in_doubt;
        let mut view =
            View { shared: &shared, door, cursors: BTreeMap::new(), agents: BTreeMap::new(), in_doubt };
        tokio::select! {
            biased;
            () = shared.stops.lost.cancelled() => return,
            // May be dropped anywhere: the next relay asks each partition how far it is.
            () = shared.stops.drain.cancelled() => return,
            ended = view.relay() => if let Err(err) = ended {
                shared.env.sleep(pause_after(door, &err)).await;
            },
        }
    }
}

fn pause_after(door: Door, err: &StoreError) -> Duration {
    if let StoreError::Refused(why) = err {
        warn!(%door, error = why, "not relayed");
        return REFUSED_PAUSE;
    }
    debug!(%door, error = %err, "relaying again");
    PAUSE
}

/// What becomes of an entry.
enum Placed {
    /// Its partition is to take it.
    New(Relayed),
    /// Its partition has it: it may go once that has reached this class.
    Taken(Durability),
}

/// One holder's view of a door.
struct View<'a, S: Store> {
    shared: &'a Incarnation<S>,
    door: Door,
    /// How far each partition is, as far as we know.
    cursors: BTreeMap<Partition, StreamId>,
    agents: BTreeMap<AgentName, AgentDeclaration>,
    /// The stream's ids went back: of entries up to here, those behind a cursor may or may not have been taken.
    in_doubt: &'a mut Option<StreamId>,
}

impl<S: Store> View<'_, S> {
    /// Relays as long as the duty is ours.
    async fn relay(&mut self) -> StoreResult<()> {
        let (mut batch, mut is_first) = (BATCH, true);
        while self.shared.duties.has(self.door.partition()) {
            let read = self.shared.store.ingress(self.door, batch, WAIT).await?;
            batch = next_batch(&read.entries);
            if read.entries.is_empty() {
                continue;
            }
            if std::mem::take(&mut is_first) || self.is_any_behind(&read.entries) {
                // What is behind is removed: so it is the server that says so, and not what we remember.
                self.cursors = self.shared.store.cursors(self.door).await?;
            }
            let furthest = self.cursors.values().max().copied().unwrap_or_default();
            // Looked at again behind the cursors: meanwhile another relay may have been here.
            if read.last < furthest
                && self.shared.store.ingress(self.door, 1, Duration::ZERO).await?.last < furthest
            {
                warn!(door = %self.door, last = %read.last, %furthest, "the plain door's ids went back: what is in doubt goes to `dead`");
                *self.in_doubt = (*self.in_doubt).max(Some(furthest));
                self.shared.store.advance_ingress(self.door, furthest).await?;
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
        let mut ids: Vec<_> = entries.iter().map(|entry| entry.id).collect();
        let mut doubtful = BTreeSet::new();
        let mut batches = BTreeMap::<Partition, Vec<Relayed>>::new();
        let mut before = BTreeMap::<Partition, Durability>::new();
        let mut beyond = Beyond::new(&self.shared.store, &self.agents);
        for entry in entries {
            let id = entry.id;
            let (partition, placed) = self.place(entry, &mut beyond).await?;
            let class = before.entry(partition).or_default();
            match placed {
                Placed::New(relayed) => batches.entry(partition).or_default().push(relayed),
                Placed::Taken(reached) => {
                    *class = class.with(reached);
                    doubtful.extend((reached != Durability::MEMORY).then_some(id));
                }
            }
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
        let confirmed = self.confirm(&before).await;
        if confirmed.is_err() {
            // What waits for its class keeps nobody else's entries at the door.
            ids.retain(|id| !doubtful.contains(id));
        }
        self.shared.store.remove_ingress(self.door, &ids).await?;
        confirmed
    }

    /// Sees to it that what partitions have by their cursors has reached its class: an earlier look may have seen them
    /// take it, and not that. The cursors are read again behind that, for this may be another server than it was.
    async fn confirm(&self, taken: &BTreeMap<Partition, Durability>) -> StoreResult<()> {
        let doubtful = taken.iter().filter(|(_, class)| **class != Durability::MEMORY);
        let reached = doubtful.map(|(partition, class)| self.shared.store.reach(*partition, *class));
        let reached = join_all(reached).await;
        if reached.is_empty() {
            return Ok(());
        }
        for reach in reached {
            if reach? == Reach::Unknown {
                return Err(unacknowledged());
            }
        }
        let cursors = self.shared.store.cursors(self.door).await?;
        let is_behind = |partition| cursors.get(partition) < self.cursors.get(partition);
        if taken.keys().any(is_behind) { Err(unacknowledged()) } else { Ok(()) }
    }

    /// Has one partition take its part, chunk by chunk; how far it is then.
    async fn take_batch(
        &self,
        partition: Partition,
        batch: Vec<Relayed>,
    ) -> (Partition, StoreResult<Option<StreamId>>) {
        let mut cursor = self.cursors.get(&partition).copied();
        for chunk in chunks(batch) {
            match self.take_chunk(partition, cursor, chunk).await {
                Ok(reached) => cursor = reached,
                Err(err) => return (partition, Err(err)),
            }
        }
        (partition, Ok(cursor))
    }

    /// Where an entry belongs, and what is still to be done with it.
    async fn place(
        &self,
        entry: IngressEntry,
        beyond: &mut Beyond<'_, S>,
    ) -> StoreResult<(Partition, Placed)> {
        let id = entry.id;
        let what = read(&entry, self.shared.env.message_id(), &self.agents);
        let session = match &what {
            RelayedKind::Message(message) => Some(&message.session),
            RelayedKind::Refuse(refused) => refused.session.as_ref(),
        };
        let partition =
            session.map_or(self.door.partition(), |session| self.shared.store.partitions().of(session));
        let behind = self.cursors.get(&partition).is_some_and(|cursor| id <= *cursor);
        let in_doubt = self.in_doubt.is_some_and(|last| id <= last);
        let what = match (behind, in_doubt) {
            (false, _) => beyond.refuse(partition, what).await?,
            (true, false) => {
                let class = beyond.class_taken(partition, &Relayed { id, what }).await?;
                return Ok((partition, Placed::Taken(class)));
            }
            (true, true) => ambiguous(what),
        };
        Ok((partition, Placed::New(Relayed { id, what })))
    }

    /// Has one partition take a chunk, how far it is then; a wrong idea of pool or cursor is corrected and tried again.
    async fn take_chunk(
        &self,
        partition: Partition,
        mut cursor: Option<StreamId>,
        mut chunk: Vec<Relayed>,
    ) -> StoreResult<Option<StreamId>> {
        while !chunk.is_empty() {
            match self.shared.store.relay(partition, self.door, cursor, &chunk).await? {
                Relay::Taken(outcomes) => {
                    debug!(door = %self.door, %partition, entries = outcomes.len(), "relayed");
                    let last = chunk.iter().map(|entry| entry.id).max();
                    return Ok(last.max(cursor));
                }
                // Its entries stay until a later look finds that it has.
                Relay::Unknown => return Err(unacknowledged()),
                Relay::Elsewhere(reached) => {
                    info!(door = %self.door, %partition, ours = ?cursor, theirs = ?reached, "another relay was here");
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

/// What was relayed may yet be lost.
fn unacknowledged() -> StoreError {
    StoreError::Unavailable("what was relayed did not reach its durability class".into())
}

/// An entry whose id its partition has passed, though the stream's ids went back: it may have been taken.
fn ambiguous(what: RelayedKind) -> RelayedKind {
    let refused = match what {
        RelayedKind::Refuse(refused) => *refused,
        RelayedKind::Message(message) => Refused {
            session: Some(message.session),
            id: message.id,
            reply_to: message.reply_to,
            durability: message.durability,
            reason: String::new(),
            sentence: String::new(),
            body: message.body,
        },
    };
    let sentence = "the plain door's ids went back, and this entry may have been taken before".to_owned();
    RelayedKind::Refuse(Box::new(Refused { reason: "ambiguous".to_owned(), sentence, ..refused }))
}

/// How many entries to read after these: as many as are likely to stay within the bytes of one look.
fn next_batch(entries: &[IngressEntry]) -> usize {
    let bytes = |entry: &IngressEntry| entry.fields.iter().map(|(_, value)| value.len()).sum::<usize>();
    let largest = entries.iter().map(bytes).max().unwrap_or_default();
    (BATCH_BYTES / largest.max(1)).clamp(1, BATCH)
}

/// Cuts a partition's part into what one operation takes.
fn chunks(batch: Vec<Relayed>) -> Vec<Vec<Relayed>> {
    let mut chunks = Vec::<Vec<Relayed>>::new();
    let mut bytes = 0;
    for entry in batch {
        match chunks.last_mut() {
            Some(chunk) if chunk.len() < CHUNK && bytes < CHUNK_BYTES => {
                bytes += body_bytes(&entry);
                chunk.push(entry);
            }
            _ => {
                bytes = body_bytes(&entry);
                chunks.push(vec![entry]);
            }
        }
    }
    chunks
}

fn body_bytes(entry: &Relayed) -> usize {
    match &entry.what {
        RelayedKind::Message(message) => message.body.as_json().len(),
        RelayedKind::Refuse(refused) => refused.body.as_json().len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Body;

    fn entry(seq: u64, bytes: usize) -> Relayed {
        let refused = Refused {
            session: None,
            id: None,
            reply_to: None,
            durability: Durability::MEMORY,
            reason: String::new(),
            sentence: String::new(),
            body: Body::text(&"x".repeat(bytes)),
        };
        Relayed { id: StreamId { millis: 1, seq }, what: RelayedKind::Refuse(Box::new(refused)) }
    }

    #[test]
    fn a_chunk_ends_after_a_hundred_entries_or_a_mebibyte_and_keeps_the_order() {
        let small = chunks((0..250).map(|n| entry(n, 10)).collect());
        assert_eq!(small.iter().map(Vec::len).collect::<Vec<_>>(), [100, 100, 50]);
        let large = chunks((0..5).map(|n| entry(n, CHUNK_BYTES / 2)).collect());
        assert_eq!(large.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 1]);
        let ids: Vec<_> = large.into_iter().flatten().map(|entry| entry.id.seq).collect();
        assert_eq!(ids, [0, 1, 2, 3, 4]);
        assert!(chunks(Vec::new()).is_empty());
    }

    #[test]
    fn fewer_entries_are_read_when_they_are_large() {
        let of = |bytes| IngressEntry { id: StreamId::default(), fields: vec![(Vec::new(), vec![0; bytes])] };
        assert_eq!(next_batch(&[of(10)]), BATCH);
        assert_eq!(next_batch(&[of(10), of(1 << 20)]), 16);
        assert_eq!(next_batch(&[of(1 << 28)]), 1);
        assert_eq!(next_batch(&[]), BATCH);
    }
}
