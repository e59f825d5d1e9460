//! Reading: sessions, histories, dead letters.

use std::ops::Bound;

use super::partition::{Keyspace, Session};
use crate::{
    model::{Entry, Partition, SessionId, StreamId},
    store::{DeadLetter, HistoryRange, Look, Sight},
};

impl Keyspace {
    pub(super) fn look(&self, id: &SessionId) -> Look {
        match self.sessions.get(id) {
            None => Look::Absent,
            Some(Session { newer: Some(why), .. }) => Look::Unreadable(why.clone()),
            Some(session) => {
                let sight = Sight { record: session.record.clone(), waiting: session.waiting() };
                Look::Here(Box::new(sight))
            }
        }
    }

    pub(super) fn sessions_after(&self, after: Option<&SessionId>, limit: usize) -> Vec<SessionId> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.index.range((from, Bound::Unbounded)).take(limit).cloned().collect()
    }

    pub(super) fn history(&self, id: &SessionId, range: HistoryRange) -> Vec<Entry> {
        let entries = self.sessions.get(id).map_or(&[][..], |session| &session.history);
        match range {
            HistoryRange::Newest(0) => entries.to_vec(),
            HistoryRange::Newest(most) => entries[entries.len().saturating_sub(most)..].to_vec(),
            HistoryRange::After(after, most) => {
                entries.iter().filter(|entry| Some(entry.id) > after).take(most).cloned().collect()
            }
        }
    }

    /// Dead letters, each with where it lies.
    pub(super) fn letters(
        &self,
        partition: Partition,
        after: Option<StreamId>,
    ) -> impl Iterator<Item = DeadLetter> {
        self.dead.after(after).map(move |(id, letter)| DeadLetter { partition, id, ..letter.clone() })
    }
}
