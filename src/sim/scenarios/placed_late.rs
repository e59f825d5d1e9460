use super::ground::{Draw, ask, counting, ms, session, until};
use crate::sim::{Fault, Faults, Planned, Scenario, Workload};

/// Sessions come to a worker that dies right after.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "a-session-placed-just-before-its-worker-dies-is-adopted",
    about: "Messages for a hundred new sessions come up to 50 ms before a worker dies for good.",
    holds: "Each of the hundred is answered within four leases of the death.",
    made: |seed| {
        let mut draw = Draw::of(seed);
        let worker = draw.below(3);
        let dies = draw.between_ms(1_000, 3_000);
        let mut workload = Workload::none();
        for n in 0..100 {
            let sent = dies - draw.between_ms(0, 50);
            workload = workload.client(move |client| async move {
                until(&client, sent).await;
                _ = ask(&client, &session(n), "now").await;
                let waited = client.env().now().elapsed().saturating_sub(dies);
                assert!(waited < ms(12_000), "{} waited {waited:?}", session(n));
            });
        }
        // It stays away for so long that nothing of this is due to its return.
        let plan = vec![
            Planned::at(dies, Fault::Stop { worker }),
            Planned::at(dies + ms(30_000), Fault::Start { worker }),
        ];
        counting(seed, ms(200)).workload(workload).faults(Faults::Plan(plan))
    },
};
