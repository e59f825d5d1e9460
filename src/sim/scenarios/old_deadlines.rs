use super::ground::{Draw, counting, ms};
use crate::sim::{Fault, Faults, Planned, Scenario, Workload};

/// The server that takes over has not heard of renewals for longer than a lease.
pub(super) const FAILOVER: Scenario = Scenario {
    name: "old-deadlines-of-a-replica-bury-nobody",
    about: "A replica takes over that has followed nothing for up to two leases; a worker comes just before or after.",
    holds: "No session of a worker that lives is taken from it.",
    made: |seed| {
        let mut draw = Draw::of(seed);
        let cut = draw.between_ms(500, 2_000);
        let over = cut + draw.between_ms(1_500, 6_000);
        let plan = vec![
            Planned::at(draw.between_ms(300, 500), Fault::Stop { worker: 3 }),
            Planned::at(cut, Fault::CutReplica),
            Planned::at(over, Fault::Failover),
            Planned::at(over - ms(400) + draw.between_ms(0, 1_500), Fault::Start { worker: 3 }),
        ];
        let workload = Workload::messages("count", 10, 60);
        counting(seed, ms(300)).workers(4).workload(workload).faults(Faults::Plan(plan))
    },
};

/// A worker comes whose first look at the server's clock is after the clock has leapt.
pub(super) const LEAP: Scenario = Scenario {
    name: "a-worker-that-comes-after-the-clock-leapt-buries-nobody",
    about: "The server's wall clock leaps an hour forward, and a worker comes right after.",
    holds: "No session of a worker that lives is taken from it.",
    made: |seed| {
        let mut draw = Draw::of(seed);
        let leaps = draw.between_ms(1_500, 4_000);
        let plan = vec![
            Planned::at(draw.between_ms(300, 1_000), Fault::Stop { worker: 3 }),
            Planned::at(leaps, Fault::SetServerClock { by_ms: 3_600_000 }),
            Planned::at(leaps + draw.between_ms(0, 300), Fault::Start { worker: 3 }),
        ];
        let workload = Workload::messages("count", 10, 60);
        counting(seed, ms(300)).workers(4).workload(workload).faults(Faults::Plan(plan))
    },
};
