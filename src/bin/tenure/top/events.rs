//! What happened from one look to the next: rates and deaths, from the counts that workers tell.

use std::collections::BTreeMap;

use tenure::{
    model::{Millis, WorkerId},
    store::{Member, Tally},
};

use super::snapshot::{Death, Failovers};
use crate::output::Time;

/// How many deaths are remembered and shown.
const RECENT: usize = 5;

/// What is remembered of earlier looks.
#[derive(Debug, Default)]
pub(super) struct Events {
    known: BTreeMap<WorkerId, Known>,
    deaths: BTreeMap<WorkerId, Millis>,
    /// Whether there was a look before: what was counted then is history.
    began: bool,
    seen: usize,
    sessions: u64,
}

/// A worker's last tally, and its rate between that and the one before.
#[derive(Debug)]
struct Known {
    tally: Tally,
    turns_per_second: Option<f64>,
}

impl Events {
    /// Takes in what the workers that are there tell now.
    pub(super) fn take(&mut self, members: &[Member]) {
        let present = |worker: &WorkerId| members.iter().any(|member| member.worker == *worker);
        self.known.retain(|worker, _| present(worker));
        for Member { worker, tally, .. } in members {
            self.count_reaped(worker, tally);
            self.remember_deaths(tally);
            let known = match self.known.remove(worker) {
                Some(known) => known.then(tally),
                None => Known { tally: tally.clone(), turns_per_second: None },
            };
            self.known.insert(worker.clone(), known);
        }
        self.began = true;
    }

    /// Turns a second of one worker, between its last two announcements.
    pub(super) fn turns_per_second(&self, worker: &WorkerId) -> Option<f64> {
        self.known.get(worker)?.turns_per_second
    }

    /// Of all whose rate is known.
    pub(super) fn turns_per_second_of_all(&self) -> Option<f64> {
        self.known.values().filter_map(|known| known.turns_per_second).reduce(|all, one| all + one)
    }

    pub(super) fn failovers(&self) -> Failovers {
        let mut recent: Vec<_> = self
            .deaths
            .iter()
            .map(|(worker, at)| Death { worker: worker.clone(), time: Time(*at) })
            .collect();
        recent.sort_by_key(|death| std::cmp::Reverse(death.time.0));
        recent.truncate(RECENT);
        Failovers { seen: self.seen, sessions: self.sessions, recent }
    }

    fn count_reaped(&mut self, worker: &WorkerId, tally: &Tally) {
        let before = match self.known.get(worker) {
            Some(known) => known.tally.reaped,
            None if self.began => 0,
            None => tally.reaped,
        };
        self.sessions += tally.reaped.saturating_sub(before);
    }

    /// Two workers may tell of one death: it is one. Whoever tells of one again after a long time tells of the same.
    fn remember_deaths(&mut self, tally: &Tally) {
        for burial in &tally.buried {
            if self.deaths.insert(burial.worker.clone(), burial.at).is_none() && self.began {
                self.seen += 1;
            }
        }
    }
}

impl Known {
    fn then(self, tally: &Tally) -> Self {
        let seconds = tally.at.since(self.tally.at).as_secs_f64();
        if seconds <= 0.0 {
            return self;
        }
        let turns = tally.turns.saturating_sub(self.tally.turns);
        Self { tally: tally.clone(), turns_per_second: Some(turns as f64 / seconds) }
    }
}

#[cfg(test)]
mod tests {
    use tenure::{
        model::Pool,
        store::{Burial, MemberState},
    };

    use super::*;

    fn member(worker: &str, at: u64, turns: u64, reaped: u64, buried: &[(&str, u64)]) -> Member {
        let burial = |(worker, at): &(&str, u64)| Burial { worker: worker.parse().unwrap(), at: Millis(*at) };
        Member {
            worker: worker.parse().unwrap(),
            pool: Pool::default(),
            agents: Vec::new(),
            full: Default::default(),
            sessions: 0,
            running: 0,
            capacity: 1,
            since: Millis(0),
            state: MemberState::Ready,
            tally: Tally {
                at: Millis(at),
                turns,
                reaped,
                buried: buried.iter().map(burial).collect(),
                ..Tally::default()
            },
        }
    }

    #[test]
    fn a_rate_is_that_between_the_last_two_announcements_however_often_one_looks() {
        let (mut events, a) = (Events::default(), "a".parse().unwrap());
        events.take(&[member("a", 1_000, 100, 0, &[])]);
        assert_eq!(events.turns_per_second(&a), None);
        for _ in 0..3 {
            events.take(&[member("a", 3_000, 120, 0, &[]), member("b", 3_000, 7, 0, &[])]);
            assert_eq!(events.turns_per_second(&a), Some(10.0));
        }
        events.take(&[member("a", 5_000, 120, 0, &[]), member("b", 4_000, 12, 0, &[])]);
        assert_eq!((events.turns_per_second(&a), events.turns_per_second_of_all()), (Some(0.0), Some(5.0)));
        events.take(&[]);
        assert_eq!(events.turns_per_second_of_all(), None);
    }

    #[test]
    fn a_death_that_two_tell_of_is_one_and_what_was_before_the_first_look_does_not_count() {
        let mut events = Events::default();
        events.take(&[member("a", 1, 0, 50, &[("old", 1)])]);
        assert_eq!((events.failovers().seen, events.failovers().sessions), (0, 0));
        assert_eq!(events.failovers().recent.len(), 1, "it is shown all the same");
        let dead = &[("old", 1), ("dead", 9)][..];
        events.take(&[member("a", 2, 0, 60, dead), member("b", 2, 0, 5, &dead[1..])]);
        events.take(&[member("a", 3, 0, 60, dead), member("b", 3, 0, 5, &dead[1..])]);
        let failovers = events.failovers();
        assert_eq!((failovers.seen, failovers.sessions), (1, 15));
        assert_eq!(failovers.recent[0].worker.as_str(), "dead", "newest first");
    }
}
