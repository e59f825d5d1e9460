//! What a run left behind, and what must hold of that.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::FutureExt;

use super::{invariants as must, workload::Acked};
use crate::{
    model::{Entry, EntryKind, MessageId, SessionId},
    store::{HistoryRange, MemoryStore, SessionSnapshot, Snapshot, Store},
};

/// What a user demands of the end of a run.
pub(super) type Check = Arc<dyn Fn(&End) -> Result<(), String> + Send + Sync>;

/// The end of a run.
pub struct End<'a> {
    pub(super) acked: &'a [Acked],
    pub(super) store: MemoryStore,
    pub(super) lost_writes: bool,
    pub(super) replaced: &'a [Snapshot],
}

impl End<'_> {
    /// The messages of which clients were told that they are accepted, in the order in which they were told.
    pub fn acked(&self) -> &[Acked] {
        self.acked
    }

    /// Whether the server lost writes, so that what was accepted may be gone.
    pub fn lost_writes(&self) -> bool {
        self.lost_writes
    }

    /// What each server held when a replica took its place, in that order.
    pub fn replaced(&self) -> &[Snapshot] {
        self.replaced
    }

    /// All that the server holds.
    pub fn snapshot(&self) -> Snapshot {
        self.store.snapshot()
    }

    /// All sessions.
    pub fn sessions(&self) -> BTreeMap<SessionId, SessionSnapshot> {
        self.snapshot().partitions.into_values().flat_map(|partition| partition.sessions).collect()
    }

    /// The whole history of a session, oldest first.
    pub fn history(&self, session: &SessionId) -> Vec<Entry> {
        let all = self.store.history(session, HistoryRange::Newest(0), Duration::ZERO).now_or_never();
        all.expect("the memory store never waits").unwrap_or_default()
    }

    /// What always must hold at the end.
    pub(super) fn standard(&self) -> Option<(&'static str, String)> {
        let mut ended = BTreeMap::<MessageId, usize>::new();
        let sessions = self.sessions();
        for (session, held) in &sessions {
            if let Some(broken) = one_end(session, held, &mut ended) {
                return Some((must::ONE_END, broken));
            }
        }
        // What is set aside with its session is kept.
        let kept =
            |acked: &Acked| sessions.get(&acked.session).is_some_and(|held| held.record.hold.is_some());
        let lost = self.acked.iter().find(|acked| !ended.contains_key(&acked.message) && !kept(acked));
        match lost {
            Some(Acked { session, message, .. }) if !self.lost_writes => {
                Some((must::NO_LOSS, format!("{session}: {message} was accepted, and never ended")))
            }
            _ => None,
        }
    }
}

/// Each message has one `user` entry and at most one `assistant` entry behind it.
fn one_end(
    session: &SessionId,
    held: &SessionSnapshot,
    ended: &mut BTreeMap<MessageId, usize>,
) -> Option<String> {
    for Entry { id, kind, message, .. } in &held.history {
        let Some(message) = message else { continue };
        let seen = ended.entry(*message).or_default();
        let expected = match kind {
            EntryKind::User => 0,
            EntryKind::Assistant => 1,
            _ => continue,
        };
        if *seen != expected {
            return Some(format!("{session}: entry {id} is one too many, or too early, for {message}"));
        }
        *seen += 1;
    }
    None
}
