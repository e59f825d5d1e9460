use super::ground::{Draw, ask, counting, ms, session};
use crate::sim::{Fault, Faults, Planned, Scenario, Workload};

/// A claim is lost in a failover, and the new server's clock is behind.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "an-epoch-never-goes-back",
    about: "Claims are lost in a failover to a server whose clock is a minute behind; one worker, short-lived owners.",
    holds: "Whoever reads replies one after the other sees no epoch smaller than the one before.",
    made: |seed| {
        let mut draw = Draw::of(seed);
        let cut = draw.between_ms(300, 3_000);
        let over = cut + draw.between_ms(50, 1_500);
        let plan = vec![
            Planned::at(cut, Fault::CutReplica),
            Planned::at(over, Fault::SetServerClock { by_ms: -60_000 }),
            Planned::at(over, Fault::Failover),
        ];
        let mut workload = Workload::none();
        for n in 0..4 {
            workload = workload.client(move |client| async move {
                let mut greatest = None;
                for turn in 0..8 {
                    let answer = ask(&client, &session(n), &turn.to_string()).await;
                    let epoch = answer.entry.map(|entry| entry.epoch);
                    assert!(epoch >= greatest, "{}: {epoch:?} after {greatest:?}", session(n));
                    greatest = epoch;
                    client.env().sleep(ms(client.env().random_below(400))).await;
                }
            });
        }
        counting(seed, ms(20))
            .workers(1)
            .configure(|_, config| crate::model::WorkerConfig { idle: ms(50), ..config })
            .workload(workload)
            .faults(Faults::Plan(plan))
    },
};
