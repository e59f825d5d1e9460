//! How a turn reaches the child, and whether there is one.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::{
    calls::{Calls, Ending, Whose},
    outbound::{Outgoing, turn_line},
};
use crate::{
    agents::protocol::{Answer, Params},
    runtime::{AgentError, Moment},
};

/// How many lines wait for a child that is slow to read; whoever has more to say waits too.
const QUEUE: usize = 256;

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
}

impl Link {
    /// To a child that reads what comes out at the other end.
    pub(super) fn new(calls: Arc<Calls>) -> (Self, mpsc::Receiver<Outgoing>) {
        let (queue, outgoing) = mpsc::channel(QUEUE);
        (Self { queue, calls }, outgoing)
    }

    /// Has the child take a turn. `None`: it ended without having been given it.
    ///
    /// May be dropped: then the child is told, if it knows of the turn.
    pub(super) async fn ask(&self, params: &Params<'_>) -> Option<Result<Answer, AgentError>> {
        let place = self.queue.reserve().await.ok()?;
        let (id, ending) =
            self.calls.open(Whose { session: params.session().clone(), turn: params.turn() })?;
        let _over = Over { link: self, id };
        match turn_line(id, params) {
            Ok(line) => place.send(Outgoing::Turn { id, line }),
            Err(err) => return Some(Err(AgentError::permanent(format!("the turn is not JSON: {err}")))),
        }
        match ending.await.ok()? {
            Ending::Answered(result) => Some(read_answer(result.get())),
            Ending::Refused(error) => Some(Err(error)),
            Ending::Died(why) => Some(Err(AgentError::new(why.as_ref()))),
        }
    }

    /// Says `line` to the child if there is room for it.
    pub(super) fn say(&self, line: Vec<u8>) -> bool {
        self.queue.try_send(Outgoing::Line(line)).is_ok()
    }

    pub(super) fn calls(&self) -> &Calls {
        &self.calls
    }
}

fn read_answer(result: &str) -> Result<Answer, AgentError> {
    match serde_json::from_str::<Option<Answer>>(result) {
        Ok(answer) => Ok(answer.unwrap_or_default()),
        Err(err) => Err(AgentError::new(format!("the agent's result cannot be read: {err}"))),
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
