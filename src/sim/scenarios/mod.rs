//! What must hold, one idea a file. A scenario is named after it.

mod backoff;
mod classes;
mod crowded;
mod epochs;
mod failover;
mod follower;
mod full_memory;
mod ground;
mod leaping_clocks;
mod leaving;
mod lost_answers;
mod malformed;
mod no_hints;
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
mod slow_answers;
mod stopped_fleet;
mod storm;
mod stumbling_reaper;
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
    classes::FAILOVER,
    classes::HEALED,
    epochs::SCENARIO,
    same_name::SCENARIO,
    rolling_deploy::SCENARIO,
    placed_late::SCENARIO,
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
