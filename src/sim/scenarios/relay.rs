use std::time::Duration;

use super::ground::{Draw, counting, ms, session};
use crate::{
    Body, SessionId,
    model::EntryKind,
    sim::{End, Fault, Faults, Planned, Rates, Scenario, SimClient, Workload},
};

/// The duty of relaying moves from worker to worker while entries are on their way.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "what-two-relay-arrives-once-and-in-order",
    about: "Whoever relays from the plain doors stands still or dies half-way, and another goes on.",
    holds: "Each entry becomes one message whichever doors it comes by, and a sender's messages at one door stay in order.",
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
        workload = workload.client(repeats);
        counting(seed, ms(20))
            .workload(workload)
            .faults(Faults::Both(plan, rates))
            .check("once and in order", in_order)
            .check("once by all doors", once)
    },
};

const EACH: u64 = 12;

/// The longest delay of anything.
const LONGEST: Duration = Duration::from_secs(3);

/// The session whose messages come by all doors.
const BY_ALL: u64 = 3;

async fn posts(client: SimClient, number: u64) {
    let door = client.door(number);
    for n in 0..EACH {
        // What was not answered may have happened: it is not repeated, may be missing, and comes before the next.
        if client.post(door, &session(number), &n.to_string(), None).await.is_err() {
            client.env().sleep(LONGEST).await;
        }
        client.env().sleep(ms(client.env().random_below(900))).await;
    }
}

/// Says everything at two doors, under one id.
async fn repeats(client: SimClient) {
    for n in 0..EACH {
        let (text, first) = (n.to_string(), client.env().random_below(1 << 16));
        for door in [first, first + 1] {
            _ = client.post(client.door(door), &session(BY_ALL), &text, Some(&text)).await;
            client.env().sleep(ms(client.env().random_below(400))).await;
        }
    }
}

fn once(end: &End) -> Result<(), String> {
    let history = end.history(&session(BY_ALL));
    let heard = history.into_iter().filter(|entry| entry.kind == EntryKind::User);
    let mut heard: Vec<_> = heard.map(|entry| entry.body.as_json().to_owned()).collect();
    heard.sort_unstable();
    match heard.windows(2).find(|two| two[0] == two[1]) {
        Some(two) => Err(format!("{} came by two doors and was taken twice", two[0])),
        None => Ok(()),
    }
}

fn in_order(end: &End) -> Result<(), String> {
    let by_one_door = |name: &SessionId| *name != session(BY_ALL);
    for (session, held) in end.sessions().into_iter().filter(|(name, _)| by_one_door(name)) {
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
