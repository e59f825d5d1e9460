//! A small fleet on one memory store, and what its tests ask of it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tenure::{
    Agent, AgentError, Body, Env, Home, Message, Reply, SessionId, StartError, Turn, Worker, WorkerHandle,
    agents::Echo,
    model::{Entry, Envelope, NewMessage, Pool, ReplyTo, Settings, TurnPolicy, WorkerConfig},
    store::{HistoryRange, Look, MemoryStore, Sent, Sight, Store},
};

/// A store, and the environment that its workers and senders draw from.
pub struct Fleet {
    pub store: MemoryStore,
    pub env: Env,
}

impl Fleet {
    pub fn new(seed: u64) -> Self {
        let env = Env::seeded(seed);
        let store = MemoryStore::new("test".parse().unwrap(), Settings::default(), Arc::new(env.clone()));
        Self { store, env }
    }

    pub async fn worker(&self, name: &str) -> WorkerHandle {
        self.worker_with(name, |config| config).await
    }

    pub async fn worker_with(
        &self,
        name: &str,
        change: impl FnOnce(WorkerConfig) -> WorkerConfig,
    ) -> WorkerHandle {
        let config = change(WorkerConfig::named(name.parse().unwrap()));
        self.start(self.store.clone(), config, Home::Own).await.unwrap()
    }

    /// A worker of a pool to whom new sessions belong in `home`; perhaps why it does not start.
    pub async fn worker_of(&self, name: &str, pool: &str, home: Home) -> Result<WorkerHandle, StartError> {
        let config =
            WorkerConfig { pool: pool.parse().unwrap(), ..WorkerConfig::named(name.parse().unwrap()) };
        self.start(self.store.clone(), config, home).await
    }

    /// A worker that reaches this fleet's store by `store`.
    pub async fn start(
        &self,
        store: impl Store,
        config: WorkerConfig,
        home: Home,
    ) -> Result<WorkerHandle, StartError> {
        Worker::builder(store)
            .env(self.env.fork())
            .config(config)
            .agent_in(home.clone(), "echo", Echo, Echo.policy())
            .agent_in(home.clone(), "count", Count, Count.policy())
            .agent_in(home.clone(), "moody", Moody::default(), Moody::default().policy())
            .agent_in(home, "slow", Slow, Slow.policy())
            .start()
            .await
    }

    pub fn message(&self, session: &str, text: &str) -> NewMessage {
        NewMessage {
            session: session.parse().unwrap(),
            message: self.env.message_id(),
            id: None,
            reply_to: None,
            body: Body::text(text),
            group: None,
            resume: None,
            pool: Pool::default(),
            durability: Default::default(),
            class: Default::default(),
        }
    }

    pub async fn send(&self, session: &str, text: &str) {
        let sent = self.store.send(&self.message(session, text)).await.unwrap();
        assert!(matches!(sent, Sent::Accepted { .. }), "{sent:?}");
    }

    /// Sends, and waits for the reply; panics after a virtual hour.
    pub async fn ask(&self, session: &str, text: &str) -> Envelope {
        let key: ReplyTo = format!("reply:{}", self.env.uuid()).parse().unwrap();
        let message = NewMessage { reply_to: Some(key.clone()), ..self.message(session, text) };
        self.store.send(&message).await.unwrap();
        self.reply(&key).await
    }

    pub async fn reply(&self, key: &ReplyTo) -> Envelope {
        let reply = self.store.take_reply(key, Duration::from_secs(3600)).await.unwrap();
        serde_json::from_str(&reply.expect("a reply within an hour")).unwrap()
    }

    pub async fn ask_text(&self, session: &str, text: &str) -> String {
        let envelope = self.ask(session, text).await;
        envelope
            .reply
            .flatten()
            .and_then(|body| body.as_text())
            .unwrap_or_else(|| format!("{:?}", envelope.error))
    }

    pub async fn history(&self, session: &str) -> Vec<Entry> {
        let session: SessionId = session.parse().unwrap();
        self.store.history(&session, HistoryRange::Newest(0), Duration::ZERO).await.unwrap()
    }

    pub async fn sight(&self, session: &str) -> Sight {
        match self.store.look(&session.parse().unwrap()).await.unwrap() {
            Look::Here(sight) => *sight,
            other => panic!("{session}: {other:?}"),
        }
    }

    /// Waits for a condition, looking every virtual 10 ms, at most `limit`; how long it took.
    pub async fn until<C: AsyncFnMut() -> bool>(&self, limit: Duration, mut holds: C) -> Duration {
        let start = self.env.now();
        while !holds().await {
            let waited = self.env.now().since(start);
            assert!(waited < limit, "not within {limit:?}");
            self.env.sleep(Duration::from_millis(10)).await;
        }
        self.env.now().since(start)
    }

    /// All messages in order of the `user` entries of a session.
    pub async fn texts(&self, session: &str) -> Vec<String> {
        let entries = self.history(session).await;
        let user = entries.iter().filter(|entry| entry.kind.as_str() == "user");
        user.filter_map(|entry| entry.body.as_text()).collect()
    }
}

/// Counts its turns, in its state.
pub struct Count;

impl Agent for Count {
    type State = u64;

    async fn turn(&self, cx: &mut Turn<u64>, _: Message) -> Result<Reply, AgentError> {
        *cx.state_mut() += 1;
        Ok(Reply::text(cx.state().to_string()))
    }
}

/// Does as it is told: `panic`, `fail`, `never`, `fail-once`; else it echoes.
#[derive(Default)]
pub struct Moody(AtomicUsize);

impl Agent for Moody {
    type State = String;

    fn policy(&self) -> TurnPolicy {
        TurnPolicy { tries: 3, timeout: Duration::from_secs(5), ..TurnPolicy::default() }
    }

    async fn turn(&self, cx: &mut Turn<String>, message: Message) -> Result<Reply, AgentError> {
        let text = message.body.as_text().unwrap_or_default();
        *cx.state_mut() = format!("began {text}");
        self.0.fetch_add(1, Ordering::Relaxed);
        match text.as_str() {
            "panic" => panic!("told to"),
            "fail" => Err(AgentError::new("told to fail")),
            "refuse" => Err(AgentError::permanent("told to refuse")),
            "hang" => std::future::pending().await,
            "fail once" if cx.attempt() == 1 => Err(AgentError::new("told to fail once")),
            _ => Ok(Reply::body(message.body)),
        }
    }
}

/// Takes a second for each turn.
pub struct Slow;

impl Agent for Slow {
    type State = ();

    async fn turn(&self, cx: &mut Turn<()>, message: Message) -> Result<Reply, AgentError> {
        cx.sleep(Duration::from_secs(1)).await;
        Ok(Reply::body(message.body))
    }
}
