//! What an agent sees of its session while it takes a turn.

use std::{pin::Pin, sync::Arc, time::Duration};

use super::env::{Env, Moment};
use crate::{
    model::{Body, Entry, EntryKind, Millis, NewEntry, SessionId},
    store::StoreResult,
};

/// Reads a session's newest entries, oldest first.
pub(super) type ReadHistory =
    Arc<dyn Fn(usize) -> Pin<Box<dyn Future<Output = StoreResult<Vec<Entry>>> + Send>> + Send + Sync>;

/// One turn of one session: its state, its history, and what the turn adds.
pub struct Turn<State> {
    context: TurnContext,
    state: State,
    appended: Vec<NewEntry>,
}

/// The part of a turn that does not depend on the agent's state.
pub(super) struct TurnContext {
    pub(super) session: SessionId,
    pub(super) turn: u64,
    pub(super) attempt: u32,
    pub(super) deadline: Moment,
    pub(super) env: Env,
    pub(super) history: usize,
    pub(super) read_history: ReadHistory,
}

impl<State> Turn<State> {
    pub(super) fn new(context: TurnContext, state: State) -> Self {
        Self { context, state, appended: Vec::new() }
    }

    pub(super) fn into_parts(self) -> (State, Vec<NewEntry>) {
        (self.state, self.appended)
    }

    /// The session.
    pub fn session(&self) -> &SessionId {
        &self.context.session
    }

    /// The turn's number in the session, from 1.
    pub fn number(&self) -> u64 {
        self.context.turn
    }

    /// Which run of its message this is, from 1.
    pub fn attempt(&self) -> u32 {
        self.context.attempt
    }

    /// The same for every run of this turn, on whatever worker: to hand to the outside as an idempotency key.
    pub fn key(&self) -> String {
        format!("{}#{}", self.context.session, self.context.turn)
    }

    /// How long the run may still take.
    pub fn remaining(&self) -> Duration {
        self.context.deadline.since(self.context.env.now())
    }

    /// When the run must be over, by this worker's wall clock: to tell others; the runtime itself counts
    /// [`remaining`](Self::remaining).
    pub fn deadline(&self) -> Millis {
        self.context.env.wall().plus(self.remaining())
    }

    /// This worker's wall clock.
    pub(crate) fn wall(&self) -> Millis {
        self.context.env.wall()
    }

    /// What the agent keeps of this session.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The same, to change; durable once the turn is.
    pub fn state_mut(&mut self) -> &mut State {
        &mut self.state
    }

    /// The session's newest entries before this turn, oldest first: as many as the agent's policy says.
    pub async fn history(&self) -> Result<Vec<Entry>, super::AgentError> {
        match self.context.history {
            0 => Ok(Vec::new()),
            most => Ok((self.context.read_history)(most).await?),
        }
    }

    /// Adds an entry between the message and the reply; durable once the turn is.
    ///
    /// `user` and `event` entries are not an agent's to write, and are refused.
    pub fn append(&mut self, kind: EntryKind, body: Body) -> Result<(), super::AgentError> {
        if !kind.is_for_agents() {
            let why = format!("an agent cannot append an entry of kind {}", kind.as_str());
            return Err(super::AgentError::permanent(why));
        }
        self.appended.push(NewEntry { kind, message: None, body });
        Ok(())
    }

    /// Waits on the run's own clock.
    pub async fn sleep(&self, duration: Duration) {
        self.context.env.sleep(duration).await;
    }
}
