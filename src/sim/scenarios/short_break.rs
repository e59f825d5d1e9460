use super::ground::{Draw, ms, nobody_dies, watchful};
use crate::sim::{Fault, Faults, Planned, Scenario, Workload};

/// A subscription is gone for less time than it takes to be sure.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "a-lifeline-that-is-back-at-once-was-not-broken",
    about: "Lifelines of workers that live break for up to 25 ms, again and again.",
    holds: "Nobody is taken for dead, and no session moves.",
    made: |seed| {
        let mut draw = Draw::of(seed);
        let mut plan = Vec::new();
        let mut at = draw.between_ms(2_000, 2_500);
        for _ in 0..24 {
            let (worker, lasting) = (draw.below(3), draw.between_ms(1, 25));
            plan.push(Planned::at(at, Fault::BreakLifeline { worker, lasting }));
            // Long enough that no row of looks misses one break and the next.
            at += draw.between_ms(100, 300);
        }
        let workload = Workload::messages("count", 6, 24);
        let workload = workload.client(|client| nobody_dies(client, ms(1_500), ms(11_000)));
        watchful(seed, ms(200)).workload(workload).faults(Faults::Plan(plan))
    },
};
