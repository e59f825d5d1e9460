use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use super::ground::{Draw, ms};
use crate::{
    Agent, AgentError, Message, Reply, Turn,
    model::{Backoff, MessageId, Millis, TurnPolicy},
    sim::{End, Fault, Faults, Planned, Rates, Scenario, Simulation, Workload},
};

/// Messages fail and wait for their next try, while who would fire the timers dies.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "a-try-comes-late-and-never-early-or-twice",
    about: "Every message fails twice and backs off, while workers die and stand still.",
    holds: "No try comes before its time, none is skipped, and the third ends the turn.",
    made: |seed| {
        let mut draw = Draw::of(seed);
        let mut plan = Vec::new();
        for worker in 0..2 {
            let (from, lasting) = (draw.between_ms(200, 5_000), draw.between_ms(500, 6_000));
            plan.push(Planned::at(from, Fault::Stop { worker }));
            plan.push(Planned::at(from + lasting, Fault::Start { worker }));
        }
        let (worker, lasting) = (draw.below(3), draw.between_ms(500, 6_000));
        plan.push(Planned::at(draw.between_ms(200, 5_000), Fault::Pause { worker, lasting }));
        let rates =
            Rates { slow_reply: 150, delay: 50, longest_delay: ms(2_000), until: ms(9_000), ..Rates::none() };
        Simulation::new(seed)
            .agent("third", Third::default())
            .workload(Workload::messages("third", 6, 24))
            .faults(Faults::Both(plan, rates))
            .check("nobody gives up", nobody_gives_up)
    },
};

const WAIT: Duration = Duration::from_millis(800);

/// Succeeds at its third try.
#[derive(Clone, Default)]
struct Third {
    /// When the last run of each message failed, and which it was.
    failed: Arc<Mutex<BTreeMap<MessageId, (u32, Millis)>>>,
}

impl Agent for Third {
    type State = ();

    fn policy(&self) -> TurnPolicy {
        TurnPolicy { backoff: Backoff { first: WAIT, max: WAIT }, ..TurnPolicy::default() }
    }

    async fn turn(&self, cx: &mut Turn<()>, message: Message) -> Result<Reply, AgentError> {
        // Every simulated wall clock is virtual time.
        let now = Millis(cx.deadline().0 - u64::try_from(cx.remaining().as_millis()).unwrap_or(0));
        let (message, attempt) = (message.message, cx.attempt());
        let mut failed = self.failed.lock().map_err(|_| AgentError::permanent("it failed before"))?;
        if let Some((before, at)) = failed.get(&message).copied() {
            // The same try again is what a death between failing and saying so leads to.
            if attempt > before + 1 {
                return Err(AgentError::permanent(format!("try {attempt} after {before}")));
            }
            if attempt == before + 1 && now.since(at) + ms(2) < WAIT {
                return Err(AgentError::permanent(format!("try {attempt} came after {:?}", now.since(at))));
            }
        }
        if attempt >= 3 {
            return Ok(Reply::text("at last"));
        }
        failed.insert(message, (attempt, now));
        Err(AgentError::new("not yet"))
    }
}

/// What came at the wrong time is in `dead`, and says why.
fn nobody_gives_up(end: &End) -> Result<(), String> {
    let dead = end.snapshot().partitions.into_values().flat_map(|keys| keys.dead).next();
    dead.map_or(Ok(()), |letter| Err(format!("{:?} was given up on: {}", letter.message, letter.reason)))
}
