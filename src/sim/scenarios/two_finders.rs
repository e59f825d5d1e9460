use super::ground::{Draw, ms, watchful};
use crate::sim::{Fault, Faults, Planned, Rates, Scenario, Workload};

/// Both who watch a worker find that it is dead, and go to work at once.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "of-two-who-find-a-death-the-second-changes-nothing",
    about: "Workers die; both who watch each of them bury and reap it, and what they send is late.",
    holds: "No session is taken from whoever has it by now, and all are adopted.",
    made: |seed| {
        let mut draw = Draw::of(seed);
        let mut plan = Vec::new();
        for worker in [0, 2] {
            let dies = draw.between_ms(2_000, 5_000);
            plan.push(Planned::at(dies, Fault::Stop { worker }));
            plan.push(Planned::at(dies + draw.between_ms(100, 5_000), Fault::Start { worker }));
        }
        let rates = Rates {
            slow_reply: 100,
            delay: 100,
            longest_delay: ms(1_500),
            until: ms(10_000),
            ..Rates::none()
        };
        let workload = Workload::messages("count", 12, 60);
        watchful(seed, ms(500)).workers(5).workload(workload).faults(Faults::Both(plan, rates))
    },
};
