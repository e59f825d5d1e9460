//! Who seems dead, by looks at lifelines: what counts, how often to look, and when to leave it to the lease.
//!
//! A worker's lifeline is a subscription that the server drops when its process ends. Looking for it is cheap
//! and quick, and a wrong answer cannot corrupt anything (the old owner is fenced and told so), but its effects may
//! then overlap with the new owner's. So a look counts only where it could have seen the subject, and one is not enough.

use std::{collections::BTreeMap, time::Duration};

use super::WorkerId;
use crate::planted::{Bug, planted};

/// How many of those after it in the ring each worker watches.
pub const WATCHED: usize = 2;

/// After each miss in a row: how long until the next look. One more miss than that is certain.
pub const AGAIN_AFTER: [Duration; 2] = [Duration::from_millis(10), Duration::from_millis(20)];

/// From how many members on looks become rarer, so that what they cost together stays the same.
const LARGE: usize = 20;

/// How often a worker among `members` looks, if in a fleet that is not large it does so `every` so often.
pub fn look_every(every: Duration, members: usize) -> Duration {
    let times = u32::try_from(members.div_ceil(LARGE).max(1)).unwrap_or(u32::MAX);
    every.saturating_mul(times)
}

/// Whom `watcher` watches: those that follow it among `members`, in order and round the end. The first of
/// them is its own charge, the others somebody else's too.
pub fn ring(watcher: &WorkerId, members: &[WorkerId]) -> Vec<WorkerId> {
    let mut sorted: Vec<_> = members.iter().filter(|member| *member != watcher).collect();
    sorted.sort();
    let after = sorted.partition_point(|member| *member < watcher);
    sorted.rotate_left(after);
    sorted.into_iter().take(WATCHED).cloned().collect()
}

/// Whether so many seem dead at once that it is a server's or a network's doing: more than a third, and at least three.
pub fn is_outage(dead: usize, members: usize) -> bool {
    dead >= 3 && dead * 3 > members && !planted(Bug::NoBrake)
}

/// What one worker believes of those it watches.
#[derive(Debug, Default)]
pub struct Watch {
    /// The start of the server that all of it is about.
    run: Option<String>,
    subjects: BTreeMap<WorkerId, Belief>,
}

/// What is believed of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Belief {
    /// Never seen: that it is not there says nothing.
    Unseen,
    /// Seen, and missed by so many looks in a row since.
    Missed(usize),
}

/// What a look came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// Nothing to worry about.
    Well,
    /// Somebody was missed: look again after this long.
    Again(Duration),
    /// These were there, and were missed by every look that it takes.
    Dead(Vec<WorkerId>),
}

impl Watch {
    /// Watches these from now on; what is believed of those watched before stays.
    pub fn over(&mut self, subjects: &[WorkerId]) {
        let known = std::mem::take(&mut self.subjects);
        let belief = |subject| known.get(subject).copied().unwrap_or(Belief::Unseen);
        self.subjects = subjects.iter().map(|subject| (subject.clone(), belief(subject))).collect();
    }

    /// A look was answered by the server's start `run`; `own` is whether the watcher itself was there, `present` who else was.
    pub fn looked(&mut self, run: &str, own: bool, present: impl Fn(&WorkerId) -> bool) -> Finding {
        if !own || (self.run.as_deref() != Some(run) && !planted(Bug::OtherRunCounts)) {
            // Who cannot see itself sees nobody: not even that others are gone.
            self.forget();
            self.run = Some(run.to_owned());
        }
        if own {
            for (subject, belief) in &mut self.subjects {
                *belief = belief.after(present(subject));
            }
        }
        self.finding()
    }

    /// A look was not answered: whatever kept the answer away may have broken the lifelines of others too, and they may
    /// be a moment later than the watcher in mending theirs. All must be seen again first.
    pub fn unanswered(&mut self) {
        self.forget();
    }

    /// Leaves somebody to its lease, until it is seen again.
    pub fn spare(&mut self, subject: &WorkerId) {
        if let Some(belief) = self.subjects.get_mut(subject) {
            *belief = Belief::Unseen;
        }
    }

    fn forget(&mut self) {
        for belief in self.subjects.values_mut() {
            *belief = Belief::Unseen;
        }
    }

    fn finding(&self) -> Finding {
        let missed = |belief: &Belief| match belief {
            Belief::Missed(times @ 1..) => Some(*times),
            _ => None,
        };
        let spared = if planted(Bug::OneMiss) { 0 } else { AGAIN_AFTER.len() };
        let dead = |belief: &Belief| matches!(belief, Belief::Missed(times) if *times > spared);
        let certain: Vec<_> = self
            .subjects
            .iter()
            .filter(|(_, belief)| dead(belief))
            .map(|(subject, _)| subject.clone())
            .collect();
        if !certain.is_empty() {
            return Finding::Dead(certain);
        }
        let pause = |times: usize| AGAIN_AFTER[(times - 1).min(AGAIN_AFTER.len() - 1)];
        match self.subjects.values().filter_map(missed).map(pause).min() {
            Some(pause) => Finding::Again(pause),
            None => Finding::Well,
        }
    }
}

