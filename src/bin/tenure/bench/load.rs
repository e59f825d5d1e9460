//! The load: so many messages in flight, each answered at one shared list.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::try_join_all;
use serde::Deserialize;
use tenure::{
    Env,
    model::{Body, MessageId, NewMessage, Pool, ReplyTo, SessionId},
    store::{Sent, Store},
};
use tokio::sync::oneshot;

use super::server::Server;
use crate::failure::{Exit, Failure};

/// Longer than any turn of `echo` takes.
const REPLY_WITHIN: Duration = Duration::from_secs(30);

/// What is sent, and how.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) sessions: Vec<SessionId>,
    pub(super) body: Body,
    pub(super) in_flight: usize,
    pub(super) messages: usize,
}

/// Messages under way.
pub(super) struct Load<'a, S> {
    store: &'a S,
    env: &'a Env,
    list: &'a ReplyTo,
    waiting: Mutex<BTreeMap<MessageId, oneshot::Sender<()>>>,
    next: AtomicUsize,
    done: &'a AtomicUsize,
}

impl<'a, S: Store> Load<'a, S> {
    /// Nothing under way; `done` counts what was answered.
    pub(super) fn new(store: &'a S, env: &'a Env, list: &'a ReplyTo, done: &'a AtomicUsize) -> Self {
        Self { store, env, list, waiting: Mutex::default(), next: AtomicUsize::new(0), done }
    }

    /// Sends all messages of `plan`; how long each took to be answered.
    pub(super) async fn run(&self, plan: &Plan, server: &mut Server) -> Result<Vec<Duration>, Failure> {
        let slots = try_join_all((0..plan.in_flight.min(plan.messages)).map(|_| self.slot(plan)));
        tokio::select! {
            biased;
            Err(failure) = self.hand_out(server) => Err(failure),
            latencies = slots => Ok(latencies?.concat()),
        }
    }

    /// One message after the other, as long as there are any.
    async fn slot(&self, plan: &Plan) -> Result<Vec<Duration>, Failure> {
        let mut latencies = Vec::new();
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= plan.messages {
                return Ok(latencies);
            }
            let session = &plan.sessions[number % plan.sessions.len()];
            latencies.push(self.turn(session, &plan.body).await?);
            self.done.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn turn(&self, session: &SessionId, body: &Body) -> Result<Duration, Failure> {
        let message = message(self.env, session, body, Some(self.list.clone()));
        let (answered, answer) = oneshot::channel();
        self.waiting.lock().expect("nobody panics while waiting").insert(message.message, answered);
        let began = self.env.now();
        accepted(self.store.send(&message).await?)?;
        match self.env.timeout(REPLY_WITHIN, answer).await {
            Some(_) => Ok(self.env.now().since(began)),
            None => Err(Failure::new(
                Exit::Unavailable,
                format!(
                    "a message to {session} got no reply within {REPLY_WITHIN:?}: run with RUST_LOG=info to see why"
                ),
            )),
        }
    }

    /// Hands out replies to whom they belong, until it fails.
    async fn hand_out(&self, server: &mut Server) -> Result<(), Failure> {
        #[derive(Deserialize)]
        struct Named {
            message: MessageId,
        }
        loop {
            for reply in server.replies(self.list).await? {
                let Named { message } = serde_json::from_str(&reply).map_err(std::io::Error::from)?;
                let waiter = self.waiting.lock().expect("nobody panics while waiting").remove(&message);
                // A reply may come twice, and its waiter may have given up.
                if let Some(waiter) = waiter {
                    let _ = waiter.send(());
                }
            }
        }
    }
}

/// A message to `session`.
pub(super) fn message(env: &Env, session: &SessionId, body: &Body, reply_to: Option<ReplyTo>) -> NewMessage {
    NewMessage {
        session: session.clone(),
        message: env.message_id(),
        id: None,
        reply_to,
        body: body.clone(),
        group: None,
        resume: None,
        pool: Pool::default(),
    }
}

/// The number of a message that was accepted.
pub(super) fn accepted(sent: Sent) -> Result<u64, Failure> {
    match sent {
        Sent::Accepted { number, .. } => Ok(number),
        other => Err(Failure::new(Exit::Failed, format!("a message was not accepted: {other:?}"))),
    }
}
