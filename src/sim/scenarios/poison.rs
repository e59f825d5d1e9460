use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use super::ground::{Count, Draw, ask, counted, ms, tell};
use crate::{
    Agent, AgentError, Message, Reply, SessionId, Turn,
    model::{Cause, Hold, Millis, SessionRecord, TurnPolicy},
    sim::{Fault, Faults, Planned, Scenario, SimClient, Simulation, Workload},
    store::{FirstMessage, Look, Store},
};

/// A message that never lets its worker live to the end of its turn.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "what-kills-its-workers-is-set-aside-and-nobody-else",
    about: "All workers die again and again while one message is being worked on; others are done in between.",
    holds: "After the third death it is quarantined and not begun again, its mail is kept until it is freed, and all others are answered.",
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
        let (seen, found) = (poison.seen.clone(), poison.seen.clone());
        Simulation::new(seed)
            .agent("poison", poison)
            .agent("count", Count { works: ms(50) })
            .workload(Workload::messages("count", 8, 40).client(move |client| watches(client, found.clone())))
            .faults(Faults::Plan(plan))
            .check("each message counts once", counted)
            .check("three deaths are enough", move |_| three_are_enough(&seen))
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
    seen: Arc<Mutex<Seen>>,
}

/// What became of the message that kills.
#[derive(Default)]
struct Seen {
    /// When it was begun. Oftener than workers died, if one lost its lease meanwhile: that is no death.
    begun: Vec<Millis>,
    /// When its third owner was found dead.
    third_death: Option<Millis>,
}

impl Agent for Poison {
    type State = ();

    fn policy(&self) -> TurnPolicy {
        TurnPolicy { timeout: WORKS * 2, ..TurnPolicy::default() }
    }

    async fn turn(&self, cx: &mut Turn<()>, message: Message) -> Result<Reply, AgentError> {
        if message.body.as_text().as_deref() != Some("fine") {
            let begins = Millis(cx.deadline().0.saturating_sub(millis(WORKS * 2)));
            self.seen.lock().expect("nobody panics with it").begun.push(begins);
            cx.sleep(WORKS).await;
        }
        Ok(Reply::body(message.body))
    }
}

async fn watches(client: SimClient, seen: Arc<Mutex<Seen>>) {
    let session: SessionId = "poison/a".parse().expect("a good name");
    tell(&client, &session, "poison").await;
    client.env().sleep(OVER.saturating_sub(client.env().now().elapsed())).await;
    let look = client.client().store().look(&session).await.expect("nothing fails any more");
    let Look::Here(sight) = look else { panic!("{session} is not there") };
    if !matches!(sight.record.hold, Some(Hold::Quarantined { cause: Cause::Poison, .. })) {
        // The check at the end misses the third death.
        return;
    }
    assert_eq!(sight.record.crashes.len(), SessionRecord::MOST_CRASHES, "each death is written down");
    seen.lock().expect("nobody panics with it").third_death =
        sight.record.crashes.last().map(|last| last.time);
    assert_eq!(sight.waiting, 1, "its mail is kept");
    client.client().unquarantine(&session, FirstMessage::Drop).await.expect("it is quarantined");
    _ = ask(&client, &session, "fine").await;
}

fn three_are_enough(seen: &Mutex<Seen>) -> Result<(), String> {
    let seen = seen.lock().expect("nobody panics with it");
    let Some(third) = seen.third_death else {
        return Err(format!(
            "what killed its workers was begun {} times and not quarantined",
            seen.begun.len()
        ));
    };
    match seen.begun.iter().find(|begins| **begins > third) {
        Some(late) => Err(format!("what killed three workers by {} was begun again at {}", third.0, late.0)),
        None => Ok(()),
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
