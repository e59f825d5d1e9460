//! What a server lost of a session: entries that had been acknowledged, and are not there any more. Pure.

use serde::{Deserialize, Serialize};

use super::{Body, Entry, EntryId, EntryKind, SessionRecord};

/// The last that an owner saw acknowledged of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledged {
    /// The boundary.
    pub commit: String,
    /// The last entry that it, or one before it, appended.
    pub entry: EntryId,
    /// Turns that had ended.
    pub turns: u64,
}

/// Entries that were acknowledged, and are lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// The last of them, under which the loss is known.
    pub last: EntryId,
    /// Their numbers, first and last.
    pub entries: (u64, u64),
    /// The turns that had ended with them, first and last; none where only a part of one is lost.
    #[serde(default)]
    pub turns: Option<(u64, u64)>,
}

/// The body of the event that tells of a loss.
#[derive(Serialize, Deserialize)]
struct Event {
    event: String,
    #[serde(flatten)]
    loss: Loss,
}

const LOSS: &str = "loss";

impl Loss {
    /// What of `known` is not in `history`, which is oldest first and reaches back to before it; nothing if it is there,
    /// or was told of before. `record` is as young as the history.
    ///
    /// What stands behind the gap was written by owners who knew nothing of what is lost: it begins with the turn that
    /// they took for the next one.
    pub fn of(known: &Acknowledged, history: &[Entry], record: &SessionRecord) -> Option<Self> {
        let told = |entry: &Entry| Self::in_entry(entry).is_some_and(|loss| loss.last == known.entry);
        if history.iter().any(|entry| entry.id == known.entry || told(entry)) {
            return None;
        }
        let behind = history.partition_point(|entry| entry.id < known.entry);
        let first = behind.checked_sub(1).map_or(1, |before| history[before].id.seq + 1);
        let left = history.get(behind).map_or(record.turns, |entry| entry.turn.saturating_sub(1));
        Some(Self {
            last: known.entry,
            entries: (first.min(known.entry.seq), known.entry.seq),
            turns: (left < known.turns).then_some((left + 1, known.turns)),
        })
    }

    /// How many turns it is.
    pub fn turn_count(&self) -> u64 {
        self.turns.map_or(0, |(first, last)| last - first + 1)
    }

    /// The body of the event that tells of it.
    pub fn event(&self) -> Body {
        Body::of(&Event { event: LOSS.to_owned(), loss: self.clone() }).expect("an object")
    }

    /// The loss that an entry tells of.
    pub fn in_entry(entry: &Entry) -> Option<Self> {
        let event = (entry.kind == EntryKind::Event).then(|| entry.body.decode::<Event>().ok())??;
        (event.event == LOSS).then_some(event.loss)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Epoch, Millis, Pool};

    fn entry(epoch: u64, seq: u64, turn: u64) -> Entry {
        let id = EntryId { epoch: Epoch(epoch), seq };
        Entry { id, kind: EntryKind::User, turn, time: Millis(1), message: None, body: Body::text("x") }
    }

    fn known(epoch: u64, seq: u64, turns: u64) -> Acknowledged {
        Acknowledged { commit: "c".into(), entry: EntryId { epoch: Epoch(epoch), seq }, turns }
    }

    fn with_turns(turns: u64) -> SessionRecord {
        SessionRecord { turns, ..SessionRecord::made(Pool::default(), Millis(1)) }
    }

    /// Two turns of two entries each, under the first claim.
    fn two_turns() -> Vec<Entry> {
        vec![entry(10, 1, 1), entry(10, 2, 1), entry(10, 3, 2), entry(10, 4, 2)]
    }

    #[test]
    fn nothing_is_lost_of_what_is_there_whoever_wrote_on() {
        let mut history = two_turns();
        history.push(entry(20, 5, 3));
        assert_eq!(Loss::of(&known(10, 4, 2), &history, &with_turns(3)), None);
    }

    #[test]
    fn a_lost_tail_is_told_by_its_entries_and_its_turns() {
        let loss = Loss::of(&known(10, 8, 4), &two_turns(), &with_turns(2)).unwrap();
        assert_eq!((loss.entries, loss.turns, loss.turn_count()), ((5, 8), Some((3, 4)), 2));
        let whole = Loss::of(&known(10, 8, 4), &[], &with_turns(0)).unwrap();
        assert_eq!((whole.entries, whole.turns), ((1, 8), Some((1, 4))));
    }

    #[test]
    fn what_was_written_since_by_others_is_not_taken_for_what_was_lost() {
        let mut history = two_turns();
        history.extend([entry(20, 5, 3), entry(20, 6, 3)]);
        let loss = Loss::of(&known(10, 8, 4), &history, &with_turns(3)).unwrap();
        assert_eq!((loss.entries, loss.turns), ((5, 8), Some((3, 4))));
    }

    #[test]
    fn a_boundary_in_the_middle_of_a_turn_is_lost_without_a_turn() {
        let loss = Loss::of(&known(10, 5, 2), &two_turns(), &with_turns(2)).unwrap();
        assert_eq!((loss.entries, loss.turns), ((5, 5), None));
    }

    #[test]
    fn a_loss_is_told_once() {
        let mut history = two_turns();
        let loss = Loss::of(&known(10, 8, 4), &history, &with_turns(2)).unwrap();
        history.push(Entry { kind: EntryKind::Event, body: loss.event(), ..entry(20, 5, 3) });
        assert_eq!(Loss::in_entry(&history[4]), Some(loss));
        assert_eq!(Loss::of(&known(10, 8, 4), &history, &with_turns(2)), None);
    }
}
