use super::ground::{counting, ms};
use crate::sim::{Faults, Rates, Scenario, Workload};

/// Answers take as long as leases.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "a-slow-answer-lengthens-no-lease",
    about: "Calls and answers take up to twice a lease, claims and renewals among them.",
    holds: "A lease counts from before it was asked for: nobody acts on one that another may have.",
    made: |seed| {
        let rates = Rates {
            delay: 60,
            slow_reply: 150,
            longest_delay: ms(6_000),
            until: ms(12_000),
            ..Rates::none()
        };
        counting(seed, ms(400))
            .workload(Workload::messages("count", 8, 40))
            .answer_within(ms(8_000))
            .faults(Faults::Rates(rates))
    },
};
