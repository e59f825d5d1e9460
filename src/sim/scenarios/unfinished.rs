use std::time::Duration;

use super::ground::{Draw, ms, tell};
use crate::{
    Agent, AgentError, Message, Reply, SessionId, Turn,
    client::ClientError,
    model::{Body, Cause, EntryKind, Hold, Resume, Status, TurnPolicy},
    sim::{End, Fault, Faults, Planned, Scenario, SimClient, Simulation, Workload},
};

/// Nobody has to ask.
pub(super) const EAGER: Scenario = Scenario {
    name: "an-eager-turn-goes-on-by-itself",
    about: "Turns of several boundaries are taken while workers die, drain and stand still.",
    holds: "Every turn goes on from its last boundary with no request, and no step of it is durable twice.",
    made: |seed| {
        let workload = Workload::none().client(sends).client(sends);
        walking(seed, Resume::Eager).workload(workload)
    },
};

/// Somebody has to.
pub(super) const LAZY: Scenario = Scenario {
    name: "a-lazy-turn-waits-for-a-word",
    about: "The same with lazy sessions; somebody looks in now and then, and sends a message or a word.",
    holds: "A turn whose worker died goes on from its last boundary at the next word and not before.",
    made: |seed| {
        let workload = Workload::none().client(sends).client(sends).client(looks_in);
        walking(seed, Resume::Lazy).workload(workload)
    },
};

const SESSIONS: u64 = 5;
const MESSAGES: u64 = 8;

/// Steps of a turn, each with its boundary.
const STEPS: u64 = 3;

/// When everybody has sent everything, and nothing fails any more.
const QUIET: Duration = Duration::from_secs(25);

/// Takes its turns step by step, and counts the steps.
#[derive(Clone)]
struct Walk {
    resume: Resume,
}

impl Agent for Walk {
    type State = u64;

    fn policy(&self) -> TurnPolicy {
        TurnPolicy { resume: self.resume, ..TurnPolicy::default() }
    }

    async fn turn(&self, cx: &mut Turn<u64>, _: Message) -> Result<Reply, AgentError> {
        for step in cx.boundaries()..STEPS {
            cx.sleep(ms(250)).await;
            *cx.state_mut() += 1;
            cx.append(EntryKind::ToolCall, Body::text(&step.to_string()))?;
            cx.boundary().await?;
        }
        cx.sleep(ms(100)).await;
        Ok(Reply::text(cx.state().to_string()))
    }
}

fn walking(seed: u64, resume: Resume) -> Simulation {
    let mut draw = Draw::of(seed);
    let mut plan = Vec::new();
    for worker in 0..3 {
        let dies = draw.between_ms(500, 6_000);
        plan.push(Planned::at(dies, Fault::Stop { worker }));
        plan.push(Planned::at(dies + draw.between_ms(100, 3_000), Fault::Start { worker }));
    }
    let (worker, lasting) = (draw.below(3), draw.between_ms(500, 12_000));
    plan.push(Planned::at(draw.between_ms(500, 6_000), Fault::Pause { worker, lasting }));
    let drains = draw.between_ms(6_500, 9_000);
    let worker = draw.below(3);
    plan.push(Planned::at(drains, Fault::Drain { worker }));
    plan.push(Planned::at(drains + ms(2_000), Fault::Start { worker }));
    Simulation::new(seed)
        .agent("walk", Walk { resume })
        .faults(Faults::Plan(plan))
        .check("each step is durable once", walked)
}

fn session(n: u64) -> SessionId {
    format!("walk/{n}").parse().expect("a good name")
}

async fn sends(client: SimClient) {
    for n in 0..MESSAGES {
        client.env().sleep(Duration::from_micros(client.env().random_below(1_000_000))).await;
        _ = tell(&client, &session(client.env().random_below(SESSIONS)), &n.to_string()).await;
    }
}

/// Gives a word to what is suspended, until nothing has anything to do.
async fn looks_in(client: SimClient) {
    loop {
        client.env().sleep(ms(1_000)).await;
        let mut is_busy = false;
        for n in 0..SESSIONS {
            is_busy |= looks_at(&client, &session(n)).await;
        }
        if !is_busy && client.env().now().elapsed() > QUIET {
            return;
        }
    }
}

/// Whether there is something to do, which a word may help along.
async fn looks_at(client: &SimClient, session: &SessionId) -> bool {
    let view = match client.client().session(session).await {
        Ok(view) => view,
        Err(ClientError::NoSession(_)) => return false,
        Err(_) => return true,
    };
    if view.status == Status::Suspended {
        match client.env().random_below(3) {
            0 => _ = tell(client, session, "go on").await,
            1 => _ = client.client().proceed(session).await,
            _ => (),
        }
    }
    view.waiting > 0
}

/// The history of each turn: its message, its steps in order, its reply.
fn walked(end: &End) -> Result<(), String> {
    for (session, held) in end.sessions() {
        let per_turn = usize::try_from(STEPS).expect("few") + 2;
        for (turn, entries) in held.history.chunks(per_turn).enumerate() {
            let kinds: Vec<_> = entries.iter().map(|entry| entry.kind).collect();
            let steps = entries.iter().filter(|entry| entry.kind == EntryKind::ToolCall);
            let steps: Vec<_> = steps.filter_map(|entry| entry.body.as_text()).collect();
            let expected: Vec<_> = (0..STEPS).map(|step| step.to_string()).collect();
            let is_whole = kinds.first() == Some(&EntryKind::User)
                && kinds.last() == Some(&EntryKind::Assistant)
                && steps == expected;
            // Three owners that died one after the other, before the next boundary, are taken for its doing.
            let is_set_aside = kinds.first() == Some(&EntryKind::User)
                && kinds.last() != Some(&EntryKind::Assistant)
                && matches!(held.record.hold, Some(Hold::Quarantined { cause: Cause::Poison, .. }))
                && expected.starts_with(&steps);
            if !is_whole && !is_set_aside {
                return Err(format!("{session}: turn {} is {kinds:?} with steps {steps:?}", turn + 1));
            }
        }
    }
    Ok(())
}
