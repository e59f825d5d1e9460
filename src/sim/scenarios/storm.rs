use super::ground::{counting, ms};
use crate::sim::{Faults, Rates, Scenario, Workload};

/// Everything at once.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "nothing-is-lost-in-a-storm",
    about: "Twenty sessions and a hundred messages, and everything goes wrong that loses no writes.",
    holds: "Each message is one turn, whatever happens.",
    made: |seed| {
        let rates = Rates { clocks: 1, stops: 2, ..Rates::rough() };
        counting(seed, ms(200)).workload(Workload::messages("count", 20, 100)).faults(Faults::Rates(rates))
    },
};

/// Everything at once, and servers that lose writes.
pub(super) const WITH_LOSSES: Scenario = Scenario {
    name: "what-a-storm-leaves-is-whole",
    about: "Everything goes wrong, and replicas take over that lack the last writes.",
    holds: "What is left is consistent, and the fleet finishes it.",
    made: |seed| {
        let rates = Rates { clocks: 1, failovers: 2, ..Rates::rough() };
        counting(seed, ms(200)).workload(Workload::messages("count", 20, 100)).faults(Faults::Rates(rates))
    },
};
