//! An append-only sequence whose ids are given as Redis gives them to `XADD … *`.

use std::{collections::BTreeMap, ops::Bound};

use crate::model::{Millis, StreamId};

/// Entries by id; an id is never given twice, also not after its entry was removed.
#[derive(Debug, Clone)]
pub(super) struct Stream<T> {
    entries: BTreeMap<StreamId, T>,
    last: StreamId,
}

impl<T> Stream<T> {
    /// Appends `value` under `<now>-0`, or under the next id after the last if that is not greater.
    pub(super) fn add(&mut self, now: Millis, value: T) -> StreamId {
        let fresh = StreamId { millis: now.0, seq: 0 };
        let next = StreamId { millis: self.last.millis, seq: self.last.seq + 1 };
        self.last = fresh.max(next);
        self.entries.insert(self.last, value);
        self.last
    }

    /// The last id ever given.
    pub(super) fn last(&self) -> StreamId {
        self.last
    }

    /// Gives only ids greater than `past` from now on.
    pub(super) fn advance(&mut self, past: StreamId) {
        self.last = self.last.max(past);
    }

    pub(super) fn get(&self, id: StreamId) -> Option<&T> {
        self.entries.get(&id)
    }

    pub(super) fn remove(&mut self, id: StreamId) -> Option<T> {
        self.entries.remove(&id)
    }

    /// All entries, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (StreamId, &T)> {
        self.entries.iter().map(|(id, value)| (*id, value))
    }

    /// The entries after `after` (from the start if none), oldest first.
    pub(super) fn after(&self, after: Option<StreamId>) -> impl Iterator<Item = (StreamId, &T)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.entries.range((from, Bound::Unbounded)).map(|(id, value)| (*id, value))
    }
}

impl<T> Default for Stream<T> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), last: StreamId::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_grow_when_the_clock_stands_or_goes_back_and_after_removals() {
        let mut stream = Stream::default();
        let id = |millis, seq| StreamId { millis, seq };
        assert_eq!(stream.add(Millis(7), ()), id(7, 0));
        assert_eq!(stream.add(Millis(7), ()), id(7, 1));
        stream.remove(id(7, 1));
        assert_eq!(stream.add(Millis(3), ()), id(7, 2));
        stream.advance(id(9, 4));
        assert_eq!(stream.add(Millis(8), ()), id(9, 5));
        assert_eq!(stream.add(Millis(10), ()), id(10, 0));
    }
}
