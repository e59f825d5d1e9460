//! Simulations bite: every planted bug is found within its number of seeds.
//!
//! Needs the feature `planted-bugs`, as `scripts/test` sets it.

use tenure::sim::{
    Bug, Hunt,
    strategy::{Campaign, StrategyName},
};

/// The first seed that finds the bug of this hunt.
fn first_seed(hunt: &Hunt, strategy: &str) -> Option<u64> {
    let strategy: StrategyName = strategy.parse().unwrap();
    let mut campaign = Campaign::new(strategy);
    let _planted = hunt.bug.plant();
    let fails = |seed: &u64| {
        let mut strategy = campaign.strategy(*seed);
        !hunt.scenario().simulation(*seed).run_with(&mut *strategy).is_ok()
    };
    (1..=hunt.within).find(fails)
}

macro_rules! found {
    ($($test:ident: $bug:ident by $strategy:literal,)*) => {
        $(
            #[test]
            fn $test() {
                let hunt = Hunt::ALL.iter().find(|hunt| hunt.bug == Bug::$bug).unwrap();
                let seed = first_seed(hunt, $strategy);
                assert!(seed.is_some(), "{} is not found within {} seeds", hunt.bug, hunt.within);
            }
        )*

        #[test]
        fn every_bug_has_its_test() {
            assert_eq!([$(Bug::$bug),*].as_slice(), Bug::ALL);
        }
    };
}

found! {
    a_commit_that_checks_no_token_is_found: CommitWithoutToken by "random",
    a_renewal_that_ignores_failure_is_found: RenewalIgnoresFailure by "random",
    a_release_that_does_not_look_at_the_inbox_is_found: ReleaseIgnoresInbox by "random",
    a_wake_only_by_hint_is_found: NoUpkeep by "random",
    a_reaper_that_runs_once_is_found: ReapOnce by "random",
    a_renewal_that_brings_back_the_buried_is_found: RenewRevives by "random",
    a_reap_on_a_stale_read_is_found: StaleReap by "random",
    a_live_worker_robbed_when_own_is_gone_is_found: RobbedWithoutOwn by "random",
    a_crash_counted_after_the_claim_is_found: CrashAfterClaim by "random",
    a_dedupe_that_forgets_is_found: DedupeForgets by "random",
    a_relay_cursor_as_a_high_water_mark_is_found: HighWaterMark by "idpct",
    a_cursor_for_all_doors_is_found: OneCursor by "random",
    an_acknowledgement_by_count_is_found: AckByCount by "random",
    a_lease_clock_from_the_reply_is_found: ClockFromReply by "random",
    a_repeated_commit_that_appends_twice_is_found: CommitTwice by "random",
    an_epoch_that_goes_back_after_a_failover_is_found: EpochGoesBack by "random",
    a_timer_fired_twice_is_found: TimerTwice by "random",
    a_user_entry_written_again_is_found: UserTwice by "random",
    a_lazy_turn_that_goes_on_by_itself_is_found: LazyGoesOn by "random",
    one_miss_that_is_enough_is_found: OneMiss by "random",
    a_look_under_another_run_is_found: OtherRunCounts by "random",
    lifelines_without_a_brake_are_found: NoBrake by "random",
    a_newcomer_that_buries_by_deadline_is_found: NewcomerBuries by "random",
    an_acknowledgement_by_a_wait_after_a_read_is_found: WaitAfterRead by "random",
    a_duty_left_until_the_next_renewal_is_found: NoHeir by "random",
}
