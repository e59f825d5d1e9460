use super::ground::{Draw, counting, ms, session, tell};
use crate::{
    sim::{End, Fault, Faults, Planned, Scenario, SimClient, Workload},
    store::Store,
};

/// What cannot be read comes by the plain door, between what can.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "what-cannot-be-read-holds-up-nobody",
    about: "Malformed entries are posted at plain doors among good ones, while workers that relay them die.",
    holds: "Each malformed entry is in `dead` once, and everything else is answered.",
    made: |seed| {
        let mut draw = Draw::of(seed);
        let worker = draw.below(3);
        let from = draw.between_ms(100, 3_000);
        let plan = vec![
            Planned::at(from, Fault::Stop { worker }),
            Planned::at(from + draw.between_ms(100, 5_000), Fault::Start { worker }),
        ];
        let mut workload = Workload::messages("count", 4, 16);
        for client in 0..2 {
            workload = workload.client(move |own| posts(own, client));
        }
        counting(seed, ms(50)).workload(workload).faults(Faults::Plan(plan)).check("dead once", dead_once)
    },
};

const MALFORMED: usize = 6;

async fn posts(client: SimClient, number: u64) {
    for n in 0..MALFORMED {
        let text = format!("{number}.{n}");
        let bad: [(&[u8], &[u8]); 2] = match n % 3 {
            0 => [(b"to", b"no slash"), (b"body", text.as_bytes())],
            1 => [(b"of", b"count/1"), (b"body", text.as_bytes())],
            _ => [(b"to", b"count/1"), (b"json", b"[not json")],
        };
        let fields = bad.map(|(name, value)| (name.to_vec(), value.to_vec()));
        while client.client().store().post(client.door(number), &fields).await.is_err() {
            // No fault hits clients here, but a post that was lost would have to be repeated.
            client.env().sleep(ms(100)).await;
        }
        _ = tell(&client, &session(number), &text).await;
        client.env().sleep(ms(client.env().random_below(600))).await;
    }
}

fn dead_once(end: &End) -> Result<(), String> {
    let dead: Vec<_> = end.snapshot().partitions.into_values().flat_map(|keys| keys.dead).collect();
    if dead.len() == 2 * MALFORMED {
        return Ok(());
    }
    Err(format!("{} malformed entries were posted, and `dead` holds {dead:?}", 2 * MALFORMED))
}
