//! Those who talk to the sessions: each sends its next message when the last is answered.

use std::time::Duration;

use futures_util::future::try_join_all;
use tenure::{
    Env,
    client::{Client, ClientError, Outgoing},
    model::{MessageId, SessionId},
    store::Store,
};
use tokio::sync::mpsc::UnboundedSender;

use super::agent::NAME;
use crate::failure::Failure;

/// The keys of their sessions.
pub(super) const NAMES: [&str; 26] = [
    "ada", "bea", "cem", "dev", "eva", "fay", "gus", "hal", "ida", "jon", "kim", "lea", "mia", "ned", "oda",
    "pia", "quy", "ray", "sam", "tom", "uma", "val", "wim", "xia", "yan", "zoe",
];

/// Far longer than a takeover.
const PATIENCE: Duration = Duration::from_secs(600);

/// The sessions of the first `count` of them.
pub(super) fn sessions(count: usize) -> Vec<SessionId> {
    NAMES[..count].iter().map(|name| format!("{NAME}/{name}").parse().expect("a session")).collect()
}

/// Who says how much.
pub(super) struct Plan {
    pub(super) sessions: Vec<SessionId>,
    pub(super) messages: usize,
}

/// A reply came.
pub(super) struct Said {
    pub(super) session: SessionId,
    pub(super) message: MessageId,
    /// The message's number in its session, from 1.
    pub(super) number: usize,
    pub(super) reply: String,
    pub(super) waited: Duration,
}

impl Plan {
    /// What it is about, and where.
    pub(super) fn title(&self, place: &str) -> String {
        let (sessions, messages) = (self.sessions.len(), self.messages);
        format!("three workers {place}, {sessions} sessions with {messages} messages each")
    }

    /// How many messages there are.
    pub(super) fn total(&self) -> usize {
        self.sessions.len() * self.messages
    }

    /// All of them talk at once; returns only if that fails.
    pub(super) async fn talk<S: Store>(&self, client: &Client<S>, say: UnboundedSender<Said>) -> Failure {
        let talks = self.sessions.iter().map(|session| talk(client, session, self.messages, &say));
        match try_join_all(talks).await {
            Ok(_) => std::future::pending().await,
            Err(err) => err.into(),
        }
    }
}

async fn talk<S: Store>(
    client: &Client<S>,
    session: &SessionId,
    messages: usize,
    say: &UnboundedSender<Said>,
) -> Result<(), ClientError> {
    let env = Env::system();
    for number in 1..=messages {
        let asked = env.now();
        let answer = client.ask(Outgoing::text(session.clone(), &number.to_string()), PATIENCE).await?;
        let (waited, message) = (env.now().since(asked), answer.message);
        let reply = answer.reply.and_then(|reply| reply.as_text()).unwrap_or_default();
        // Who has gone misses nothing.
        let _ = say.send(Said { session: session.clone(), message, number, reply, waited });
    }
    Ok(())
}
