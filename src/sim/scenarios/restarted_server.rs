use super::ground::{Draw, counting, ms};
use crate::sim::{Fault, Faults, Planned, Scenario, Workload};

/// The server starts anew: every connection breaks, every hint on its way is gone.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "a-server-that-starts-anew-is-no-fleet-that-died",
    about: "The server starts anew, again and again, and a worker may stand still meanwhile.",
    holds: "Workers go on with what they own, and no session of a live worker is taken.",
    made: |seed| {
        let mut draw = Draw::of(seed);
        let mut plan = vec![];
        for _ in 0..3 {
            plan.push(Planned::at(draw.between_ms(200, 5_000), Fault::RestartServer));
        }
        let (worker, lasting) = (draw.below(3), draw.between_ms(500, 4_000));
        plan.push(Planned::at(draw.between_ms(200, 5_000), Fault::Pause { worker, lasting }));
        counting(seed, ms(300)).workload(Workload::messages("count", 10, 50)).faults(Faults::Plan(plan))
    },
};
