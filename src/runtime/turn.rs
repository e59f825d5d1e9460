//! What an agent sees of its session while it takes a turn.

use std::{
    future::{pending, poll_fn},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::Poll,
    time::Duration,
};

use serde::Serialize;
use tokio::sync::oneshot;

use super::{
    AgentError,
    env::{Env, Moment},
};
use crate::{
    model::{Body, Entry, EntryKind, Millis, NewEntry, SessionId},
    store::StoreResult,
};

/// Reads a session's newest entries, oldest first.
pub(super) type ReadHistory =
    Arc<dyn Fn(usize) -> Pin<Box<dyn Future<Output = StoreResult<Vec<Entry>>> + Send>> + Send + Sync>;

/// Why a turn fails that went on before its boundary was there.
pub(super) const ADRIFT: &str = "the turn went on before its boundary was durable";

/// One turn of one session: its state, its history, and what the turn adds.
pub struct Turn<State> {
    context: TurnContext,
    state: State,
    /// What the turn adds at its next boundary.
    appended: Vec<NewEntry>,
    /// The state as JSON at this run's last boundary.
    durable: Option<String>,
    /// It asked for a boundary, and did not wait until that was there.
    is_adrift: bool,
}

/// A run asks its session's owner to make durable what it did since its last boundary.
#[derive(Debug)]
pub(super) struct BoundaryRequest {
    pub(super) appended: Vec<NewEntry>,
    /// The agent's state as JSON.
    pub(super) state: String,
    /// Told once it is durable.
    pub(super) done: oneshot::Sender<()>,
}

/// Where a run leaves what it asks of its session's owner.
///
/// The owner looks whenever it has polled the run: the two are one task, so that nobody has to be woken, and a run that asks
/// for nothing costs nothing.
#[derive(Debug, Clone, Default)]
pub(super) struct Desk(Arc<Mutex<Option<BoundaryRequest>>>);

impl Desk {
    fn leave(&self, request: BoundaryRequest) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(request);
    }

    /// What was left there; to be polled right after the run. Cancel-safe: it is taken or stays.
    pub(super) async fn left(&self) -> BoundaryRequest {
        let look = || self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        poll_fn(|_| look().map_or(Poll::Pending, Poll::Ready)).await
    }
}

/// What a turn that ended leaves to write.
pub(super) struct Rest<State> {
    pub(super) state: State,
    pub(super) appended: Vec<NewEntry>,
    /// The state as JSON at this run's last boundary, if it had one.
    pub(super) durable: Option<String>,
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
    /// Boundaries of this turn so far.
    pub(super) boundaries: u64,
    /// Where it asks for more.
    pub(super) desk: Desk,
}

impl<State> Turn<State> {
    pub(super) fn new(context: TurnContext, state: State) -> Self {
        Self { context, state, appended: Vec::new(), durable: None, is_adrift: false }
    }

    /// What is left to write; none if it went on before a boundary was there: then it does not know what is durable.
    pub(super) fn into_rest(self) -> Option<Rest<State>> {
        let Self { state, appended, durable, is_adrift, .. } = self;
        (!is_adrift).then_some(Rest { state, appended, durable })
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

    /// The same, to change; durable at the next [boundary](Self::boundary), at the latest when the turn is.
    pub fn state_mut(&mut self) -> &mut State {
        &mut self.state
    }

    /// The session's newest entries, oldest first: as many as the agent's policy says. Those of this turn are among them
    /// from its first [boundary](Self::boundary) on.
    pub async fn history(&self) -> Result<Vec<Entry>, AgentError> {
        match self.context.history {
            0 => Ok(Vec::new()),
            most => Ok((self.context.read_history)(most).await?),
        }
    }

    /// Adds an entry between the message and the reply; durable at the next [boundary](Self::boundary), at the latest
    /// when the turn is.
    ///
    /// `user` and `event` entries are not an agent's to write, and are refused.
    pub fn append(&mut self, kind: EntryKind, body: Body) -> Result<(), AgentError> {
        if !kind.is_for_agents() {
            let why = format!("an agent cannot append an entry of kind {}", kind.as_str());
            return Err(AgentError::permanent(why));
        }
        self.appended.push(NewEntry { kind, message: None, body });
        Ok(())
    }

    /// How many boundaries this turn has, those of its earlier runs among them; 0 is a fresh one.
    ///
    /// A run that begins with some has the [state](Self::state) of the last of them, and goes on from there.
    pub fn boundaries(&self) -> u64 {
        self.context.boundaries
    }

    /// Makes durable what the turn did so far: the state as it is, and what was [appended](Self::append). Returns once
    /// that is so.
    ///
    /// From then on the turn is *unfinished*: a run that fails, or whose worker dies or drains, is not begun afresh, but
    /// from the state of the last boundary, and [`boundaries`](Self::boundaries) says so. The message stays at the head
    /// of the inbox until the turn ends, and its failed tries are counted on. After the death of its worker an eager
    /// session goes on by itself; a lazy one waits for its next message, or for `tenure continue`.
    ///
    /// Await it to its end: a turn that drops it and goes on fails, and is tried again from its last boundary.
    ///
    /// # Errors
    /// The state is not JSON, or an earlier boundary of this run was dropped before it was there.
    pub async fn boundary(&mut self) -> Result<(), AgentError>
    where
        State: Serialize,
    {
        if self.is_adrift {
            return Err(AgentError::new(ADRIFT));
        }
        let state = serde_json::to_string(&self.state)
            .map_err(|err| AgentError::permanent(format!("the agent's state is not JSON: {err}")))?;
        self.is_adrift = true;
        let (done, is_done) = oneshot::channel();
        let appended = std::mem::take(&mut self.appended);
        self.context.desk.leave(BoundaryRequest { appended, state: state.clone(), done });
        if is_done.await.is_err() {
            // The session is not this worker's any more, and the run is about to be dropped.
            pending::<()>().await;
        }
        (self.durable, self.is_adrift) = (Some(state), false);
        self.context.boundaries += 1;
        Ok(())
    }

    /// A point where a [simulation](crate::sim) may let something else happen first; nothing in production.
    ///
    /// To be put between two accesses to whatever the agent shares with other turns, so that a test can come between them.
    pub async fn checkpoint(&self) {
        self.context.env.checkpoint().await;
    }

    /// Waits on the run's own clock.
    pub async fn sleep(&self, duration: Duration) {
        self.context.env.sleep(duration).await;
    }
}
