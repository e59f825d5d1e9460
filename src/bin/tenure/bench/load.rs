//! The load: so many messages in flight, answered at shared lists.

use std::{
    collections::BTreeMap,
    convert::Infallible,
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
    model::{Body, Durability, MessageId, NewMessage, Partition, Pool, ReplyTo, SessionId},
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
    /// What an acceptance reaches before it counts.
    pub(super) class: Durability,
}

/// Where replies go.
#[derive(Debug, Clone)]
pub(super) enum Lists {
    /// All to one.
    One(ReplyTo),
    /// By the partition of their session.
    Of(BTreeMap<Partition, ReplyTo>),
}

/// Messages under way.
pub(super) struct Load<'a, S> {
    store: &'a S,
    env: &'a Env,
    lists: Lists,
    waiting: Mutex<BTreeMap<MessageId, oneshot::Sender<()>>>,
}

impl<'a, S: Store> Load<'a, S> {
    /// Nothing under way; replies come at `lists`.
    pub(super) fn new(store: &'a S, env: &'a Env, lists: Lists) -> Self {
        Self { store, env, lists, waiting: Mutex::default() }
    }

    fn list_of(&self, session: &SessionId) -> &ReplyTo {
        match &self.lists {
            Lists::One(list) => list,
            Lists::Of(lists) => &lists[&self.store.partitions().of(session)],
        }
    }

    /// Sends all messages of `plan`; how long each took to be answered. `done` counts the answers.
    ///
    /// [`hand_out`](Self::hand_out) must run beside it, for each list.
    pub(super) async fn run(&self, plan: &Plan, done: &AtomicUsize) -> Result<Vec<Duration>, Failure> {
        let next = AtomicUsize::new(0);
        let slots = (0..plan.in_flight.min(plan.messages)).map(|_| self.slot(plan, &next, done));
        Ok(try_join_all(slots).await?.concat())
    }

    /// One message after the other, as long as there are any.
    async fn slot(
        &self,
        plan: &Plan,
        next: &AtomicUsize,
        done: &AtomicUsize,
    ) -> Result<Vec<Duration>, Failure> {
        let mut latencies = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= plan.messages {
                return Ok(latencies);
            }
            let session = &plan.sessions[number % plan.sessions.len()];
            latencies.push(self.turn(session, plan).await?);
            done.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn turn(&self, session: &SessionId, plan: &Plan) -> Result<Duration, Failure> {
        let message = message(self.env, session, plan, Some(self.list_of(session).clone()));
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

    /// Hands out the replies of `list` to whom they belong; ends only by failing.
    ///
    /// One of these serves all runs: a look for replies that is broken off may have taken some.
    pub(super) async fn hand_out(&self, server: &mut Server, list: &ReplyTo) -> Result<Infallible, Failure> {
        #[derive(Deserialize)]
        struct Named {
            message: MessageId,
        }
        loop {
            for reply in server.replies(list).await? {
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
pub(super) fn message(env: &Env, session: &SessionId, plan: &Plan, reply_to: Option<ReplyTo>) -> NewMessage {
    NewMessage {
        session: session.clone(),
        message: env.message_id(),
        id: None,
        reply_to,
        body: plan.body.clone(),
        group: None,
        resume: None,
        pool: Pool::default(),
        durability: Default::default(),
        class: plan.class,
    }
}

/// The number of a message that was accepted.
pub(super) fn accepted(sent: Sent) -> Result<u64, Failure> {
    match sent {
        Sent::Accepted { number, .. } => Ok(number),
        other => Err(Failure::new(Exit::Failed, format!("a message was not accepted: {other:?}"))),
    }
}
