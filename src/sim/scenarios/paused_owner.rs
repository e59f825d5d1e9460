use std::time::Duration;

use super::ground::{Draw, counting, ms};
use crate::sim::{Fault, Faults, Planned, Scenario, Workload};

/// An owner that stood still for longer than its lease wakes in the middle of a turn.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "a-late-commit-is-fenced",
    about: "Owners stand still for longer than their leases in the middle of turns, and wake.",
    holds: "What they commit is refused; each message counts once, whoever took its turn.",
    made: |seed| {
        let mut draw = Draw::of(seed);
        let pauses = (0..2).map(|_| {
            let (worker, lasting) = (draw.below(3), draw.between_ms(2_500, 8_000));
            Planned::at(draw.between_ms(200, 4_000), Fault::Pause { worker, lasting })
        });
        counting(seed, Duration::from_secs(1))
            .workload(Workload::messages("count", 8, 40))
            .faults(Faults::Plan(pauses.collect()))
            .settles_within(ms(60_000))
    },
};
