use super::ground::{Draw, ms, nobody_dies, watchful};
use crate::sim::{Fault, Faults, Planned, Scenario, Workload};

/// The server starts anew, and some subscribe sooner than others.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "a-server-that-starts-anew-breaks-no-lifeline",
    about: "The server starts anew, and workers are subscribed again within half a second, some sooner than others.",
    holds: "Nobody is taken for dead, and no session moves.",
    made: |seed| {
        let mut draw = Draw::of(seed);
        let starts = (0..3)
            .map(|n| Planned::at(ms(2_000 * (n + 1)) + draw.between_ms(0, 1_500), Fault::RestartServer));
        let plan = starts.collect();
        let workload = Workload::messages("count", 6, 30);
        let workload = workload.client(|client| nobody_dies(client, ms(1_500), ms(10_000)));
        watchful(seed, ms(300)).workload(workload).faults(Faults::Plan(plan))
    },
};
