use super::ground::{counting, ms};
use crate::sim::{Faults, Rates, Scenario, Workload};

/// Commits take effect and their answers are lost.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "a-commit-without-an-answer-is-one-turn",
    about: "One call in eight gets no answer, though it took effect.",
    holds: "A repeated commit changes nothing; each message counts once.",
    made: |seed| {
        let rates = Rates { lose_reply: 125, until: ms(15_000), ..Rates::none() };
        counting(seed, ms(20)).workload(Workload::messages("count", 8, 40)).faults(Faults::Rates(rates))
    },
};
