use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use super::ground::{Count, Draw, ask, counted, ms, tell};
use crate::{
    Agent, AgentError, Message, Reply, SessionId, Turn,
    model::{Cause, Hold, MessageId, SessionRecord, TurnPolicy},
    sim::{End, Fault, Faults, Planned, Scenario, SimClient, Simulation, Workload},
    store::{FirstMessage, Look, Store},
};

/// A message that never lets its worker live to the end of its turn.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "what-kills-its-workers-is-set-aside-and-nobody-else",
    about: "All workers die again and again while one message is being worked on; others are done in between.",
    holds: "It is begun three times and quarantined, its mail is kept until it is freed, and all others are answered.",
    made: |seed| {
        let mut draw = Draw::of(seed);
        let mut plan = Vec::new();
        for death in 0..DEATHS {
            for worker in 0..3 {
                let dies = EVERY * death + draw.between_ms(6_000, 6_050);
                plan.push(Planned::at(dies, Fault::Stop { worker }));
                plan.push(Planned::at(dies + draw.between_ms(100, 500), Fault::Start { worker }));
            }
        }
        let poison = Poison::default();
        let begun = poison.begun.clone();
        Simulation::new(seed)
            .agent("poison", poison)
            .agent("count", Count { works: ms(50) })
            .workload(Workload::messages("count", 8, 40).client(watches))
            .faults(Faults::Plan(plan))
            .check("each message counts once", counted)
            .check("three deaths are enough", move |end| three_are_enough(end, &begun))
    },
};

const DEATHS: u32 = 5;
const EVERY: Duration = Duration::from_secs(9);

/// Longer than the workers live, and over before the run is.
const WORKS: Duration = Duration::from_secs(30);

/// When the last of them is over, and what they left was reaped.
const OVER: Duration = Duration::from_secs(60);

/// Works longer than its workers live, but for messages that say `fine`.
#[derive(Clone, Default)]
struct Poison {
    begun: Arc<Mutex<BTreeMap<MessageId, usize>>>,
}

impl Agent for Poison {
    type State = ();

    fn policy(&self) -> TurnPolicy {
        TurnPolicy { timeout: WORKS * 2, ..TurnPolicy::default() }
    }

    async fn turn(&self, cx: &mut Turn<()>, message: Message) -> Result<Reply, AgentError> {
        if message.body.as_text().as_deref() != Some("fine") {
            *self.begun.lock().expect("nobody panics while counting").entry(message.message).or_default() +=
                1;
            cx.sleep(WORKS).await;
        }
        Ok(Reply::body(message.body))
    }
}

async fn watches(client: SimClient) {
    let session: SessionId = "poison/a".parse().expect("a good name");
    tell(&client, &session, "poison").await;
    client.env().sleep(OVER.saturating_sub(client.env().now().elapsed())).await;
    let look = client.client().store().look(&session).await.expect("nothing fails any more");
    let Look::Here(sight) = look else { panic!("{session} is not there") };
    let poisoned = matches!(sight.record.hold, Some(Hold::Quarantined { cause: Cause::Poison, .. }));
    if !poisoned {
        // Then it was begun as often as its workers died, which the check at the end does not miss.
        return;
    }
    assert_eq!(sight.record.crashes.len(), SessionRecord::MOST_CRASHES, "each death is written down");
    assert_eq!(sight.waiting, 1, "its mail is kept");
    client.client().unquarantine(&session, FirstMessage::Drop).await.expect("it is quarantined");
    _ = ask(&client, &session, "fine").await;
}

fn three_are_enough(_: &End, begun: &Mutex<BTreeMap<MessageId, usize>>) -> Result<(), String> {
    let begun = begun.lock().expect("nobody panics while counting");
    let most = begun.values().max().copied().unwrap_or_default();
    if most > SessionRecord::MOST_CRASHES {
        return Err(format!("a message that killed its workers was begun {most} times"));
    }
    Ok(())
}
