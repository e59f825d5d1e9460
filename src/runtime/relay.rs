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

use super::{
    away::{Away, Changes},
    beyond::Beyond,
    entry::read,
    incarnation::Incarnation,
};
use crate::{
    model::{Door, Durability, Partition, StreamId},
    store::{
        Agents, Ingress, IngressEntry, Reach, Refusal, Refused, Relay, Relayed, RelayedKind, Store,
        StoreError, StoreResult,
    },
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
    let mut left = Left { in_doubt: None, cursors: BTreeMap::new(), batch: BATCH, is_full: false };
    let away = Away::nobody();
    loop {
        tokio::select! {
            biased;
            () = shared.stops.lost.cancelled() => return,
            () = shared.stops.drain.cancelled() => return,
            () = shared.duties.until_has(door.partition()) => (),
        }
        let mut view = View::of(&shared, door, &away, &mut left);
        tokio::select! {
            biased;
            () = shared.stops.lost.cancelled() => return,
            // May be dropped anywhere: the next relay asks each partition how far it is.
            () = shared.stops.drain.cancelled() => return,
            never = away.ask(&shared, door) => match never {},
            ended = view.relay() => if let Err(err) = ended {
                tell(door, None, &err);
                shared.env.sleep(pause_after(&err)).await;
            },
        }
    }
}

/// How long to wait after an error.
pub(super) fn pause_after(err: &StoreError) -> Duration {
    match err {
        StoreError::Refused(_)
        | StoreError::Unconnected(_)
        | StoreError::Forbidden(_)
        | StoreError::Unreadable { .. } => REFUSED_PAUSE,
        _ => PAUSE,
    }
}

/// Says why entries stay at a door: all of them, or a partition's.
fn tell(door: Door, partition: Option<Partition>, err: &StoreError) {
    let partition = partition.map(tracing::field::display);
    if let StoreError::Refused(_)
    | StoreError::Unconnected(_)
    | StoreError::Forbidden(_)
    | StoreError::Unreadable { .. } = err
    {
        warn!(%door, partition, error = %err, "not relayed");
    } else {
        debug!(%door, partition, error = %err, "relaying again");
    }
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
    /// How far each partition is, as far as we know; also of those that are away, for the ids may go back meanwhile.
    cursors: BTreeMap<Partition, StreamId>,
    /// How many entries to read next: more by those that had to stay, to see what is behind them.
    batch: usize,
    /// Whether as many stay as may, so that those behind them wait.
    is_full: bool,
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
    /// Why the rest was not taken, and how long that took.
    failed: Option<(StoreError, Duration)>,
}

impl Part {
    fn doubt(&mut self, id: StreamId, class: Durability) {
        self.doubtful.push(id);
        self.class = self.class.with(class);
    }
}

/// The entries of one look, each where it belongs, in order.
type Batches = BTreeMap<Partition, Vec<Relayed>>;

/// One holder's view of a door.
struct View<'a, S: Store> {
    shared: &'a Incarnation<S>,
    door: Door,
    /// Those of whose cursors the server said so, and nothing went wrong since.
    known: BTreeSet<Partition>,
    agents: Agents,
    away: &'a Away,
    left: &'a mut Left,
}

impl<'a, S: Store> View<'a, S> {
    /// A view that knows nothing yet.
    fn of(shared: &'a Incarnation<S>, door: Door, away: &'a Away, left: &'a mut Left) -> Self {
        Self { shared, door, known: BTreeSet::new(), agents: Agents::default(), away, left }
    }

    /// Relays as long as the duty is ours.
    async fn relay(&mut self) -> StoreResult<()> {
        let mut changes = self.away.changes();
        while self.shared.duties.has(self.door.partition()) {
            changes.mark_unchanged();
            let limit = self.left.batch;
            let read = self.shared.store.ingress(self.door, limit, WAIT).await?;
            let (last, is_all) = (read.last, read.entries.len() < limit);
            if !read.entries.is_empty() && self.look(read).await? == 0 && (is_all || self.left.is_full) {
                self.rest(&changes, last).await?;
            }
        }
        Ok(())
    }

    /// All that is there, or may be read, has to stay: waits until there is more, or somebody who was away is not.
    async fn rest(&self, changes: &Changes, last: StreamId) -> StoreResult<()> {
        loop {
            self.shared.env.sleep(PAUSE).await;
            let is_news = changes.has_changed().unwrap_or(true);
            if is_news || !self.shared.duties.has(self.door.partition()) {
                return Ok(());
            }
            if self.shared.store.ingress(self.door, 0, Duration::ZERO).await?.last != last {
                return Ok(());
            }
        }
    }

