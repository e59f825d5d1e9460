//! What must hold, one idea a file. A scenario is named after it.

mod backoff;
mod broken_lifeline;
mod classes;
mod crowded;
mod epochs;
mod failover;
mod false_alarm;
mod follower;
mod full_memory;
mod ground;
mod leaping_clocks;
mod leaving;
mod losses;
mod lost_answers;
mod malformed;
mod many_broken;
mod new_run;
mod no_hints;
mod old_deadlines;
mod others_stay;
mod partitions;
mod paused_owner;
mod placed_late;
mod poison;
mod relay;
mod repeated_send;
mod restarted_server;
mod rolling_deploy;
mod same_name;
mod short_break;
mod silent_keeper;
mod slow_answers;
mod stopped_fleet;
mod storm;
mod stumbling_reaper;
mod told_to_drain;
mod two_finders;
mod two_reapers;
mod unfinished;
mod vanished_rows;

use super::scenario::Scenario;

/// All scenarios.
pub(super) const ALL: &[Scenario] = &[
    paused_owner::SCENARIO,
    partitions::DROP,
    partitions::DEFER,
    slow_answers::SCENARIO,
    lost_answers::SCENARIO,
    leaping_clocks::SCENARIO,
    restarted_server::SCENARIO,
    failover::SCENARIO,
    old_deadlines::FAILOVER,
    old_deadlines::LEAP,
    classes::FAILOVER,
    classes::HEALED,
    classes::ASKED,
    losses::SCENARIO,
    epochs::SCENARIO,
    same_name::SCENARIO,
    rolling_deploy::SCENARIO,
    told_to_drain::SCENARIO,
    placed_late::SCENARIO,
    broken_lifeline::SCENARIO,
    two_finders::SCENARIO,
    false_alarm::SCENARIO,
    short_break::SCENARIO,
    many_broken::SCENARIO,
    new_run::SCENARIO,
    silent_keeper::SCENARIO,
    others_stay::SCENARIO,
    poison::SCENARIO,
    stopped_fleet::SCENARIO,
    stumbling_reaper::SCENARIO,
    unfinished::EAGER,
    unfinished::LAZY,
    two_reapers::SCENARIO,
    vanished_rows::SCENARIO,
    leaving::SCENARIO,
    no_hints::SCENARIO,
    repeated_send::SCENARIO,
    relay::SCENARIO,
    malformed::SCENARIO,
    backoff::SCENARIO,
    follower::SCENARIO,
    crowded::SCENARIO,
    full_memory::SCENARIO,
    storm::SCENARIO,
    storm::WITH_LOSSES,
];
