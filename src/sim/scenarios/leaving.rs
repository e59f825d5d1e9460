use super::ground::{counting, ms, session, tell};
use crate::sim::{Faults, Rates, Scenario, Workload};

/// Mail arrives between "is the inbox empty?" and the release.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "mail-for-a-session-that-leaves-is-never-stranded",
    about: "Sessions leave memory after a few milliseconds of idleness, while mail arrives and hints are lost.",
    holds: "Each message is answered, whether it came before, during or after the release.",
    made: |seed| {
        let mut workload = Workload::none();
        for client in 0..4 {
            workload = workload.client(move |own| async move {
                for n in 0..10 {
                    _ = tell(&own, &session((client + n) % 3), &format!("{client}.{n}")).await;
                    own.env().sleep(ms(own.env().random_below(40))).await;
                }
            });
        }
        let rates = Rates { lose_hint: 150, slow_reply: 50, until: ms(3_000), ..Rates::none() };
        counting(seed, ms(3))
            .configure(|_, config| crate::model::WorkerConfig { idle: ms(5), ..config })
            .workload(workload)
            .faults(Faults::Rates(rates))
    },
};
