use super::ground::{counting, ms};
use crate::sim::{Faults, Rates, Scenario, Workload};

/// No hint ever arrives.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "without-hints-work-is-late-and-never-lost",
    about: "Every wake and every offer is lost for a while.",
    holds: "Upkeep finds all work: it is late, and it is done.",
    made: |seed| {
        let rates = Rates { lose_hint: 1_000, until: ms(30_000), ..Rates::none() };
        counting(seed, ms(20)).workload(Workload::messages("count", 10, 50)).faults(Faults::Rates(rates))
    },
};
