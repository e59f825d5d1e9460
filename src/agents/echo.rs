//! The agent that repeats what it hears.

use crate::{
    model::Message,
    runtime::{Agent, AgentError, Reply, Turn},
};

/// Replies with the message's own body.
#[derive(Debug, Clone, Copy, Default)]
pub struct Echo;

impl Agent for Echo {
    type State = ();

    async fn turn(&self, _: &mut Turn<()>, message: Message) -> Result<Reply, AgentError> {
        Ok(Reply::body(message.body))
    }
}
