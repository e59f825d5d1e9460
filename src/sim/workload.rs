//! What clients do in a simulation.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use super::{choice::Actor, fleet::process, membership::Reach, store::SimStore, world::World};
use crate::{
    client::{Client, ClientError, Outgoing, Receipt},
    model::{Body, Door, Durability, EntryId, MessageId, SessionId, Token},
    runtime::Env,
    store::{HistoryRange, Store, StoreResult, memory::Meddling},
};

type Code = Arc<dyn Fn(SimClient) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// What the clients of a simulation do; each is a process of its own.
#[derive(Clone, Default)]
pub struct Workload {
    clients: Vec<Code>,
}

/// A client's process in a simulation.
#[derive(Clone)]
pub struct SimClient {
    number: u16,
    client: Arc<Client<SimStore>>,
    env: Env,
    told: Arc<Mutex<Accepted>>,
}

/// What clients were told is accepted, in that order.
#[derive(Debug, Default)]
pub(super) struct Accepted {
    pub(super) acked: Vec<Acked>,
    pub(super) posted: Vec<Posted>,
}

/// A message of which a client was told that it is accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acked {
    /// Which client, from 0.
    pub client: u16,
    /// For whom.
    pub session: SessionId,
    /// What it is called.
    pub message: MessageId,
    /// What it holds.
    pub body: Body,
    /// What it had reached then.
    pub class: Durability,
    /// The reply that the client was told, if it was told one.
    pub entry: Option<EntryId>,
}

/// An entry of a plain door of which a client was told that it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posted {
    /// Which client, from 0.
    pub client: u16,
    /// At which door.
    pub door: Door,
    /// For whom.
    pub session: SessionId,
    /// What it holds.
    pub body: Body,
}

impl Workload {
    /// No clients.
    pub fn none() -> Self {
        Self::default()
    }

    /// One more client, which does this.
    pub fn client<F: Future<Output = ()> + Send + 'static>(
        mut self,
        code: impl Fn(SimClient) -> F + Send + Sync + 'static,
    ) -> Self {
        self.clients.push(Arc::new(move |client| Box::pin(code(client))));
        self
    }

    /// Four clients that send `messages` in all to `sessions` sessions of `agent`, by all doors: some wait for the
    /// reply, some give an `id`, some use a plain door.
    pub fn messages(agent: &str, sessions: u64, messages: u32) -> Self {
        const CLIENTS: u32 = 4;
        let (agent, mut workload) = (agent.to_owned(), Self::none());
        for client in 0..CLIENTS {
            let (agent, share) = (agent.clone(), messages / CLIENTS + u32::from(client < messages % CLIENTS));
            workload = workload.client(move |client| chatter(client, agent.clone(), sessions, share));
        }
        workload
    }

    pub(super) fn len(&self) -> u16 {
        u16::try_from(self.clients.len()).expect("fewer than 65,536 clients")
    }

    /// Starts all clients.
    pub(super) fn start(&self, world: &Arc<World>, seed: u64, told: &Arc<Mutex<Accepted>>) -> Vec<Running> {
        (0..self.len())
            .zip(&self.clients)
            .map(|(number, code)| {
                let (store, env) = process(world, Actor::Client(number), seed);
                let client = Arc::new(Client::new(store, env.clone()));
                code(SimClient { number, client, env, told: told.clone() })
            })
            .collect()
    }
}

/// A client's code under way.
pub(super) type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

impl SimClient {
    /// Which client it is, from 0.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// Its clock and randomness.
    pub fn env(&self) -> &Env {
        &self.env
    }

    /// Sends and asks with this one.
    pub fn client(&self) -> &Client<SimStore> {
        &self.client
    }

    /// How each worker, by number, is seen by others, if one that is out of reach for `tick` counts as down.
    pub fn members(&self, tick: Duration) -> Vec<Reach> {
        self.client.store().world.state().members(tick)
    }

