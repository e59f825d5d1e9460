use super::ground::{Draw, counting, ms};
use crate::sim::{Cut, Fault, Faults, Planned, Rates, Scenario, Workload};

/// Answers take as long as leases.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "a-slow-answer-lengthens-no-lease",
    about: "Every answer is late, some by twice a lease, and workers are cut off from the server meanwhile.",
    holds: "A lease counts from before it was asked for: nobody acts on one that another may have.",
    made: |seed| {
        let mut draw = Draw::of(seed);
        let mut plan = vec![Planned::at(
            ms(500),
            Fault::SlowFsync { by: draw.between_ms(500, 950), lasting: ms(12_000) },
        )];
        for worker in 0..3 {
            let from = draw.between_ms(2_000, 8_000);
            plan.push(Planned::at(from, Fault::Partition { worker, how: Cut::Drop }));
            plan.push(Planned::at(from + ms(5_000), Fault::Heal { worker }));
        }
        let rates = Rates {
            delay: 60,
            slow_reply: 150,
            longest_delay: ms(6_000),
            until: ms(12_000),
            ..Rates::none()
        };
        counting(seed, ms(400))
            .workload(Workload::messages("count", 8, 40))
            .answer_within(ms(1_000))
            .faults(Faults::Both(plan, rates))
    },
};