    /// Does what it can with what was read; how many entries are gone then.
    async fn look(&mut self, read: Ingress) -> StoreResult<usize> {
        self.agents = self.shared.store.agents().await?;
        let (many, mean) = (read.entries.len(), mean(&read.entries));
        let mut batches = self.by_partition(read.entries);
        let away = self.away.list();
        batches.retain(|partition, _| !away.contains(partition));
        self.find_out(read.last, &batches, &away).await?;
        batches.retain(|partition, _| self.known.contains(partition));
        let gone = self.take(batches).await?;
        self.keep(many - gone, mean);
        Ok(gone)
    }

    /// Asks partitions how far they are, where that is not known well enough. Those that do not answer are away.
    async fn find_out(
        &mut self,
        last: StreamId,
        batches: &Batches,
        away: &BTreeSet<Partition>,
    ) -> StoreResult<()> {
        if self.known.is_empty() || last < self.furthest() {
            let all = self.shared.store.partitions().all();
            self.ask(all.filter(|partition| !away.contains(partition)).collect()).await?;
        } else {
            // What is behind is removed: so it is the server that says so, and not what we remember.
            let doubted = batches.iter().filter(|(partition, batch)| {
                let first = batch.first().map(|entry| entry.id);
                !self.known.contains(partition) || self.left.cursors.get(partition).copied() >= first
            });
            self.ask(doubted.map(|(partition, _)| *partition).collect()).await?;
        }
        let furthest = self.furthest();
        // Looked at again behind the cursors: meanwhile another relay may have been here.
        if last < furthest && self.shared.store.ingress(self.door, 1, Duration::ZERO).await?.last < furthest {
            warn!(door = %self.door, %last, %furthest, "the plain door's ids went back: what is in doubt goes to `dead`");
            self.left.in_doubt = self.left.in_doubt.max(Some(furthest));
            self.shared.store.advance_ingress(self.door, furthest).await?;
        }
        Ok(())
    }

    fn furthest(&self) -> StreamId {
        self.left.cursors.values().max().copied().unwrap_or_default()
    }

    async fn ask(&mut self, partitions: Vec<Partition>) -> StoreResult<()> {
        if partitions.is_empty() {
            return Ok(());
        }
        let found = match self.shared.store.cursors(self.door, &partitions).await {
            // Others still go on.
            Err(err) if !self.known.is_empty() => {
                partitions.iter().for_each(|partition| self.lost(*partition, &err, Duration::ZERO));
                return Ok(());
            }
            found => found?,
        };
        for partition in partitions {
            match found.of(partition) {
                Ok(cursor) => self.knows(partition, cursor),
                Err(err) => self.lost(partition, err, Duration::ZERO),
            }
        }
        Ok(())
    }

    fn knows(&mut self, partition: Partition, cursor: Option<StreamId>) {
        self.known.insert(partition);
        match cursor {
            Some(cursor) => _ = self.left.cursors.insert(partition, cursor),
            None => _ = self.left.cursors.remove(&partition),
        }
    }

    /// A partition did not answer, or did not take what is its own. It is not asked again sooner than it held up the others.
    fn lost(&mut self, partition: Partition, err: &StoreError, held_up: Duration) {
        tell(self.door, Some(partition), err);
        self.known.remove(&partition);
        self.away.add(partition, pause_after(err).max(held_up));
    }

    /// Hands entries to their partitions, then removes them; how many that were.
    async fn take(&mut self, batches: Batches) -> StoreResult<usize> {
        // Side by side: only within a partition does the order matter.
        let taken = batches.into_iter().map(|(partition, batch)| self.take_part(partition, batch));
        let mut done = Vec::new();
        for Part { partition, cursor, done: mut gone, failed, .. } in join_all(taken).await {
            self.knows(partition, cursor);
            done.append(&mut gone);
            if let Some((err, held_up)) = failed {
                self.lost(partition, &err, held_up);
            }
        }
        self.shared.store.remove_ingress(self.door, &done).await?;
        Ok(done.len())
    }

    /// Takes in how many entries had to stay.
    fn keep(&mut self, kept: usize, mean: usize) {
        self.left.batch = next_batch(mean, kept.min(KEPT_AT_MOST));
        let was_full = std::mem::replace(&mut self.left.is_full, self.left.batch <= kept);
        if self.left.is_full && !was_full {
            let away = self.away.list();
            warn!(door = %self.door, kept, ?away, "so many entries have to stay that those behind them wait");
        }
    }

