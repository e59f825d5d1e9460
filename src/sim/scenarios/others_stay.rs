use std::{collections::BTreeMap, time::Duration};

use super::ground::{Draw, ask, counting, ms, session};
use crate::{
    model::Token,
    sim::{Fault, Faults, Planned, Scenario, SimClient, Workload},
    store::{Look, Store},
};

/// One worker of four dies, and the sessions of the others stay where they are.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "only-the-sessions-of-the-dead-move",
    about: "One worker of four dies while every session is in somebody's memory.",
    holds: "All other sessions keep their owner and epoch, and the dead one's are answered by others.",
    made: |seed| {
        let mut draw = Draw::of(seed);
        let worker = draw.below(4);
        let dies = ms(6_000) + draw.between_ms(0, 3_000);
        let plan = vec![
            Planned::at(dies, Fault::Stop { worker }),
            Planned::at(dies + ms(20_000), Fault::Start { worker }),
        ];
        let workload = Workload::none().client(move |client| watches(client, worker, dies));
        counting(seed, ms(20)).workers(4).workload(workload).faults(Faults::Plan(plan))
    },
};

const SESSIONS: u64 = 16;

async fn watches(client: SimClient, dead: u16, dies: Duration) {
    for n in 0..SESSIONS {
        _ = ask(&client, &session(n), "before").await;
    }
    let before = owners(&client).await;
    client.env().sleep((dies + ms(10_000)).saturating_sub(client.env().now().elapsed())).await;
    for n in 0..SESSIONS {
        _ = ask(&client, &session(n), "after").await;
    }
    let dead = format!("w{dead}-");
    for (n, after) in owners(&client).await {
        let Some(Some(owner)) = before.get(&n) else { continue };
        if owner.worker.as_str().starts_with(&dead) {
            assert_ne!(after.as_ref(), Some(owner), "{} is still the dead worker's", session(n));
        } else {
            assert_eq!(after.as_ref(), Some(owner), "{} moved", session(n));
        }
    }
}

async fn owners(client: &SimClient) -> BTreeMap<u64, Option<Token>> {
    let mut owners = BTreeMap::new();
    for n in 0..SESSIONS {
        let look = client.client().store().look(&session(n)).await.expect("nothing fails here");
        let Look::Here(sight) = look else { panic!("{} is not there", session(n)) };
        owners.insert(n, sight.record.owner);
    }
    owners
}
