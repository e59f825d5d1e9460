use super::ground::{Draw, ask, ms, session, until, watchful};
use crate::sim::{Fault, Faults, Planned, Scenario, Workload};

/// A process dies, and its lease has long to run.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "a-broken-lifeline-is-found-long-before-the-lease",
    about: "A worker dies for good with work in hand, under a lease of 10 s; workers look at lifelines every 50 ms.",
    holds: "All that it had is answered within half a lease.",
    made: |seed| {
        let mut draw = Draw::of(seed);
        let worker = draw.below(3);
        let dies = draw.between_ms(3_000, 5_000);
        let mut workload = Workload::none();
        for n in 0..8 {
            let sent = dies - draw.between_ms(0, 300);
            workload = workload.client(move |client| async move {
                _ = ask(&client, &session(n), "before").await;
                until(&client, sent).await;
                _ = ask(&client, &session(n), "now").await;
                let waited = client.env().now().elapsed().saturating_sub(dies);
                assert!(waited < ms(5_000), "{} waited {waited:?}", session(n));
            });
        }
        let plan = vec![
            Planned::at(dies, Fault::Stop { worker }),
            Planned::at(dies + ms(15_000), Fault::Start { worker }),
        ];
        watchful(seed, ms(200)).workload(workload).faults(Faults::Plan(plan))
    },
};
