use std::time::Duration;

use super::ground::{Draw, counting, ms, session};
use crate::{
    Body,
    model::EntryKind,
    sim::{End, Fault, Faults, Planned, Rates, Scenario, SimClient, Workload},
    store::Store,
};

/// The duty of relaying moves from worker to worker while entries are on their way.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "what-two-relay-arrives-once-and-in-order",
    about: "Whoever relays from the plain door stands still or dies half-way, and another goes on.",
    holds: "Each entry becomes one message, and a sender's messages stay in order.",
    made: |seed| {
        let mut draw = Draw::of(seed);
        let mut plan = Vec::new();
        for worker in 0..3 {
            let (from, lasting) = (draw.between_ms(200, 6_000), draw.between_ms(2_000, 6_000));
            if draw.below(3) == 0 {
                plan.push(Planned::at(from, Fault::Stop { worker }));
                plan.push(Planned::at(from + lasting, Fault::Start { worker }));
            } else {
                plan.push(Planned::at(from, Fault::Pause { worker, lasting }));
            }
        }
        let rates =
            Rates { delay: 60, slow_reply: 100, longest_delay: LONGEST, until: ms(9_000), ..Rates::none() };
        let mut workload = Workload::none();
        for client in 0..3 {
            workload = workload.client(move |own| posts(own, client));
        }
        counting(seed, ms(20))
            .workload(workload)
            .faults(Faults::Both(plan, rates))
            .check("once and in order", in_order)
    },
};

const EACH: u64 = 12;

/// The longest delay of anything.
const LONGEST: Duration = Duration::from_secs(3);

async fn posts(client: SimClient, number: u64) {
    for n in 0..EACH {
        let (to, body) = (session(number), n.to_string());
        let fields = [("to", to.as_str()), ("body", &body)];
        let fields = fields.map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()));
        // What was not answered may have happened: it is not repeated, may be missing, and comes before the next.
        if client.client().store().post(&fields).await.is_err() {
            client.env().sleep(LONGEST).await;
        }
        client.env().sleep(ms(client.env().random_below(900))).await;
    }
}

fn in_order(end: &End) -> Result<(), String> {
    for (session, held) in end.sessions() {
        let heard = held.history.into_iter().filter(|entry| entry.kind == EntryKind::User);
        let mut heard = heard.map(|entry| entry.body).peekable();
        for n in 0..EACH {
            _ = heard.next_if(|body| *body == Body::text(&n.to_string()));
        }
        if let Some(extra) = heard.next() {
            return Err(format!("{session}: {} came twice, or out of order", extra.as_json()));
        }
    }
    Ok(())
}
