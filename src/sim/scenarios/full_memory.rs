use super::ground::{Draw, counting, ms};
use crate::sim::{Fault, Faults, Planned, Scenario, Workload};

/// The server is out of memory for a while.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "a-full-server-finishes-what-it-has",
    about: "The server is out of memory for a while, again and again; meanwhile a worker dies.",
    holds: "Sends are refused meanwhile, and nothing that was accepted before is lost or waits.",
    made: |seed| {
        let mut draw = Draw::of(seed);
        let worker = draw.below(3);
        let mut plan = vec![Planned::at(draw.between_ms(300, 4_000), Fault::Stop { worker })];
        for _ in 0..2 {
            let lasting = draw.between_ms(500, 4_000);
            plan.push(Planned::at(draw.between_ms(200, 4_000), Fault::FillMemory { lasting }));
        }
        counting(seed, ms(300)).workload(Workload::messages("count", 10, 50)).faults(Faults::Plan(plan))
    },
};
