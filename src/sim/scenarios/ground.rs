//! What the scenarios share: an agent that counts, clients that insist, and numbers drawn from the seed.

use std::time::Duration;

use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::{
    Agent, AgentError, Message, Reply, SessionId, Turn,
    client::{Answer, ClientError, Outgoing},
    model::{
        Body, EntryKind, IdempotencyKey, LeaseTimes, MessageId, Resume, TurnPolicy, WorkerConfig, WorkerId,
    },
    sim::{End, SimClient, Simulation, mixed::mixed},
    store::{Member, Store},
};

/// Counts its turns in its state and replies with the count. Goes on by itself, should its worker die half way.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Count {
    /// How long its longest turns take; every fourth takes none.
    pub(super) works: Duration,
}

impl Agent for Count {
    type State = u64;

    fn policy(&self) -> TurnPolicy {
        TurnPolicy { resume: Resume::Eager, ..TurnPolicy::default() }
    }

    async fn turn(&self, cx: &mut Turn<u64>, _: Message) -> Result<Reply, AgentError> {
        if cx.boundaries() == 0 {
            *cx.state_mut() += 1;
        }
        let thirds = u32::try_from(cx.number() % 4).unwrap_or(0);
        match self.works * thirds / 3 {
            Duration::ZERO => cx.checkpoint().await,
            works => self.work(cx, thirds, works).await?,
        }
        Ok(Reply::text(cx.state().to_string()))
    }
}

impl Count {
    /// Turns of the middle length are durable half way, where that is worth the while.
    async fn work(&self, cx: &mut Turn<u64>, thirds: u32, works: Duration) -> Result<(), AgentError> {
        if thirds != 2 || self.works < ms(50) {
            cx.sleep(works).await;
            return Ok(());
        }
        if cx.boundaries() == 0 {
            cx.sleep(works / 2).await;
            cx.boundary().await?;
        }
        cx.sleep(works / 2).await;
        Ok(())
    }
}

/// Three workers that count, each turn taking up to `works`.
pub(super) fn counting(seed: u64, works: Duration) -> Simulation {
    Simulation::new(seed).agent("count", Count { works }).check("each message counts once", counted)
}

/// Three workers that count and look at one another's lifelines as often as in production, under a long lease: who is
/// taken for dead within a few seconds is so by its lifeline.
pub(super) fn watchful(seed: u64, works: Duration) -> Simulation {
    counting(seed, works).configure(|_, config| {
        let lease = LeaseTimes::new(Duration::from_secs(10)).expect("long enough");
        WorkerConfig { lease, lifeline: WorkerConfig::named(config.name.clone()).lifeline, ..config }
    })
}

/// The replies of each session count its turns, and its state is the last of them.
pub(super) fn counted(end: &End) -> Result<(), String> {
    for (session, held) in end.sessions() {
        if session.agent().as_str() != "count" {
            continue;
        }
        let replies = held.history.iter().filter(|entry| entry.kind == EntryKind::Assistant);
        for (reply, turn) in replies.zip(1_u64..) {
            if reply.body != Body::text(&turn.to_string()) {
                return Err(format!("{session}: turn {turn} replied {}", reply.body.as_json()));
            }
        }
        let (state, turns) = (held.state.as_deref(), held.record.turns);
        // A turn that was set aside half way may have counted, and has not ended.
        let begun = turns + u64::from(held.record.unfinished.is_some());
        if state.map_or(0, count_in) != begun {
            return Err(format!("{session} counted {state:?} in {turns} turns"));
        }
    }
    Ok(())
}

/// The count in a state as it is stored: what the agent keeps, and the version of what is around it.
fn count_in(stored: &str) -> u64 {
    let stored: serde_json::Value = serde_json::from_str(stored).unwrap_or_default();
    stored["state"].as_u64().unwrap_or(u64::MAX)
}

/// Numbers of a scenario's own, drawn from the seed.
pub(super) struct Draw(StdRng);

impl Draw {
    pub(super) fn of(seed: u64) -> Self {
        // Not those that the runtime, the faults or the schedule draw from the same seed.
        Self(StdRng::seed_from_u64(mixed(seed ^ 0x0073_6365_6e61_7269)))
    }

    pub(super) fn below(&mut self, limit: u16) -> u16 {
        self.0.random_range(0..limit)
    }

    /// A time between these, in milliseconds, to the microsecond.
    pub(super) fn between_ms(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_micros(self.0.random_range(from * 1_000..to * 1_000))
    }
}

pub(super) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Session `n` of the agent that counts.
pub(super) fn session(n: u64) -> SessionId {
    format!("count/{n}").parse().expect("a good name")
}

/// Sends `text`, under the same id until it is told that it was accepted.
pub(super) async fn tell(client: &SimClient, session: &SessionId, text: &str) -> MessageId {
    let id = client.client().new_id();
    loop {
        match client.send(Outgoing::text(session.clone(), text).id(id.clone())).await {
            Ok(receipt) => return receipt.message,
            Err(_) => client.env().sleep(ms(200)).await,
        }
    }
}

/// Asks `text`, under the same id until there is an answer.
pub(super) async fn ask(client: &SimClient, session: &SessionId, text: &str) -> Answer {
    let id = client.client().new_id();
    ask_as(client, session, text, id).await
}

/// Asks `text` under this id until there is an answer.
pub(super) async fn ask_as(
    client: &SimClient,
    session: &SessionId,
    text: &str,
    id: IdempotencyKey,
) -> Answer {
    loop {
        let message = Outgoing::text(session.clone(), text).id(id.clone());
        match client.client().ask(message, Duration::from_secs(30)).await {
            Ok(answer) => return answer,
            Err(ClientError::Failed { message, error, .. }) => {
                panic!("{session}: {message} failed: {}", error.message)
            }
            Err(_) => client.env().sleep(ms(200)).await,
        }
    }
}

/// Who is there by the server's list, asked until it answers.
pub(super) async fn members(client: &SimClient) -> Vec<Member> {
    loop {
        match client.client().store().members().await {
            Ok(members) => return members,
            Err(_) => client.env().sleep(ms(200)).await,
        }
    }
}

/// The incarnations on that list, sorted.
pub(super) async fn incarnations(client: &SimClient) -> Vec<WorkerId> {
    let mut incarnations: Vec<_> = members(client).await.into_iter().map(|member| member.worker).collect();
    incarnations.sort();
    incarnations
}

/// Waits until so long after the start.
pub(super) async fn until(client: &SimClient, time: Duration) {
    client.env().sleep(time.saturating_sub(client.env().now().elapsed())).await;
}

/// Nobody is taken for dead from one time to the other: the same incarnations are there.
pub(super) async fn nobody_dies(client: SimClient, from: Duration, to: Duration) {
    until(&client, from).await;
    let before = incarnations(&client).await;
    until(&client, to).await;
    assert_eq!(incarnations(&client).await, before, "somebody was taken for dead");
}
