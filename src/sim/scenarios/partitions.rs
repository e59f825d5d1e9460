use std::time::Duration;

use super::ground::{Draw, counting, ms};
use crate::sim::{Cut, Fault, Faults, Planned, Scenario, Simulation, Workload};

/// A worker is cut off, and what it sends is lost.
pub(super) const DROP: Scenario = Scenario {
    name: "a-worker-cut-off-stops-before-its-sessions-move",
    about: "Workers are cut off from the server for a while, and what is sent meanwhile is lost.",
    holds: "Their sessions move when their leases are over, and come to one owner each.",
    made: |seed| cut(seed, Cut::Drop, ms(600)),
};

/// A worker is cut off, and what it sends arrives when it is not any more.
pub(super) const DEFER: Scenario = Scenario {
    name: "what-arrives-after-a-cut-changes-nothing",
    about: "Workers are cut off from the server for a while, and all that is sent meanwhile arrives afterwards.",
    holds: "Commits, claims and renewals of before the cut are refused where others came since.",
    made: |seed| cut(seed, Cut::Defer, ms(2_500)),
};

fn cut(seed: u64, how: Cut, works: Duration) -> Simulation {
    let mut draw = Draw::of(seed);
    let mut plan = Vec::new();
    for _ in 0..2 {
        let worker = draw.below(3);
        let from = draw.between_ms(200, 4_000);
        plan.push(Planned::at(from, Fault::Partition { worker, how }));
        plan.push(Planned::at(from + draw.between_ms(500, 9_000), Fault::Heal { worker }));
    }
    counting(seed, works).workload(Workload::messages("count", 10, 50)).faults(Faults::Plan(plan))
}
