use super::ground::{Draw, counting, ms, session, tell};
use crate::sim::{End, Fault, Faults, Planned, Scenario, Workload};

/// The replica takes over without the server's last writes; claims may be among them.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "after-a-failover-the-fleet-goes-on",
    about: "A replica takes over that lacks the last writes: sends, claims and commits.",
    holds: "What was lost is lost whole; whatever is accepted afterwards is answered.",
    made: |seed| {
        let mut draw = Draw::of(seed);
        let cut = draw.between_ms(300, 3_000);
        let over = cut + draw.between_ms(1, 400);
        let plan = vec![Planned::at(cut, Fault::CutReplica), Planned::at(over, Fault::Failover)];
        let after = Workload::messages("count", 6, 30).client(move |client| async move {
            client.env().sleep(over + ms(1)).await;
            for n in 0..6 {
                _ = tell(&client, &session(n), "after").await;
            }
        });
        counting(seed, ms(300)).workload(after).faults(Faults::Plan(plan)).check("all is answered", answered)
    },
};

/// The message with the text `after` is in each session's history.
fn answered(end: &End) -> Result<(), String> {
    let after = crate::Body::text("after");
    let missing =
        end.acked().iter().filter(|acked| acked.body == after).find(|acked| {
            !end.history(&acked.session).iter().any(|entry| entry.message == Some(acked.message))
        });
    missing.map_or(Ok(()), |lost| Err(format!("{}: {} is lost", lost.session, lost.message)))
}