impl Belief {
    fn after(self, present: bool) -> Self {
        match self {
            _ if present => Self::Missed(0),
            Self::Missed(times) => Self::Missed(times + 1),
            Self::Unseen => Self::Unseen,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(name: &str) -> WorkerId {
        name.parse().unwrap()
    }

    fn workers(names: &[&str]) -> Vec<WorkerId> {
        names.iter().map(|name| worker(name)).collect()
    }

    /// One look: under which start, whether the watcher is there, who else is; `None` for no answer.
    type Look = Option<(&'static str, bool, &'static [&'static str])>;

    /// What the last of these looks at `b` and `c` came to.
    fn after(looks: &[Look]) -> Finding {
        let mut watch = Watch::default();
        watch.over(&workers(&["b", "c"]));
        let mut finding = Finding::Well;
        for look in looks {
            match look {
                None => watch.unanswered(),
                Some((run, own, present)) => {
                    finding = watch.looked(run, *own, |subject| present.contains(&subject.as_str()));
                }
            }
        }
        finding
    }

    const BOTH: Look = Some(("1", true, &["b", "c"]));
    const ONLY_C: Look = Some(("1", true, &["c"]));
    const NOBODY: Look = Some(("1", true, &[]));
    const BLIND: Look = Some(("1", false, &[]));
    const RESTARTED: Look = Some(("2", true, &["c"]));

    #[test]
    fn a_miss_is_looked_at_again_after_10_and_20_ms_and_the_third_in_a_row_is_certain() {
        let dead = Finding::Dead(workers(&["b"]));
        let (soon, later) = (Finding::Again(AGAIN_AFTER[0]), Finding::Again(AGAIN_AFTER[1]));
        for (looks, finding) in [
            (vec![BOTH], Finding::Well),
            (vec![BOTH, ONLY_C], soon.clone()),
            (vec![BOTH, ONLY_C, ONLY_C], later),
            (vec![BOTH, ONLY_C, ONLY_C, ONLY_C], dead.clone()),
            (vec![BOTH, ONLY_C, ONLY_C, ONLY_C, ONLY_C], dead),
            (vec![BOTH, ONLY_C, ONLY_C, BOTH, ONLY_C], soon),
            (vec![BOTH, NOBODY, NOBODY, NOBODY], Finding::Dead(workers(&["b", "c"]))),
        ] {
            assert_eq!(after(&looks), finding, "{looks:?}");
        }
    }

    #[test]
    fn a_look_counts_only_where_it_could_have_seen_the_subject() {
        for looks in [
            // Never seen.
            vec![ONLY_C, ONLY_C, ONLY_C, ONLY_C],
            // The watcher itself was not there: all must be seen again first.
            vec![BOTH, BLIND, BLIND, BLIND],
            vec![BOTH, BLIND, ONLY_C, ONLY_C, ONLY_C],
            // Another start of the server: whoever was seen under the last one may be on its way back.
            vec![BOTH, RESTARTED, RESTARTED, RESTARTED, RESTARTED],
            vec![BOTH, ONLY_C, ONLY_C, RESTARTED],
            // No answer: what kept it away may have broken the lifelines of others too.
            vec![BOTH, None, ONLY_C, ONLY_C, ONLY_C],
            vec![BOTH, ONLY_C, ONLY_C, None, ONLY_C],
        ] {
            assert_eq!(after(&looks), Finding::Well, "{looks:?}");
        }
    }

    #[test]
    fn who_is_spared_must_be_seen_before_it_can_be_missed_again() {
        let mut watch = Watch::default();
        watch.over(&workers(&["b"]));
        watch.looked("1", true, |_| true);
        for _ in 0..3 {
            watch.looked("1", true, |_| false);
        }
        watch.spare(&worker("b"));
        assert_eq!(watch.looked("1", true, |_| false), Finding::Well);
        watch.looked("1", true, |_| true);
        assert_eq!(watch.looked("1", true, |_| false), Finding::Again(AGAIN_AFTER[0]));
    }

    #[test]
    fn beliefs_outlive_a_change_of_neighbours() {
        let mut watch = Watch::default();
        watch.over(&workers(&["b", "c"]));
        watch.looked("1", true, |_| true);
        watch.looked("1", true, |subject| subject.as_str() != "b");
        watch.over(&workers(&["b", "d"]));
        assert_eq!(
            watch.looked("1", true, |_| false),
            Finding::Again(AGAIN_AFTER[1]),
            "the second miss of b"
        );
    }

    #[test]
    fn everybody_is_watched_by_the_two_before_it() {
        let all = workers(&["c", "a", "d", "b"]);
        assert_eq!(ring(&worker("a"), &all), workers(&["b", "c"]));
        assert_eq!(ring(&worker("c"), &all), workers(&["d", "a"]));
        assert_eq!(ring(&worker("d"), &all), workers(&["a", "b"]));
        assert_eq!(ring(&worker("bb"), &all), workers(&["c", "d"]), "also before it stands on the list");
        assert_eq!(ring(&worker("a"), &workers(&["a", "b"])), workers(&["b"]));
        assert_eq!(ring(&worker("a"), &workers(&["a"])), []);
    }

    #[test]
    fn more_than_a_third_and_at_least_three_at_once_is_no_death() {
        for (dead, members, outage) in [
            (1, 1, false),
            (2, 2, false),
            (2, 4, false),
            (3, 4, true),
            (3, 8, true),
            (3, 9, false),
            (4, 9, true),
        ] {
            assert_eq!(is_outage(dead, members), outage, "{dead} of {members}");
        }
    }

    #[test]
    fn a_fleet_looks_no_oftener_than_400_times_a_second_however_large() {
        for (members, ms) in [(1, 50), (20, 50), (21, 100), (200, 500)] {
            assert_eq!(
                look_every(Duration::from_millis(50), members),
                Duration::from_millis(ms),
                "{members}"
            );
        }
    }
}
