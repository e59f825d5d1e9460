use super::ground::{Draw, ms, nobody_dies, watchful};
use crate::sim::{Fault, Faults, Planned, Scenario, Workload};

/// So many subscriptions are gone at once that it is a server's or a network's doing.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "many-broken-lifelines-are-left-to-the-lease",
    about: "The lifelines of three workers of four break at once, and come back.",
    holds: "Nobody is taken for dead, and no session moves.",
    made: |seed| {
        let mut draw = Draw::of(seed);
        let (well, at, lasting) = (draw.below(4), draw.between_ms(2_000, 5_000), draw.between_ms(300, 2_000));
        let broken = (0..4).filter(|worker| *worker != well);
        let plan = broken.map(|worker| Planned::at(at, Fault::BreakLifeline { worker, lasting })).collect();
        let workload = Workload::messages("count", 8, 32);
        let workload = workload.client(|client| nobody_dies(client, ms(1_500), ms(10_000)));
        watchful(seed, ms(200)).workers(4).workload(workload).faults(Faults::Plan(plan))
    },
};
