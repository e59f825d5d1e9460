//! How late a worker's upkeep is: a bound that is measured, and told with every announcement.

use std::{sync::Mutex, time::Duration};

use super::env::Moment;
use crate::{model::millis, store::UpkeepLag};

/// What the rounds of upkeep came to so far.
#[derive(Debug, Default)]
pub(super) struct Lag(Mutex<Rounds>);

#[derive(Debug, Default)]
struct Rounds {
    /// When the last one ended, and how long after the one before.
    last: Option<(Moment, Duration)>,
    /// Since when the longest pass over an index is under way.
    pass_began: Option<Moment>,
}

impl Lag {
    /// A round over all partitions kept ended; since when the longest pass over one of their indexes is under way.
    pub(super) fn round_ended(&self, now: Moment, pass_began: Option<Moment>) {
        let mut rounds = self.rounds();
        let since = rounds.last.map_or(Duration::ZERO, |(before, _)| now.since(before));
        *rounds = Rounds { last: Some((now, since)), pass_began };
    }

    /// Upkeep is left to others from here on.
    pub(super) fn ended(&self) {
        *self.rounds() = Rounds::default();
    }

    /// As it is at `now`: a round that does not end makes it later and later.
    pub(super) fn at(&self, now: Moment) -> UpkeepLag {
        let rounds = self.rounds();
        let round = rounds.last.map_or(Duration::ZERO, |(ended, since)| since.max(now.since(ended)));
        UpkeepLag {
            round_ms: millis(round),
            pass_ms: rounds.pass_began.map(|began| millis(now.since(began))),
        }
    }

    fn rounds(&self) -> std::sync::MutexGuard<'_, Rounds> {
        self.0.lock().expect("nobody panics with it")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Moment {
        Moment::default().plus(Duration::from_millis(ms))
    }

    #[test]
    fn a_round_that_does_not_end_lags_more_and_more() {
        let lag = Lag::default();
        lag.round_ended(at(1_000), None);
        lag.round_ended(at(1_100), None);
        assert_eq!(lag.at(at(1_150)).round_ms, 100, "as late as the last one was");
        assert_eq!(lag.at(at(9_100)).round_ms, 8_000);
        lag.round_ended(at(9_200), None);
        assert_eq!(lag.at(at(9_250)).round_ms, 8_100, "what waited for it waited so long");
        lag.round_ended(at(9_300), None);
        assert_eq!(lag.at(at(9_300)).round_ms, 100);
    }

    #[test]
    fn the_longest_pass_counts_while_it_is_under_way() {
        let lag = Lag::default();
        assert_eq!(lag.at(at(1_000)).pass_ms, None);
        lag.round_ended(at(1_000), Some(at(400)));
        assert_eq!(lag.at(at(1_500)).pass_ms, Some(1_100));
    }
}
