//! An agent that is a program of its own: one resident child per worker, JSON-RPC lines over its
//! standard input and output, many turns at once.
//!
//! [`keeper`] owns the child: it starts it at the first turn, feeds and hears it, starts it again when it
//! ends, and ends it with the worker. A turn meets it only through a [`Link`]: a place in the queue to
//! the child's input, and the table of [`calls`] that wait for an answer. Nothing here grows with what a
//! child does or leaves undone: a line has a limit, the queue has a limit, what cannot be matched to a
//! turn is dropped with a log line, and a turn that is over leaves the table.

#[cfg(feature = "fuzzing")]
mod any;
mod backoff;
mod calls;
mod complaints;
mod ear;
mod fault;
mod inbound;
mod keeper;
mod lines;
mod link;
mod mouth;
mod outbound;
mod process;
mod silence;
mod stderr;

#[cfg(feature = "fuzzing")]
pub(crate) use any::any_lines;

use std::sync::{Arc, Mutex};

use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use self::{
    calls::Death,
    keeper::Keeper,
    link::{Failed, Link, Standing},
};
use super::{
    file::ExecSpec,
    protocol::{Answer, Params, State},
};
use crate::{
    model::{AgentName, Message, TurnPolicy},
    runtime::{Agent, AgentError, Env, Reply, Turn},
};

/// Takes turns by a program: in Python, Node, or whatever reads and writes lines.
///
/// The program is started at the first turn and serves all sessions of this agent on this worker. It
/// ends with the worker, and when this value is dropped.
pub struct Exec {
    policy: TurnPolicy,
    env: Env,
    /// Until the first turn.
    asleep: Mutex<Option<Keeper>>,
    standing: watch::Receiver<Standing>,
    /// One place: for a turn that a child ended with, beside others.
    suspects: Semaphore,
    tasks: TaskTracker,
    ending: CancellationToken,
    _ends_with_us: DropGuard,
}

impl Exec {
    /// The agent `name`, run by what `spec` says, under `policy`.
    pub fn new(name: AgentName, spec: ExecSpec, policy: TurnPolicy) -> Self {
        let (env, ending, tasks) = (Env::system(), CancellationToken::new(), TaskTracker::new());
        let (stands, standing) = watch::channel(Standing::Starting);
        let keeper = Keeper {
            name: Arc::new(name),
            spec: Arc::new(spec),
            env: env.clone(),
            patience: policy.timeout * 2,
            stands,
            ending: ending.clone(),
            tasks: tasks.clone(),
        };
        Self {
            policy,
            env,
            asleep: Mutex::new(Some(keeper)),
            standing,
            suspects: Semaphore::new(1),
            tasks,
            _ends_with_us: ending.clone().drop_guard(),
            ending,
        }
    }

    /// What a child answers. One that ends before it was given the turn costs the turn nothing, and one that ends with
    /// others beside it costs nothing once: what ended it must not take them to `dead` with it.
    async fn answer(&self, cx: &Turn<State>, params: &Params<'_>) -> Result<Answer, AgentError> {
        let mut alone = None;
        loop {
            match self.link(cx).await?.ask(params).await {
                None => (),
                Some(Ok(answer)) => return Ok(answer),
                Some(Err(Failed::Agent(error))) => return Err(error),
                Some(Err(Failed::Died(death))) if death.in_company && alone.is_none() => {
                    alone = Some(self.place(cx, &death).await?);
                }
                Some(Err(Failed::Died(Death { why, .. }))) => return Err(AgentError::new(why.as_ref())),
            }
        }
    }

    /// The one place for suspects; the death is the turn's own failure if that would take too much of its time.
    async fn place(
        &self,
        cx: &Turn<State>,
        Death { why, .. }: &Death,
    ) -> Result<SemaphorePermit<'_>, AgentError> {
        let place = self.env.timeout(cx.remaining() / 2, self.suspects.acquire()).await;
        place.map(|place| place.expect("it is never closed")).ok_or_else(|| AgentError::new(why.as_ref()))
    }

    /// The child, once there is one. A turn whose time would be over before that is not kept waiting.
    async fn link(&self, cx: &Turn<State>) -> Result<Link, AgentError> {
        if let Some(keeper) = self.asleep.lock().expect("nobody panics while waking it").take() {
            self.tasks.spawn(keeper.run());
        }
        let mut standing = self.standing.clone();
        loop {
            match &*standing.borrow_and_update() {
                Standing::Up(link) => return Ok(link.clone()),
                Standing::Down { until, why } if until.since(self.env.now()) >= cx.remaining() => {
                    return Err(AgentError::new(why.as_ref()));
                }
                Standing::Ended => return Err(AgentError::new("the worker is ending")),
                Standing::Starting | Standing::Down { .. } => (),
            }
            if standing.changed().await.is_err() {
                return Err(AgentError::new("the worker is ending"));
            }
        }
    }
}

impl Agent for Exec {
    type State = State;

    fn policy(&self) -> TurnPolicy {
        self.policy.clone()
    }

    async fn turn(&self, cx: &mut Turn<State>, message: Message) -> Result<Reply, AgentError> {
        let params = Params::of(cx, &message).await?;
        self.answer(cx, &params).await?.apply(cx)
    }

    /// Ends the child: its input is closed, then it is asked, then it is made to.
    async fn end(&self) {
        self.ending.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}
