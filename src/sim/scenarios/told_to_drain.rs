use super::ground::{Draw, incarnations, ms, until, watchful};
use crate::{
    model::WorkerId,
    sim::{End, Fault, Faults, Planned, Scenario, SimClient, Workload},
    store::Store,
};

/// Workers are told to drain from anywhere, by name.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "a-worker-told-to-drain-strands-nobody",
    about: "Workers are told by name to drain, one after the other, under load, and start anew.",
    holds: "Each goes away by itself, nothing of that counts as a crash, and all that was accepted is answered.",
    made: |seed| {
        let mut draw = Draw::of(seed);
        let mut workload = Workload::messages("count", 10, 60);
        let mut plan = Vec::new();
        let mut at = draw.between_ms(800, 2_000);
        for worker in 0..3 {
            workload = workload.client(move |client| async move {
                until(&client, at).await;
                drains(client, worker).await;
            });
            plan.push(Planned::at(at + draw.between_ms(500, 3_000), Fault::Start { worker }));
            at += draw.between_ms(1_000, 4_000);
        }
        watchful(seed, ms(400))
            .workload(workload)
            .faults(Faults::Plan(plan))
            .check("nobody died", nobody_died)
    },
};

async fn drains(client: SimClient, worker: u16) {
    let named = format!("w{worker}-");
    let told = incarnations(&client).await.into_iter().find(|one| one.as_str().starts_with(&named));
    let Some(told) = told else { panic!("{named} is not there") };
    let heard = client.client().store().tell_to_drain(&told).await.expect("nothing fails here");
    assert!(heard, "{told} does not listen");
    while incarnations(&client).await.contains(&told) {
        assert!(client.env().now().elapsed() < ms(60_000), "{told} does not go away");
        client.env().sleep(ms(100)).await;
    }
}

fn nobody_died(end: &End) -> Result<(), String> {
    let crashed = end.sessions().into_iter().find(|(_, held)| !held.record.crashes.is_empty());
    crashed.map_or(Ok(()), |(session, held)| {
        let by: Vec<&WorkerId> = held.record.crashes.iter().map(|crash| &crash.worker).collect();
        Err(format!("{session} counts the end of {by:?} as crashes"))
    })
}
