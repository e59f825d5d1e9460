//! Where planted bugs are looked for.

use super::scenario::Scenario;
use crate::planted::Bug;

/// A planted bug, and the scenario that is there to find it.
#[derive(Debug, Clone, Copy)]
pub struct Hunt {
    /// The bug.
    pub bug: Bug,
    /// The scenario's name.
    pub scenario: &'static str,
    /// It is found within so many seeds, from 1, by at least one strategy.
    pub within: u64,
}

impl Hunt {
    /// One for each bug.
    pub const ALL: &[Self] = &[
        Self::of(Bug::CommitWithoutToken, "what-arrives-after-a-cut-changes-nothing", 50),
        Self::of(Bug::RenewalIgnoresFailure, "a-worker-cut-off-stops-before-its-sessions-move", 50),
        Self::of(Bug::ReleaseIgnoresInbox, "mail-for-a-session-that-leaves-is-never-stranded", 50),
        Self::of(Bug::NoUpkeep, "without-hints-work-is-late-and-never-lost", 50),
        Self::of(Bug::ReapOnce, "a-reaper-that-stumbles-comes-again", 50),
        Self::of(Bug::RenewRevives, "what-arrives-after-a-cut-changes-nothing", 50),
        Self::of(Bug::StaleReap, "of-two-reapers-the-second-does-nothing", 50),
        Self::of(Bug::RobbedWithoutOwn, "a-live-owner-is-not-robbed-when-its-row-is-gone", 50),
        Self::of(Bug::CrashAfterClaim, "what-kills-its-workers-is-set-aside-and-nobody-else", 50),
        Self::of(Bug::DedupeForgets, "a-repeated-send-is-one-turn", 50),
        Self::of(Bug::HighWaterMark, "what-two-relay-arrives-once-and-in-order", 50),
        Self::of(Bug::OneCursor, "what-two-relay-arrives-once-and-in-order", 50),
        Self::of(Bug::AckByCount, "after-a-failover-the-fleet-goes-on", 50),
        Self::of(Bug::ClockFromReply, "a-slow-answer-lengthens-no-lease", 50),
        Self::of(Bug::CommitTwice, "a-commit-without-an-answer-is-one-turn", 50),
        Self::of(Bug::EpochGoesBack, "an-epoch-never-goes-back", 50),
        Self::of(Bug::TimerTwice, "a-try-comes-late-and-never-early-or-twice", 50),
        Self::of(Bug::UserTwice, "an-eager-turn-goes-on-by-itself", 50),
        Self::of(Bug::LazyGoesOn, "a-lazy-turn-waits-for-a-word", 50),
        Self::of(Bug::OneMiss, "a-lifeline-that-is-back-at-once-was-not-broken", 50),
        Self::of(Bug::OtherRunCounts, "a-server-that-starts-anew-breaks-no-lifeline", 50),
        Self::of(Bug::NoBrake, "many-broken-lifelines-are-left-to-the-lease", 50),
        Self::of(Bug::NewcomerBuries, "a-worker-that-comes-after-the-clock-leapt-buries-nobody", 50),
        Self::of(Bug::WaitAfterRead, "what-a-replica-was-said-to-have-survives-a-failover", 50),
        Self::of(Bug::NoHeir, "who-is-silent-is-replaced-within-the-lease-and-two-seconds", 50),
    ];

    const fn of(bug: Bug, scenario: &'static str, within: u64) -> Self {
        Self { bug, scenario, within }
    }

    /// The scenario.
    ///
    /// # Panics
    /// If there is none of that name; a test sees to it that there is.
    pub fn scenario(&self) -> &'static Scenario {
        Scenario::named(self.scenario).expect("every hunt names a scenario")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bug_is_hunted_once_in_a_scenario_that_is_there() {
        let bugs: Vec<_> = Hunt::ALL.iter().map(|hunt| hunt.bug).collect();
        assert_eq!(bugs, Bug::ALL);
        for hunt in Hunt::ALL {
            assert_eq!(hunt.scenario().name, hunt.scenario);
        }
    }
}
