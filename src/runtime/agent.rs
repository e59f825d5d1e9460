//! The code that takes a session's turns, and how the runtime calls it without knowing its types.

use std::{panic::AssertUnwindSafe, pin::Pin, time::Duration};

use futures_util::FutureExt;
use serde::{Serialize, de::DeserializeOwned};

use super::turn::{ADRIFT, Rest, Turn, TurnContext};
use crate::model::{Body, Failure, Message, NewEntry, TurnPolicy};

/// The code that takes the turns of all sessions of one name.
///
/// One value serves many sessions at once, so it holds what they share (clients, prompts,
/// settings); what belongs to one session is its [`State`](Self::State).
///
/// ```
/// use tenure::{Agent, AgentError, Message, Reply, Turn};
///
/// struct Counter;
///
/// impl Agent for Counter {
///     type State = u64;
///
///     async fn turn(&self, cx: &mut Turn<u64>, _: Message) -> Result<Reply, AgentError> {
///         *cx.state_mut() += 1;
///         Ok(Reply::text(format!("{} so far", cx.state())))
///     }
/// }
/// ```
pub trait Agent: Send + Sync + 'static {
    /// What it keeps per session, as JSON; a session begins with the default.
    type State: Serialize + DeserializeOwned + Default + Send;

    /// How its turns are run.
    fn policy(&self) -> TurnPolicy {
        TurnPolicy::default()
    }

    /// Takes one turn: reads `message`, changes the state, and replies.
    ///
    /// Nothing of it is durable before it returns; then all of it is, at once. An error, a panic or
    /// a time-out leaves the session as it was, and the message is tried again as the policy says:
    /// so whatever the turn does outside may happen again, and [`Turn::key`] is there to tell. A long
    /// turn can make itself durable bit by bit with [`Turn::boundary`], and is then tried again from there.
    fn turn(
        &self,
        cx: &mut Turn<Self::State>,
        message: Message,
    ) -> impl Future<Output = Result<Reply, AgentError>> + Send;

    /// Lets go of what it holds outside, such as a process. A worker that has drained calls it once and
    /// waits; no turn begins after it. One that is killed does not, so a value must also end well dropped.
    fn end(&self) -> impl Future<Output = ()> + Send {
        async {}
    }
}

/// What a turn answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply(Option<Body>);

impl Reply {
    /// The turn is done and there is nothing to say.
    pub fn none() -> Self {
        Self(None)
    }

    /// Text: `{"text": …}`.
    pub fn text(text: impl AsRef<str>) -> Self {
        Self(Some(Body::text(text.as_ref())))
    }

    /// Any JSON object.
    pub fn body(body: Body) -> Self {
        Self(Some(body))
    }
}

/// Why a run failed. Any error converts into one that is worth another try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentError {
    message: String,
    retry: bool,
    not_before: Duration,
}

impl AgentError {
    /// A failure that another try may mend.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), retry: true, not_before: Duration::ZERO }
    }

    /// A failure that no try will mend: the message is given up on at once.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self { retry: false, ..Self::new(message) }
    }

    /// The next try comes no sooner than `wait` from now, nor than the agent's backoff says; at most
    /// [`Failure::LONGEST_WAIT`] is waited for. Changes nothing where there is no next try.
    pub fn retry_after(self, wait: Duration) -> Self {
        Self { not_before: wait, ..self }
    }
}

impl<E: std::error::Error> From<E> for AgentError {
    fn from(err: E) -> Self {
        Self::new(err.to_string())
    }
}

/// What one run of an agent came to.
#[derive(Debug)]
pub(super) enum Run {
    /// All that the turn wants written.
    Finished(Output),
    /// Nothing is written but the failure.
    Failed(Failure),
    /// The state is not what this agent writes: it must not be overwritten.
    Unreadable(String),
}

/// All that a finished turn wants written.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) reply: Option<Body>,
    pub(super) appended: Vec<NewEntry>,
    /// The new state as JSON, if it changed.
    pub(super) state: Option<String>,
}

/// An agent without its types.
pub(super) trait AnyAgent: Send + Sync + 'static {
    /// Runs one turn on `state` (JSON); a panic is a failure like any other.
    fn run<'a>(
        &'a self,
        context: TurnContext,
        state: Option<&'a str>,
        message: Message,
    ) -> Pin<Box<dyn Future<Output = Run> + Send + 'a>>;

    /// See [`Agent::end`].
    fn end(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

impl<A: Agent> AnyAgent for A {
    fn run<'a>(
        &'a self,
        context: TurnContext,
        state: Option<&'a str>,
        message: Message,
    ) -> Pin<Box<dyn Future<Output = Run> + Send + 'a>> {
        // All of it: what reads and writes the state is the agent's code too.
        let run = AssertUnwindSafe(run(self, context, state, message)).catch_unwind();
        Box::pin(async move {
            run.await.unwrap_or_else(|panic| {
                Run::Failed(Failure {
                    reason: "panicked",
                    message: panic_text(&*panic),
                    retry: true,
                    not_before: Duration::ZERO,
                })
            })
        })
    }

    fn end(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(Agent::end(self))
    }
}

async fn run<A: Agent>(agent: &A, context: TurnContext, state: Option<&str>, message: Message) -> Run {
    let before = match state.map_or_else(|| Ok(A::State::default()), serde_json::from_str) {
        Ok(state) => state,
        Err(err) => return Run::Unreadable(misfit(&err)),
    };
    let mut turn = Turn::new(context, before);
    match agent.turn(&mut turn, message).await {
        Ok(Reply(reply)) => finish(turn, state, reply),
        Err(AgentError { message, retry, not_before }) => {
            Run::Failed(Failure { reason: "failed", message, retry, not_before })
        }
    }
}

/// Where a state does not fit. Not what stands there: this is told in the session's record, which is never sealed.
fn misfit(err: &serde_json::Error) -> String {
    format!(
        "the agent's state does not fit: line {}, column {} is not what it reads",
        err.line(),
        err.column()
    )
}

fn finish<State: Serialize>(turn: Turn<State>, before: Option<&str>, reply: Option<Body>) -> Run {
    let Some(Rest { state, appended, durable }) = turn.into_rest() else {
        return Run::Failed(adrift());
    };
    match serde_json::to_string(&state) {
        Ok(after) => {
            let is_new = is_new_state(durable.as_deref().or(before), &after);
            Run::Finished(Output { reply, appended, state: is_new.then_some(after) })
        }
        Err(err) => Run::Failed(Failure {
            reason: "failed",
            message: format!("the agent's state is not JSON: {err}"),
            retry: false,
            not_before: Duration::ZERO,
        }),
    }
}

/// Whether a state has to be stored. An agent that keeps nothing stores nothing.
pub(super) fn is_new_state(before: Option<&str>, after: &str) -> bool {
    before.unwrap_or("null") != after
}

fn adrift() -> Failure {
    Failure { reason: "failed", message: ADRIFT.to_owned(), retry: true, not_before: Duration::ZERO }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("the agent panicked: {}", text.unwrap_or("no message"))
}
