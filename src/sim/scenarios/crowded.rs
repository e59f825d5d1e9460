use super::ground::{Draw, counting, ms};
use crate::{
    model::WorkerConfig,
    sim::{Fault, Faults, Planned, Scenario, Workload},
};

/// There are far more sessions than there is room, and then less room.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "a-crowded-fleet-serves-everybody",
    about: "Three workers with room for two sessions each serve twelve, and one of them dies.",
    holds: "Idle sessions make room, and every message is answered.",
    made: |seed| {
        let mut draw = Draw::of(seed);
        let worker = draw.below(3);
        let from = draw.between_ms(300, 3_000);
        let plan = vec![
            Planned::at(from, Fault::Stop { worker }),
            Planned::at(from + draw.between_ms(500, 9_000), Fault::Start { worker }),
        ];
        counting(seed, ms(100))
            .configure(|_, config| WorkerConfig { capacity: 2, ..config })
            .workload(Workload::messages("count", 12, 48))
            .faults(Faults::Plan(plan))
    },
};
