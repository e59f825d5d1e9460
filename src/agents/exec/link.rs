//! How a turn reaches the child, and whether there is one.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::{
    calls::{Calls, Death, Ending, Whose},
    outbound::{Outgoing, turn_line},
};
use crate::{
    agents::{
        protocol::{Answer, Params, Refusal},
        redaction::Redaction,
    },
    runtime::{AgentError, Moment},
};

/// How many lines wait for a child that is slow to read; whoever has more to say waits too.
const QUEUE: usize = 256;

/// How much of a line that makes no sense is shown.
const SHOWN: usize = 200;

/// How much of an agent's own error goes into a history.
const MESSAGE: usize = 1_000;

/// How it stands with the child.
#[derive(Debug)]
pub(super) enum Standing {
    /// It is being started.
    Starting,
    /// It takes turns.
    Up(Link),
    /// It ended, or could not be started, and is not started again before `until`.
    Down { until: Moment, why: Arc<str> },
    /// There will be none any more.
    Ended,
}

/// A child that runs.
#[derive(Debug, Clone)]
pub(super) struct Link {
    queue: mpsc::Sender<Outgoing>,
    calls: Arc<Calls>,
    redaction: Arc<Redaction>,
}

/// Why a turn has no answer.
#[derive(Debug)]
pub(super) enum Failed {
    /// By what the agent said, or should have.
    Agent(AgentError),
    /// The child ended.
    Died(Death),
}

impl Link {
    /// To a child that reads what comes out at the other end.
    pub(super) fn new(calls: Arc<Calls>, redaction: Redaction) -> (Self, mpsc::Receiver<Outgoing>) {
        let (queue, outgoing) = mpsc::channel(QUEUE);
        (Self { queue, calls, redaction: Arc::new(redaction) }, outgoing)
    }

    /// Has the child take a turn. `None`: it ended without having been given it.
    ///
    /// May be dropped: then the child is told, if it knows of the turn.
    pub(super) async fn ask(&self, params: &Params<'_>) -> Option<Result<Answer, Failed>> {
        let place = self.queue.reserve().await.ok()?;
        let (id, ending) =
            self.calls.open(Whose { session: params.session().clone(), turn: params.turn() })?;
        let _over = Over { link: self, id };
        match turn_line(id, params) {
            Ok(line) => place.send(Outgoing::Turn { id, line }),
            Err(err) => {
                let line = format!("the turn is not JSON: {err}");
                return Some(Err(Failed::Agent(AgentError::permanent(line))));
            }
        }
        Some(match ending.await.ok()? {
            Ending::Answered(result) => self.answer(result.get()).map_err(Failed::Agent),
            Ending::Refused(refusal) => Err(Failed::Agent(self.error(refusal))),
            Ending::Died(death) => Err(Failed::Died(death)),
        })
    }

    /// Says `line` to the child if there is room for it.
    pub(super) fn say(&self, line: Vec<u8>) -> bool {
        self.queue.try_send(Outgoing::Line(line)).is_ok()
    }

    pub(super) fn calls(&self) -> &Calls {
        &self.calls
    }

    pub(super) fn redaction(&self) -> &Redaction {
        &self.redaction
    }

    /// Something the child said, for people.
    pub(super) fn shown(&self, said: &str) -> String {
        self.redaction.excerpt(said, SHOWN)
    }

    fn answer(&self, result: &str) -> Result<Answer, AgentError> {
        Answer::read(result.as_bytes()).map_err(|why| {
            let line = format!("the agent's result cannot be read: {why}");
            AgentError::new(self.redaction.excerpt(&line, MESSAGE))
        })
    }

    fn error(&self, refusal: Refusal) -> AgentError {
        let (message, retry) = refusal.into_parts();
        let message = message.unwrap_or_else(|| "the agent gave no reason".to_owned());
        let message = self.redaction.excerpt(&message, MESSAGE);
        match retry {
            Some(false) => AgentError::permanent(message),
            _ => AgentError::new(message),
        }
    }
}

/// Closes a call when its turn is over, however it ended.
struct Over<'l> {
    link: &'l Link,
    id: u64,
}

impl Drop for Over<'_> {
    fn drop(&mut self) {
        if self.link.calls.give_up(self.id) {
            // A full queue is looked through anyway, and the cancels with it.
            let _ = self.link.queue.try_send(Outgoing::Cancels);
        }
    }
}
