//! The plain doors: entries of each ingress stream into their sessions' inboxes, in order, once.
//!
//! Whoever has the duty of a door's partition relays. Each partition remembers the last entry of each door
//! it took, in the same step that takes it; a batch names the entry before it, so that two relays at once, or one
//! that was interrupted, can neither lose nor repeat. Entries are removed once their partition has them.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

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

/// How many entries may stay at the door before those behind them wait.
const KEPT_AT_MOST: usize = 4_096;

/// How long one look waits for an entry.
const WAIT: Duration = Duration::from_secs(1);

/// The pause after a look that failed.
const PAUSE: Duration = Duration::from_millis(100);

/// The pause where the server forbids to look, for the user's rights may be older than this door, and where something else stands at
/// its key.
const REFUSED_PAUSE: Duration = Duration::from_secs(1);

/// Relays from `door` whenever this worker has the duty of its partition, until the incarnation is over.
pub(super) async fn run<S: Store>(shared: Arc<Incarnation<S>>, door: Door) {
    let mut left = Left { in_doubt: None, batch: BATCH };
    loop {
        tokio::select! {
            biased;
            () = shared.stops.lost.cancelled() => return,
            () = shared.stops.drain.cancelled() => return,
            () = shared.duties.until_has(door.partition()) => (),
        }
        let left = &mut left;
        let mut view =
            View { shared: &shared, door, cursors: BTreeMap::new(), agents: BTreeMap::new(), left };
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
    if let StoreError::Refused(_) | StoreError::Forbidden(_) | StoreError::Unreadable { .. } = err {
        warn!(%door, error = %err, "not relayed");
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

/// What is known of a door when relaying from it begins again.
struct Left {
    /// The stream's ids went back: of entries up to here, those behind a cursor may or may not have been taken. The stream
    /// itself does not tell any more.
    in_doubt: Option<StreamId>,
    /// How many entries to read next: more by those that had to stay, to see what is behind them.
    batch: usize,
}

/// A partition's part of one look, and how far its entries came.
struct Part {
    partition: Partition,
    /// How far the partition is.
    cursor: Option<StreamId>,
    /// What may be removed.
    done: Vec<StreamId>,
    /// What it has, and what may be removed once that has reached `class`.
    doubtful: Vec<StreamId>,
    class: Durability,
    /// Why the rest was not taken.
    failed: Option<StoreError>,
}

impl Part {
    fn doubt(&mut self, id: StreamId, class: Durability) {
        self.doubtful.push(id);
        self.class = self.class.with(class);
    }
}

/// One holder's view of a door.
struct View<'a, S: Store> {
    shared: &'a Incarnation<S>,
    door: Door,
    /// How far each partition is, as far as we know.
    cursors: BTreeMap<Partition, StreamId>,
    agents: BTreeMap<AgentName, AgentDeclaration>,
    left: &'a mut Left,
}

impl<S: Store> View<'_, S> {
    /// Relays as long as the duty is ours.
    async fn relay(&mut self) -> StoreResult<()> {
        let mut is_first = true;
        while self.shared.duties.has(self.door.partition()) {
            let read = self.shared.store.ingress(self.door, self.left.batch, WAIT).await?;
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
                self.left.in_doubt = self.left.in_doubt.max(Some(furthest));
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

    /// Hands entries to their partitions, then removes them. What fails or has to wait keeps nobody else's entries at the door.
    async fn take(&mut self, entries: Vec<IngressEntry>) -> StoreResult<()> {
        let (read, largest) = (entries.len(), largest(&entries));
        let batches = self.by_partition(entries);
        // Side by side: only within a partition does the order matter.
        let taken = batches.into_iter().map(|(partition, batch)| self.take_part(partition, batch));
        let mut parts = join_all(taken).await;
        for Part { partition, cursor, .. } in &parts {
            match *cursor {
                Some(cursor) => _ = self.cursors.insert(*partition, cursor),
                None => _ = self.cursors.remove(partition),
            }
        }
        let failed = self.confirm(&mut parts).await.err();
        let done: Vec<_> = parts.iter().flat_map(|part| &part.done).copied().collect();
        self.left.batch = next_batch(largest, (read - done.len()).min(KEPT_AT_MOST));
        self.shared.store.remove_ingress(self.door, &done).await?;
        failed.or_else(|| parts.into_iter().find_map(|part| part.failed)).map_or(Ok(()), Err)
    }

    /// What entries say, each where it belongs, in order.
    fn by_partition(&self, entries: Vec<IngressEntry>) -> BTreeMap<Partition, Vec<Relayed>> {
        let mut batches = BTreeMap::<_, Vec<_>>::new();
        for entry in entries {
            let what = read(&entry, self.shared.env.message_id(), &self.agents);
            batches.entry(self.belongs_to(&what)).or_default().push(Relayed { id: entry.id, what });
        }
        batches
    }

    fn belongs_to(&self, what: &RelayedKind) -> Partition {
        let session = match what {
            RelayedKind::Message(message) => Some(&message.session),
            RelayedKind::Refuse(refused) => refused.session.as_ref(),
        };
        session.map_or(self.door.partition(), |session| self.shared.store.partitions().of(session))
    }

    /// Sees to it that what partitions have by their cursors has reached its class: an earlier look may have seen them
    /// take it, and not that. The cursors are read again behind that, for this may be another server than it was.
    async fn confirm(&self, parts: &mut [Part]) -> StoreResult<()> {
        let doubtful = parts.iter_mut().filter(|part| !part.doubtful.is_empty());
        let reached = doubtful.map(|part| async {
            let reached = self.shared.store.reach(part.partition, part.class).await;
            (part, reached)
        });
        let reached = join_all(reached).await;
        if reached.is_empty() {
            return Ok(());
        }
        let cursors = self.shared.store.cursors(self.door).await?;
        for (part, reached) in reached {
            let is_behind = cursors.get(&part.partition) < self.cursors.get(&part.partition);
            match reached {
                Ok(reached) if reached != Reach::Unknown && !is_behind => {
                    part.done.append(&mut part.doubtful)
                }
                Ok(_) => part.failed = Some(unacknowledged()),
                Err(err) => part.failed = Some(err),
            }
        }
        Ok(())
    }

    /// Has one partition take its part, as far as that goes.
    async fn take_part(&self, partition: Partition, batch: Vec<Relayed>) -> Part {
        let (done, doubtful, cursor) = (Vec::new(), Vec::new(), self.cursors.get(&partition).copied());
        let mut part = Part { partition, cursor, done, doubtful, class: Durability::MEMORY, failed: None };
        let new = self.place_all(&mut part, batch).await;
        if let Err(err) = self.take_batch(&mut part, new).await {
            part.failed = Some(err);
        }
        part
    }

    /// What the partition is still to take, up to where that cannot be said.
    async fn place_all(&self, part: &mut Part, batch: Vec<Relayed>) -> Vec<Relayed> {
        let (mut beyond, mut new) = (Beyond::new(&self.shared.store, &self.agents), Vec::new());
        for entry in batch {
            let id = entry.id;
            match self.place(part.partition, entry, &mut beyond).await {
                Ok(Placed::New(entry)) => new.push(entry),
                Ok(Placed::Taken(Durability::MEMORY)) => part.done.push(id),
                Ok(Placed::Taken(class)) => part.doubt(id, class),
                Err(err) => {
                    part.failed = Some(err);
                    break;
                }
            }
        }
        new
    }

    /// Has a partition take what is new to it, chunk by chunk.
    async fn take_batch(&self, part: &mut Part, new: Vec<Relayed>) -> StoreResult<()> {
        for chunk in chunks(new) {
            let ids: Vec<_> = chunk.iter().map(|entry| entry.id).collect();
            part.cursor = self.take_chunk(part.partition, part.cursor, chunk).await?;
            part.done.extend(ids);
        }
        Ok(())
    }

    /// What is still to be done with an entry.
    async fn place(
        &self,
        partition: Partition,
        Relayed { id, what }: Relayed,
        beyond: &mut Beyond<'_, S>,
    ) -> StoreResult<Placed> {
        let behind = self.cursors.get(&partition).is_some_and(|cursor| id <= *cursor);
        let in_doubt = self.left.in_doubt.is_some_and(|last| id <= last);
        let what = match (behind, in_doubt) {
            (false, _) => beyond.refuse(partition, what).await?,
            (true, false) => {
                return Ok(Placed::Taken(beyond.class_taken(partition, &Relayed { id, what }).await?));
            }
            (true, true) => ambiguous(what),
        };
        Ok(Placed::New(Relayed { id, what }))
    }

    /// Has one partition take a chunk, how far it is then; a wrong idea of a pool is corrected and tried again.
    async fn take_chunk(
        &self,
        partition: Partition,
        cursor: Option<StreamId>,
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
                // What it took may not have reached its class: the next look places each entry anew.
                Relay::Elsewhere(reached) => {
                    info!(door = %self.door, %partition, ours = ?cursor, theirs = ?reached, "another relay was here");
                    return Err(StoreError::Unavailable("another relay was here".into()));
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

/// The bytes of the largest of these entries.
fn largest(entries: &[IngressEntry]) -> usize {
    let bytes = |entry: &IngressEntry| entry.fields.iter().map(|(_, value)| value.len()).sum();
    entries.iter().map(bytes).max().unwrap_or_default()
}

/// How many entries to read next behind the `kept`, which are read once more: as many as are likely to stay within the bytes of
/// one look; and of the kept within four times that.
fn next_batch(largest: usize, kept: usize) -> usize {
    let likely = BATCH_BYTES / largest.max(1);
    likely.clamp(1, BATCH) + kept.min(likely.saturating_mul(4))
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
        assert_eq!(next_batch(largest(&[of(10)]), 0), BATCH);
        assert_eq!(next_batch(largest(&[of(10), of(1 << 20)]), 0), 16);
        assert_eq!(next_batch(largest(&[of(1 << 28)]), 0), 1);
        assert_eq!(next_batch(largest(&[]), 0), BATCH);
        assert_eq!(next_batch(10, 300), BATCH + 300, "what stays at the door is read once more");
        assert_eq!(next_batch(1 << 20, 16), 16 + 16, "and what is behind it too, however large it is");
        assert_eq!(next_batch(1 << 20, 4_096), 16 + 64, "within bounds");
    }
}
