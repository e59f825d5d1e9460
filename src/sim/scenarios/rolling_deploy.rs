use super::ground::{Draw, counting, ms};
use crate::sim::{Fault, Faults, Planned, Scenario, Workload};

/// One worker after the other drains and starts anew.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "a-deploy-strands-nobody",
    about: "Workers drain and start anew, one after the other, under load; one is killed while it drains.",
    holds: "Sessions are handed off at boundaries, and all that was accepted is answered.",
    made: |seed| {
        let mut draw = Draw::of(seed);
        let mut plan = Vec::new();
        let mut from = draw.between_ms(300, 800);
        for worker in 0..3 {
            plan.push(Planned::at(from, Fault::Drain { worker }));
            let gone = from + draw.between_ms(50, 1_500);
            if draw.below(3) == 0 {
                plan.push(Planned::at(gone, Fault::Stop { worker }));
            }
            plan.push(Planned::at(gone, Fault::Start { worker }));
            from = gone + draw.between_ms(0, 1_000);
        }
        counting(seed, ms(400)).workload(Workload::messages("count", 10, 60)).faults(Faults::Plan(plan))
    },
};
