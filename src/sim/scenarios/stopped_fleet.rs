use super::ground::{Draw, counting, ms};
use crate::sim::{Fault, Faults, Planned, Scenario, Workload};

/// Every worker dies, and later some start.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "a-fleet-that-was-all-dead-resumes",
    about: "All workers die with work in hand; some start again, at once or after a while.",
    holds: "Everything accepted before, and meanwhile, is answered with no help.",
    made: |seed| {
        let mut draw = Draw::of(seed);
        let mut plan = Vec::new();
        for worker in 0..3 {
            let dies = draw.between_ms(500, 2_500);
            plan.push(Planned::at(dies, Fault::Stop { worker }));
            plan.push(Planned::at(ms(2_500) + draw.between_ms(0, 15_000), Fault::Start { worker }));
        }
        counting(seed, ms(600)).workload(Workload::messages("count", 10, 50)).faults(Faults::Plan(plan))
    },
};
