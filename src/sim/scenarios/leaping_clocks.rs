use super::ground::{Draw, counting, ms};
use crate::sim::{Fault, Faults, Planned, Scenario, Workload};

/// Clocks leap and go astray.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "clocks-that-leap-make-no-second-owner",
    about: "The server's wall clock is set an hour forward or back; workers' own clocks leap and drift.",
    holds: "No session of a worker that renews its lease is taken from it; what waits for a time is late at most.",
    made: |seed| {
        let mut draw = Draw::of(seed);
        let by_ms = if draw.below(2) == 0 { 3_600_000 } else { -3_600_000 };
        let (one, other) = (draw.below(3), draw.below(3));
        let ppm = i32::from(draw.below(20_000)) - 10_000;
        let plan = vec![
            Planned::at(draw.between_ms(300, 5_000), Fault::SetServerClock { by_ms }),
            Planned::at(draw.between_ms(300, 5_000), Fault::Leap { worker: one, by: ms(3_600_000) }),
            Planned::at(draw.between_ms(300, 5_000), Fault::Drift { worker: other, ppm }),
        ];
        counting(seed, ms(300)).workload(Workload::messages("count", 8, 40)).faults(Faults::Plan(plan))
    },
};
