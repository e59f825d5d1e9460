use super::ground::{Draw, counting, ms, session};
use crate::{
    sim::{Fault, Faults, Planned, Scenario, SimClient, Workload},
    store::memory::Meddling,
};

/// Somebody deletes the registry's word on who owns what.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "a-live-owner-is-not-robbed-when-its-row-is-gone",
    about: "The `own` rows of sessions are deleted while their owners live, and while one dies.",
    holds: "No session of a live owner is taken; those of the dead are adopted all the same.",
    made: |seed| {
        let mut draw = Draw::of(seed);
        let worker = draw.below(3);
        let plan = vec![Planned::at(draw.between_ms(500, 4_000), Fault::Stop { worker })];
        let workload = Workload::messages("count", 6, 40).client(deletes);
        counting(seed, ms(400)).workload(workload).faults(Faults::Plan(plan))
    },
};

async fn deletes(client: SimClient) {
    for _ in 0..20 {
        client.env().sleep(ms(client.env().random_below(500))).await;
        client.meddle(&session(client.env().random_below(6)), Meddling::DeleteOwn);
    }
}
