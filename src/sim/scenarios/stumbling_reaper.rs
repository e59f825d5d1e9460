use super::ground::{Draw, counting, ms};
use crate::sim::{Fault, Faults, Planned, Rates, Scenario, Workload};

/// Whoever reaps after a dead worker gets errors half-way.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "a-reaper-that-stumbles-comes-again",
    about: "A worker dies with many sessions, and calls and answers of those who reap them are lost.",
    holds: "Every session of the dead is adopted in a later pass.",
    made: |seed| {
        let mut draw = Draw::of(seed);
        let worker = draw.below(3);
        let plan = vec![Planned::at(draw.between_ms(500, 3_000), Fault::Stop { worker })];
        let rates = Rates { lose_call: 60, lose_reply: 60, until: ms(20_000), ..Rates::none() };
        counting(seed, ms(700))
            .workload(Workload::messages("count", 16, 48))
            .faults(Faults::Both(plan, rates))
            .settles_within(ms(90_000))
    },
};
