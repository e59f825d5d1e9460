use std::time::Duration;

use super::ground::{Draw, members, ms, until, watchful};
use crate::sim::{Fault, Faults, Planned, Scenario, SimClient, Workload};

/// The server drops the subscriptions of a worker that lives and works.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "a-false-alarm-makes-no-second-owner",
    about: "Lifelines of workers that live break for up to two seconds, while they take turns.",
    holds: "No entries of two owners interleave, and whoever was taken for dead comes back as another incarnation.",
    made: |seed| {
        let mut draw = Draw::of(seed);
        let mut plan = Vec::new();
        let mut at = draw.between_ms(2_000, 3_000);
        for _ in 0..2 {
            let (worker, lasting) = (draw.below(3), draw.between_ms(100, 2_000));
            plan.push(Planned::at(at, Fault::BreakLifeline { worker, lasting }));
            at += draw.between_ms(500, 4_000);
        }
        let workload = Workload::messages("count", 8, 60).client(move |client| comes_back(client, at));
        watchful(seed, ms(600)).workload(workload).faults(Faults::Plan(plan))
    },
};

/// Of each name there is one in the end.
async fn comes_back(client: SimClient, over: Duration) {
    until(&client, over + ms(12_000)).await;
    let there = members(&client).await;
    for name in ["w0-", "w1-", "w2-"] {
        let of_it = there.iter().filter(|member| member.worker.as_str().starts_with(name)).count();
        assert_eq!(of_it, 1, "{name}: {there:?}");
    }
}
