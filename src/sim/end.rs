//! What a run left behind, and what must hold of that.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures_util::FutureExt;

use super::{
    invariants as must,
    workload::{Acked, Posted},
};
use crate::{
    model::{Body, Entry, EntryKind, MessageId, SessionId},
    store::{HistoryRange, Mail, MemoryStore, SessionSnapshot, Snapshot, Store},
};

/// What a user demands of the end of a run.
pub(super) type Check = Arc<dyn Fn(&End) -> Result<(), String> + Send + Sync>;

/// The end of a run.
pub struct End<'a> {
    pub(super) acked: &'a [Acked],
    pub(super) posted: &'a [Posted],
    pub(super) store: MemoryStore,
    pub(super) lost_writes: bool,
    pub(super) replaced: &'a [Snapshot],
}

impl End<'_> {
    /// The messages of which clients were told that they are accepted, in the order in which they were told.
    pub fn acked(&self) -> &[Acked] {
        self.acked
    }

    /// The entries of which clients were told that they are at a plain door, in the order in which they were told.
    pub fn posted(&self) -> &[Posted] {
        self.posted
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
            _ => self.lost_entry().map(|lost| (must::NO_LOSS, lost)),
        }
    }

    /// An entry that was accepted at a plain door, and is in no history, inbox or `dead`.
    fn lost_entry(&self) -> Option<String> {
        if self.lost_writes || self.posted.is_empty() {
            return None;
        }
        let mut there = BTreeSet::new();
        for partition in self.snapshot().partitions.into_values() {
            let dead = partition.dead.into_iter().filter_map(|letter| Some((letter.session?, letter.body)));
            there.extend(dead.map(|(session, body)| (session, body.as_json().to_owned())));
            for (session, held) in partition.sessions {
                let written = held.history.iter().filter(|entry| entry.kind == EntryKind::User);
                let waiting = held.inbox.iter().filter_map(body_of);
                let bodies = written.map(|entry| &entry.body).chain(waiting);
                there.extend(bodies.map(|body| (session.clone(), body.as_json().to_owned())));
            }
        }
        let is_there =
            |posted: &&Posted| there.contains(&(posted.session.clone(), posted.body.as_json().to_owned()));
        let Posted { door, session, body, .. } = self.posted.iter().find(|posted| !is_there(posted))?;
        Some(format!("{session}: {} was accepted at {door}, and is nowhere", body.as_json()))
    }
}

fn body_of(mail: &Mail) -> Option<&Body> {
    match mail {
        Mail::Message(message) | Mail::Malformed(message, _) => Some(&message.body),
        Mail::Unreadable(_) => None,
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
