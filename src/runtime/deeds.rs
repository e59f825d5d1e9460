//! What an incarnation has done so far, for others to see: it is told with every announcement, and decides nothing.

use std::{
    collections::VecDeque,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{env::Moment, lag::Lag, unacknowledged::Unreached};
use crate::{
    model::{Millis, WorkerId},
    store::{Burial, Tally},
};

/// Counts that only grow, and what stands now.
#[derive(Debug, Default)]
pub(super) struct Deeds {
    turns: AtomicU64,
    reaped: AtomicU64,
    buried: Mutex<VecDeque<Burial>>,
    pub(super) lag: Lag,
    pub(super) unreached: Unreached,
}

impl Deeds {
    /// So many turns ended.
    pub(super) fn ended(&self, turns: u64) {
        self.turns.fetch_add(turns, Ordering::Relaxed);
    }

    /// So many sessions were taken from the dead.
    pub(super) fn reaped(&self, sessions: usize) {
        self.reaped.fetch_add(sessions as u64, Ordering::Relaxed);
    }

    /// A worker was found dead. Counts once for each, however many partitions it was buried in.
    pub(super) fn buried(&self, worker: &WorkerId, at: Millis) {
        let mut buried = self.buried.lock().expect("nobody panics while looking at the buried");
        if buried.iter().any(|burial| burial.worker == *worker) {
            return;
        }
        if buried.len() == Tally::BURIALS {
            buried.pop_front();
        }
        buried.push_back(Burial { worker: worker.clone(), at });
    }

    /// All of it, counted at `at`, which is `now`.
    pub(super) fn tally(&self, at: Millis, now: Moment) -> Tally {
        let buried = self.buried.lock().expect("nobody panics while looking at the buried");
        Tally {
            at,
            turns: self.turns.load(Ordering::Relaxed),
            reaped: self.reaped.load(Ordering::Relaxed),
            buried: buried.iter().cloned().collect(),
            upkeep: self.lag.at(now),
            unacknowledged: self.unreached.tally(),
            ..Tally::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_death_counts_once_and_the_oldest_is_forgotten_first() {
        let deeds = Deeds::default();
        for n in 0..10 {
            let worker = format!("w-{n}").parse().unwrap();
            deeds.buried(&worker, Millis(n));
            deeds.buried(&worker, Millis(n + 100));
        }
        let tally = deeds.tally(Millis(7), Moment::default());
        let told: Vec<_> = tally.buried.iter().map(|burial| burial.at.0).collect();
        assert_eq!(told, (2..10).collect::<Vec<_>>());
    }
}
