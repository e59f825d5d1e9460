//! A conversation with one session: with a prompt on a terminal, line by line in a pipe.

mod pipe;
mod prompt;
mod terminal;
mod waiting;

use std::{
    io::{IsTerminal, stdin, stdout},
    time::Duration,
};

use tenure::{client::Client, model::SessionId, store::Store};

use crate::{failure::Failure, global::Global};

/// Somebody who talks to a session.
pub(crate) struct Conversation<S> {
    pub(crate) client: Client<S>,
    pub(crate) session: SessionId,
    /// How long a reply is waited for.
    pub(crate) reply_within: Duration,
}

/// Whether a person sits at both ends.
pub(crate) fn has_person(global: &Global) -> bool {
    stdin().is_terminal() && stdout().is_terminal() && !global.json
}

impl<S: Store> Conversation<S> {
    /// Holds it until its input ends.
    pub(crate) async fn hold(&self, global: &Global) -> Result<(), Failure> {
        match has_person(global) {
            true => terminal::hold(self).await,
            false => pipe::hold(self, global.json).await,
        }
    }
}
