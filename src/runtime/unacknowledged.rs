//! Boundaries that are written and have not reached their class: who looks at their sessions is told what they wait for.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use crate::{
    model::{Durability, Millis, SessionId},
    store::{Unacknowledged, Waiting},
};

/// Those of one incarnation: one for each session at most.
#[derive(Debug, Clone, Default)]
pub(super) struct Unreached(Arc<Mutex<BTreeMap<SessionId, (Durability, Millis)>>>);

/// A boundary that waits for its class, until this is dropped.
#[derive(Debug)]
pub(super) struct Unreach {
    all: Unreached,
    session: SessionId,
}

impl Unreached {
    /// A boundary of `session` did not reach `class` in time; that was noticed at `since`.
    pub(super) fn add(&self, session: &SessionId, class: Durability, since: Millis) -> Unreach {
        self.sessions().insert(session.clone(), (class, since));
        Unreach { all: self.clone(), session: session.clone() }
    }

    /// How many there are, and which have waited longest.
    pub(super) fn tally(&self) -> Unacknowledged {
        let all = self.sessions();
        let each = all.iter().map(|(session, (class, since))| (*since, session, *class));
        let mut longest: Vec<_> = each.collect();
        longest.sort_unstable_by_key(|(since, session, _)| (*since, *session));
        longest.truncate(Unacknowledged::NAMED);
        let named = |(since, session, class): (Millis, &SessionId, Durability)| Waiting {
            session: session.clone(),
            class,
            since,
        };
        Unacknowledged { sessions: all.len(), longest: longest.into_iter().map(named).collect() }
    }

    fn sessions(&self) -> MutexGuard<'_, BTreeMap<SessionId, (Durability, Millis)>> {
        self.0.lock().expect("nobody panics with it")
    }
}

impl Drop for Unreach {
    fn drop(&mut self) {
        self.all.sessions().remove(&self.session);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_wait_longest_are_named_and_all_are_counted_until_they_wait_no_more() {
        let unreached = Unreached::default();
        let class = Durability { fsync: false, replicas: 1 };
        let session = |n: usize| format!("echo/{n}").parse::<SessionId>().unwrap();
        let most = Unacknowledged::NAMED;
        let mut waits: Vec<_> =
            (0..=most).map(|n| unreached.add(&session(n), class, Millis((most - n) as u64))).collect();
        let tally = unreached.tally();
        assert_eq!((tally.sessions, tally.longest.len()), (most + 1, most));
        let first = Waiting { session: session(most), class, since: Millis(0) };
        assert_eq!(tally.longest[0], first);
        assert!(tally.longest.iter().all(|waiting| waiting.session != session(0)));
        waits.truncate(1);
        assert_eq!(unreached.tally().longest[0].session, session(0));
        waits.clear();
        assert_eq!(unreached.tally(), Unacknowledged::default());
    }
}
