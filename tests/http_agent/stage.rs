//! A worker with one http agent, `web`, on a store in memory, in real time: sockets know no other.

use std::{sync::Arc, time::Duration};

use tenure::{
    Env, Worker, WorkerHandle,
    agents::Http,
    client::{Answer, Client, ClientError, ClientResult, Outgoing},
    model::{Backoff, Entry, Settings, TurnPolicy},
    store::{HistoryRange, MemoryStore},
};

use crate::support::http::HttpServer;

/// Longer than anything here takes.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub struct Stage {
    pub client: Client<MemoryStore>,
    pub worker: WorkerHandle,
}

impl Stage {
    /// The agent at `server`, tried three times at most, one right after the other.
    pub async fn with(server: &HttpServer) -> Self {
        Self::of(Http::new(&server.url(), []).unwrap(), |policy| policy).await
    }

    pub async fn of(agent: Http, change: impl FnOnce(TurnPolicy) -> TurnPolicy) -> Self {
        let env = Env::system();
        let store = MemoryStore::new("test".parse().unwrap(), Settings::default(), Arc::new(env.clone()));
        let backoff = Backoff { first: Duration::from_millis(1), max: Duration::from_millis(1) };
        let policy = change(TurnPolicy { tries: 3, backoff, timeout: PATIENCE, ..TurnPolicy::default() });
        let worker = Worker::builder(store.clone()).agent_with("web", agent, policy).start().await.unwrap();
        Self { client: Client::new(store, env), worker }
    }

    pub async fn ask(&self, session: &str, text: &str) -> ClientResult<Answer> {
        self.client.ask(Outgoing::text(session.parse().unwrap(), text), PATIENCE).await
    }

    /// The text of the reply.
    pub async fn hear(&self, session: &str, text: &str) -> String {
        let answer = self.ask(session, text).await.unwrap_or_else(|err| panic!("{session}: {err:?}"));
        answer.reply.and_then(|body| body.as_text()).unwrap_or_default()
    }

    /// The error that ended the message: its reason and its sentence.
    pub async fn fail(&self, session: &str, text: &str) -> (String, String) {
        match self.ask(session, text).await {
            Err(ClientError::Failed { error, .. }) => (error.reason, error.message),
            other => panic!("{session}: {other:?}"),
        }
    }

    pub async fn history(&self, session: &str) -> Vec<Entry> {
        self.client.history(&session.parse().unwrap(), HistoryRange::Newest(0)).await.unwrap()
    }
}
