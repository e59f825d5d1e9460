use std::time::Duration;

use super::ground::{Draw, ask, ms, session, watchful};
use crate::{
    model::Settings,
    sim::{Cut, Fault, Faults, Planned, Scenario, Workload},
};

/// Somebody who has sessions and keeps partitions is not heard any more, and its lifeline does not break.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "who-is-silent-is-replaced-within-the-lease-and-two-seconds",
    about: "A worker stands still or is cut off for long with work in hand and partitions to keep, under a lease of 10 s.",
    holds: "Others take its partitions over, find what it had, and go on with it.",
    made: |seed| {
        let mut draw = Draw::of(seed);
        // Shortly after it renewed, so that its lease is long, ...
        let (silent, at) = (draw.below(3), ms(10_000) + draw.between_ms(10, 1_500));
        let lasting = ms(18_000) + draw.between_ms(0, 4_000);
        let mut plan = match draw.below(2) {
            0 => vec![Planned::at(at, Fault::Pause { worker: silent, lasting })],
            _ => vec![
                Planned::at(at, Fault::Partition { worker: silent, how: Cut::Drop }),
                Planned::at(at + lasting, Fault::Heal { worker: silent }),
            ],
        };
        // ... and the others renew shortly before it is over.
        for worker in (0..3).filter(|worker| *worker != silent) {
            plan.push(Planned::at(ms(50), Fault::Stop { worker }));
            plan.push(Planned::at(draw.between_ms(1_500, 3_300), Fault::Start { worker }));
        }
        watchful(seed, ms(3_000))
            .settings(Settings { partitions: 3, ..Settings::default() })
            .workload(workload(at))
            .faults(Faults::Plan(plan))
    },
};

/// Some sessions are asked again and again, so that most have a turn under way when somebody falls silent.
fn workload(at: Duration) -> Workload {
    (0..12).fold(Workload::none(), |workload, n| {
        workload.client(move |client| async move {
            while client.env().now().elapsed() < at {
                _ = ask(&client, &session(n), "go on").await;
            }
        })
    })
}