    /// Who owns a session by the server's word, if somebody does: looked up from the side, and no step of the run.
    pub fn owner_of(&self, session: &SessionId) -> Option<Token> {
        self.client.store().world.state().owner_of(session)
    }

    /// Sends a message; what was accepted is remembered, and must have been answered at the end of the run.
    pub async fn send(&self, message: Outgoing) -> Result<Receipt, ClientError> {
        let (session, body) = (message.session().clone(), message.body().clone());
        let receipt = self.client.send(message).await?;
        self.accepted(session, receipt.message, body, receipt.class, None);
        Ok(receipt)
    }

    /// Sends text and waits for its reply, however long that takes; none if the agent had nothing to say.
    pub async fn ask(&self, session: SessionId, text: &str) -> Result<Option<Body>, ClientError> {
        self.ask_with(Outgoing::text(session, text)).await
    }

    /// The same with a message of any kind.
    pub async fn ask_with(&self, message: Outgoing) -> Result<Option<Body>, ClientError> {
        const LONG: Duration = Duration::from_secs(24 * 60 * 60);
        let (session, body) = (message.session().clone(), message.body().clone());
        let answer = self.client.ask(message, LONG).await?;
        self.accepted(session, answer.message, body, answer.class, answer.entry);
        Ok(answer.reply)
    }

    /// The plain door of this number among all there are, which begin again behind the last.
    pub fn door(&self, number: u64) -> Door {
        let doors: Vec<_> = self.client.store().partitions().doors().collect();
        doors[usize::try_from(number % doors.len() as u64).expect("a few doors")]
    }

    /// Adds text for a session at a plain door; what was accepted is remembered, and must be somewhere at the end of the run.
    pub async fn post(
        &self,
        door: Door,
        session: &SessionId,
        text: &str,
        id: Option<&str>,
    ) -> StoreResult<()> {
        let fields = [Some(("to", session.as_str())), Some(("body", text)), id.map(|id| ("id", id))];
        let bytes = |(name, value): (&str, &str)| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
        let fields: Vec<_> = fields.into_iter().flatten().map(bytes).collect();
        self.client.store().post(door, &fields).await?;
        let (client, session) = (self.number, session.clone());
        let posted = Posted { client, door, session, body: Body::text(text) };
        self.told.lock().expect("nobody panics with it").posted.push(posted);
        Ok(())
    }

    /// Changes what the server holds of a session by hand, as a person with access to it might.
    #[doc(hidden)]
    pub fn meddle(&self, session: &SessionId, how: Meddling) {
        let store = self.client.store().world.state().server.store().clone();
        store.meddle(session, how);
    }

    fn accepted(
        &self,
        session: SessionId,
        message: MessageId,
        body: Body,
        class: Durability,
        entry: Option<EntryId>,
    ) {
        let acked = Acked { client: self.number, session, message, body, class, entry };
        self.told.lock().expect("nobody panics with it").acked.push(acked);
    }
}

/// Sends `share` messages, one after the other.
async fn chatter(client: SimClient, agent: String, sessions: u64, share: u32) {
    for n in 0..share {
        client.env.sleep(Duration::from_micros(client.env.random_below(400_000))).await;
        let session: SessionId =
            format!("{agent}/{}", client.env.random_below(sessions)).parse().expect("a good name");
        let text = format!("{}.{n}", client.number);
        // What is refused or unknown is of no further interest: what was accepted counts.
        match client.env.random_below(10) {
            0..4 => _ = client.ask(session, &text).await,
            4..8 => {
                let id = client.client.new_id();
                _ = client.send(Outgoing::text(session, &text).id(id)).await;
            }
            8 => {
                _ = client.send(Outgoing::text(session.clone(), &text)).await;
                _ = client.client.history(&session, HistoryRange::Newest(0)).await;
            }
            _ => {
                let door = client.door(client.env.random_below(1 << 16));
                _ = client.post(door, &session, &text, None).await;
            }
        }
    }
}