    /// What entries say, each where it belongs, in order.
    fn by_partition(&self, entries: Vec<IngressEntry>) -> Batches {
        let mut batches = Batches::new();
        for entry in entries {
            let what = read(&entry, self.shared.env.message_id(), &self.agents.known);
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

    /// Has one partition take its part, as far as that goes.
    async fn take_part(&self, partition: Partition, batch: Vec<Relayed>) -> Part {
        let began = self.shared.env.now();
        let (done, doubtful, cursor) = (Vec::new(), Vec::new(), self.left.cursors.get(&partition).copied());
        let mut part = Part { partition, cursor, done, doubtful, class: Durability::MEMORY, failed: None };
        let (new, placed) = self.place_all(&mut part, batch).await;
        let taken = self.take_batch(&mut part, new).await;
        let confirmed = self.confirm(&mut part).await;
        let failed = placed.and(taken).and(confirmed).err();
        part.failed = failed.map(|err| (err, self.shared.env.now().since(began)));
        part
    }

    /// Sees to it that what the partition has by its cursor has reached its class: an earlier look may have seen it
    /// take it, and not that. The cursor is read again behind that, for this may be another server than it was.
    async fn confirm(&self, part: &mut Part) -> StoreResult<()> {
        if part.doubtful.is_empty() {
            return Ok(());
        }
        let reached = self.shared.store.reach(part.partition, part.class).await?;
        let cursor =
            self.shared.store.cursors(self.door, &[part.partition]).await?.into_one(part.partition)?;
        if reached == Reach::Unknown || cursor < part.cursor {
            return Err(unacknowledged());
        }
        part.done.append(&mut part.doubtful);
        Ok(())
    }

    /// What the partition is still to take, up to where that cannot be said, and why not.
    async fn place_all(&self, part: &mut Part, batch: Vec<Relayed>) -> (Vec<Relayed>, StoreResult<()>) {
        let (mut beyond, mut new) = (Beyond::new(&self.shared.store, &self.agents.known), Vec::new());
        let mut stays = Ok(());
        for entry in batch {
            let id = entry.id;
            match self.place(part.partition, entry, &mut beyond).await {
                Ok(Placed::New(entry)) => new.push(entry),
                Ok(Placed::Taken(Durability::MEMORY)) => part.done.push(id),
                Ok(Placed::Taken(class)) => part.doubt(id, class),
                // It was taken, so what is behind it need not wait for it.
                Err(err) if part.cursor >= Some(id) => stays = stays.and(Err(err)),
                Err(err) => return (new, Err(err)),
            }
        }
        (new, stays)
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
        let unread = match &what {
            RelayedKind::Message(message) => self.agents.of(&message.session.agent()).err(),
            RelayedKind::Refuse(_) => None,
        };
        let behind = self.left.cursors.get(&partition).is_some_and(|cursor| id <= *cursor);
        let in_doubt = self.left.in_doubt.is_some_and(|last| id <= last);
        let what = match (behind, in_doubt, unread) {
            (false, _, None) => beyond.refuse(partition, what).await?,
            (false, _, Some(err)) => refused(what, Refusal::Unreadable.as_str(), err.to_string()),
            (true, false, None) => {
                return Ok(Placed::Taken(beyond.class_taken(partition, &Relayed { id, what }).await?));
            }
            // Nobody can say which class it has to reach.
            (true, false, Some(err)) => return Err(err),
            (true, true, _) => refused(what, "ambiguous", AMBIGUOUS.to_owned()),
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

/// Of an entry whose id its partition has passed, though the stream's ids went back.
const AMBIGUOUS: &str = "the plain door's ids went back, and this entry may have been taken before";

/// An entry that goes to `dead` for this reason.
fn refused(what: RelayedKind, reason: &str, sentence: String) -> RelayedKind {
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
    RelayedKind::Refuse(Box::new(Refused { reason: reason.to_owned(), sentence, ..refused }))
}

/// The bytes of one of these entries, in the mean.
fn mean(entries: &[IngressEntry]) -> usize {
    let bytes = |entry: &IngressEntry| entry.fields.iter().map(|(_, value)| value.len()).sum::<usize>();
    entries.iter().map(bytes).sum::<usize>() / entries.len().max(1)
}

/// How many entries to read next behind the `kept`, which are read once more: as many as are likely to stay within the bytes of
/// one look; and of the kept within four times that.
fn next_batch(mean: usize, kept: usize) -> usize {
    let likely = |bytes| bytes / mean.max(1);
    likely(BATCH_BYTES).clamp(1, BATCH) + kept.min(likely(4 * BATCH_BYTES))
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
        assert_eq!(next_batch(mean(&[of(10)]), 0), BATCH);
        assert_eq!(next_batch(mean(&[of(1 << 20), of(1 << 20)]), 0), 16);
        assert_eq!(next_batch(mean(&[of(1 << 28)]), 0), 1);
        assert_eq!(next_batch(mean(&[]), 0), BATCH);
        let mut mixed: Vec<_> = (0..300).map(|_| of(1_000)).collect();
        mixed.push(of(1 << 20));
        assert_eq!(next_batch(mean(&mixed), 600), BATCH + 600, "a large one among many closes no door");
        assert_eq!(next_batch(10, 300), BATCH + 300, "what stays at the door is read once more");
        assert_eq!(next_batch(1 << 20, 16), 16 + 16, "and what is behind it too, however large it is");
        assert_eq!(next_batch(1 << 20, 4_096), 16 + 64, "within bounds");
        assert_eq!(next_batch(17 << 20, 3), 1 + 3, "one that is larger than a look closes no door either");
    }
}
