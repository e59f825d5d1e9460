use super::ground::{Draw, counting, ms, session};
use crate::{
    client::ClientError,
    sim::{Fault, Faults, Planned, Rates, Scenario, SimClient, Workload},
};

/// Somebody reads a session's history as it grows, while its owners change.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "a-reader-sees-no-gap-and-no-entry-twice",
    about: "Clients follow the histories of sessions whose owners die and are replaced.",
    holds: "Each reader sees every entry once, in order, under epochs that never go back.",
    made: |seed| {
        let mut draw = Draw::of(seed);
        let worker = draw.below(3);
        let from = draw.between_ms(500, 3_000);
        let plan = vec![
            Planned::at(from, Fault::Stop { worker }),
            Planned::at(from + draw.between_ms(100, 6_000), Fault::Start { worker }),
        ];
        let rates =
            Rates { lose_call: 30, lose_reply: 50, slow_reply: 100, until: ms(8_000), ..Rates::none() };
        let mut workload = Workload::messages("count", 2, 30);
        for n in 0..2 {
            workload = workload.client(move |client| follows(client, n));
        }
        counting(seed, ms(200)).workload(workload).faults(Faults::Both(plan, rates))
    },
};

async fn follows(client: SimClient, n: u64) {
    let session = session(n);
    let until = client.env().now().plus(ms(20_000));
    let mut follow = client.client().follow(session.clone(), None);
    let mut last = None;
    loop {
        let next = tokio::select! {
            biased;
            () = client.env().sleep_until(until) => return,
            next = follow.next() => next,
        };
        let entries = match next {
            Ok(entries) => entries,
            Err(ClientError::NoSession(_) | ClientError::Store(_) | ClientError::Unknown(_)) => {
                client.env().sleep(ms(300)).await;
                continue;
            }
            Err(err) => panic!("{session}: {err}"),
        };
        for entry in entries {
            let expected = last.map_or(1, |before: crate::model::EntryId| before.seq + 1);
            assert_eq!(entry.id.seq, expected, "{session}: {} after {last:?}", entry.id);
            assert!(last.is_none_or(|before| before.epoch <= entry.id.epoch), "{session}: {}", entry.id);
            last = Some(entry.id);
        }
    }
}
