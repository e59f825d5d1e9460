use super::ground::{Draw, counting, ms};
use crate::sim::{Fault, Faults, Planned, Rates, Scenario, Workload};

/// A worker reads who is dead, stands still, and reaps later, when others did.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "of-two-reapers-the-second-does-nothing",
    about: "Workers die while those who would reap after them stand still, each after another read.",
    holds: "A reap on a stale read changes nothing: no session is taken from its new owner.",
    made: |seed| {
        let mut draw = Draw::of(seed);
        let dies = draw.between_ms(300, 2_500);
        let mut plan = vec![
            Planned::at(dies, Fault::Stop { worker: 0 }),
            Planned::at(dies + draw.between_ms(3_500, 9_000), Fault::Start { worker: 0 }),
        ];
        for _ in 0..2 {
            let (worker, lasting) = (1 + draw.below(3), draw.between_ms(1_000, 6_000));
            plan.push(Planned::at(dies + draw.between_ms(2_500, 7_000), Fault::Pause { worker, lasting }));
        }
        let rates = Rates {
            slow_reply: 100,
            delay: 50,
            longest_delay: ms(4_000),
            until: ms(12_000),
            ..Rates::none()
        };
        counting(seed, ms(1_500))
            .workers(4)
            .workload(Workload::messages("count", 12, 48))
            .faults(Faults::Both(plan, rates))
    },
};
