use super::ground::{Draw, counting, ms};
use crate::sim::{Fault, Faults, Planned, Scenario, Workload};

/// A worker is killed, or drains, and its successor of the same name is there at once.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "a-new-worker-under-an-old-name-is-another",
    about: "Workers die or drain, and start anew under the same name at once, while what they sent still arrives.",
    holds: "Each session has one owner at a time, and none is stranded with the old one.",
    made: |seed| {
        let mut draw = Draw::of(seed);
        let mut plan = Vec::new();
        for worker in 0..2 {
            let end = draw.between_ms(300, 4_000);
            let fault = if draw.below(2) == 0 { Fault::Stop { worker } } else { Fault::Drain { worker } };
            plan.push(Planned::at(end, fault));
            plan.push(Planned::at(end + draw.between_ms(0, 20), Fault::Start { worker }));
        }
        counting(seed, ms(500)).workload(Workload::messages("count", 10, 50)).faults(Faults::Plan(plan))
    },
};
