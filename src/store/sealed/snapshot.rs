//! A snapshot as who has the keys sees it.

use super::Sealed;
use crate::store::{PartitionSnapshot, Snapshot};

impl<S> Sealed<S> {
    /// `snapshot`, which was taken of the store below, opened; in place of what cannot be opened stands why.
    pub fn opened(&self, mut snapshot: Snapshot) -> Snapshot {
        for partition in snapshot.partitions.values_mut() {
            self.open_partition(partition);
        }
        snapshot
    }

    fn open_partition(&self, partition: &mut PartitionSnapshot) {
        let seals = self.seals.clone().showing_unopened();
        for (name, session) in &mut partition.sessions {
            session.state = session.state.take().map(|stored| seals.state(name, stored));
            session.inbox = seals.mail(name, std::mem::take(&mut session.inbox));
            let history = seals.history(name, std::mem::take(&mut session.history));
            session.history = history.expect("what cannot be opened is shown");
        }
        partition.dead = std::mem::take(&mut partition.dead).into_iter().map(|it| seals.letter(it)).collect();
        for ((session, _), id) in &mut partition.ids {
            let opened = |answer: &String| seals.open_answer(Some(session), answer.clone()).ok();
            id.answer = id.answer.as_ref().and_then(opened).or(id.answer.take());
        }
    }
}
