//! A process as the world sees it: whether it runs, its clock and timers, its connection to the server.

use std::{collections::BTreeMap, task::Waker, time::Duration};

use super::{choice::Choice, clock::LocalClock, faults::Cut};
use crate::runtime::Moment;

/// A worker's or client's process.
#[derive(Default)]
pub(super) struct Process {
    /// Which start of it this is; from 1, and 0 before the first.
    pub(super) generation: u32,
    pub(super) is_up: bool,
    /// Asked to end in good order.
    pub(super) is_draining: bool,
    pub(super) paused_until: Option<Duration>,
    /// Since when others cannot reach it: it does not run, stands still or is cut off.
    silent_since: Option<Duration>,
    /// Until when it is not subscribed to anything.
    pub(super) deaf_until: Duration,
    /// Since when the server does not see it subscribed, though it lives and the server is the same.
    pub(super) lifeline_broken: Option<Duration>,
    pub(super) link: Link,
    pub(super) clock: LocalClock,
    pub(super) timers: BTreeMap<(Moment, u64), (Choice, Waker)>,
}

/// The connection to the server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Link {
    #[default]
    Up,
    Cut(Cut),
}

impl Process {
    /// Whether it is still this start of it.
    pub(super) fn is(&self, generation: u32) -> bool {
        self.is_up && self.generation == generation
    }

    /// A new start; what the old one waited for is forgotten.
    pub(super) fn start(&mut self, now: Duration) -> u32 {
        self.generation += 1;
        self.is_up = true;
        self.is_draining = false;
        self.paused_until = None;
        self.deaf_until = Duration::ZERO;
        self.lifeline_broken = None;
        self.silent_since = None;
        self.timers.clear();
        self.clock = LocalClock::started(now);
        self.generation
    }

    /// The end of it.
    pub(super) fn stop(&mut self, now: Duration) {
        self.is_up = false;
        self.timers.clear();
        self.silent_since.get_or_insert(now);
    }

    /// It stands still for a while.
    pub(super) fn pause(&mut self, now: Duration, lasting: Duration) {
        self.paused_until = Some(now + lasting);
        self.silent_since.get_or_insert(now);
    }

    /// Its connection is cut.
    pub(super) fn cut(&mut self, now: Duration, how: Cut) {
        self.link = Link::Cut(how);
        self.silent_since.get_or_insert(now);
    }

    /// Its connection is there again; gives what it was.
    pub(super) fn heal(&mut self) -> Link {
        if self.is_up {
            self.silent_since = None;
        }
        std::mem::take(&mut self.link)
    }

    /// For how long others have not reached it; none if they do.
    pub(super) fn silent_for(&self, now: Duration) -> Option<Duration> {
        let since = self.silent_since.filter(|_| !self.hears(now))?;
        Some(now - since)
    }

    /// Whether its code runs.
    pub(super) fn runs(&self, now: Duration) -> bool {
        self.is_up && self.paused_until.is_none_or(|until| until <= now)
    }

    /// Whether what the server sends reaches its code.
    pub(super) fn hears(&self, now: Duration) -> bool {
        self.runs(now) && self.link == Link::Up
    }

    /// The timers whose time has come.
    pub(super) fn due(&self, now: Duration) -> impl Iterator<Item = Choice> {
        let runs = self.runs(now) && !self.timers.is_empty();
        let until = (self.clock.at(now), u64::MAX);
        let due = runs.then(|| self.timers.range(..=until));
        due.into_iter().flatten().map(|(_, (choice, _))| *choice)
    }

    /// When its next timer is due, or its pause over.
    pub(super) fn next_event(&self, now: Duration) -> Option<Duration> {
        let resumed = self.paused_until.filter(|until| *until > now);
        let after = (self.clock.at(now), u64::MAX);
        let next = self.timers.range(after..).next().map(|((at, _), _)| self.clock.when(*at));
        match resumed {
            Some(until) => Some(until),
            None => next,
        }
    }

    /// Takes the timer of this id out.
    pub(super) fn take_timer(&mut self, id: u64, now: Duration) -> Option<Waker> {
        let until = (self.clock.at(now), u64::MAX);
        let key = self.timers.range(..=until).map(|(key, _)| *key).find(|(_, timer)| *timer == id)?;
        self.timers.remove(&key).map(|(_, waker)| waker)
    }
}
