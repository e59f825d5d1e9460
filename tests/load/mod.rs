//! Those who send while servers come and go, and what they know for certain: a ledger outside the servers.
#![allow(dead_code, reason = "every test binary takes what it needs")]
#![allow(clippy::disallowed_methods, reason = "those who send are tasks beside what is tested, in real time")]

pub mod failovers;

use std::{
    collections::BTreeMap,
    fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tenure::{
    Env, SessionId,
    client::{Answer, Client, ClientError, Outgoing},
    model::EntryKind,
    store::{HistoryRange, RedisStore, Store, StoreError, redis::Options},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::support::{WorkerProcess, eventually};

/// How long anything may take on a machine that is busy with everything else.
pub const BOUND: Duration = Duration::from_secs(90);

/// The agents that a load is sent to, by class.
pub const MEMORY: &str = "plain";
pub const REPLICATED: &str = "safe";
pub const SYNCED: &str = "kept";

/// Turns of each session before and after a server is replaced.
pub const TURNS: usize = 10;

/// How long one try may take, and the pause before the next.
const TRY: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(20);

/// Between two messages of a session.
const THINK: Duration = Duration::from_millis(5);

/// Two workers that serve these agents, with these options.
pub fn workers(url: &str, agents: &[&str], options: &[&str]) -> ([WorkerProcess; 2], tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("agents.toml");
    let declared = agents
        .iter()
        .map(|agent| format!("[agents.{agent}]\ntype = \"echo\"\ndurability = \"{}\"\n", class_of(agent)));
    fs::write(&file, declared.collect::<String>()).unwrap();
    let options = [&["--agents", file.to_str().unwrap()], options].concat();
    ([0, 1].map(|_| WorkerProcess::start(url, &options)), folder)
}

fn class_of(agent: &str) -> &'static str {
    match agent {
        MEMORY => "memory",
        REPLICATED => "replicas:1",
        SYNCED => "fsync",
        other => panic!("{other} is no agent of a load"),
    }
}

/// Each session's messages, sent one after the other, each until it is answered.
pub struct Load {
    client: Client<RedisStore>,
    sessions: Vec<Arc<Talk>>,
    enough: CancellationToken,
    /// Nobody waits for an answer any more.
    abandoned: CancellationToken,
    talkers: TaskTracker,
}

/// What one session was sent.
struct Talk {
    session: SessionId,
    /// Texts whose turn was told.
    told: Mutex<Vec<Told>>,
    /// How often somebody was told that an outcome is not known.
    unknown: AtomicU64,
    /// How often somebody was told that there is no room, so that nothing was written.
    refused: AtomicU64,
}

/// A turn that was told.
#[derive(Debug, Clone)]
struct Told {
    text: String,
    answer: Answer,
}

/// What became of the turns that were told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Turns that were told.
    pub told: u64,
    /// Of those, the ones that are in no history.
    pub lost: u64,
    /// Messages with more than one turn, and turns that stand before one that was told earlier.
    pub twice: u64,
    /// How often somebody was told that an outcome is not known.
    pub unknown: u64,
    /// How often somebody was told that there is no room.
    pub refused: u64,
}

impl Load {
    /// Begins to send to `sessions` sessions of each of `agents`.
    pub async fn start(url: &str, agents: &[&str], sessions: usize) -> Self {
        let options = Options { timeout: TRY, ..Options::new(url) };
        let store = RedisStore::connect(options).await.expect("somebody is the primary");
        let client = Client::new(store, Env::system()).with_patience(TRY);
        let (enough, talkers) = (CancellationToken::new(), TaskTracker::new());
        let talk = |agent: &&str, n| Talk {
            session: format!("{agent}/{n}").parse().expect("a session"),
            told: Mutex::default(),
            unknown: AtomicU64::default(),
            refused: AtomicU64::default(),
        };
        let sessions = (0..sessions).flat_map(|n| agents.iter().map(move |agent| Arc::new(talk(agent, n))));
        let abandoned = CancellationToken::new();
        let load = Self { client, sessions: sessions.collect(), enough, abandoned, talkers };
        for talk in &load.sessions {
            let talking = talk.clone().go_on(load.client.clone(), load.enough.clone());
            load.talkers.spawn(load.abandoned.clone().run_until_cancelled_owned(talking));
        }
        load
    }

    /// Waits until each session of `agent` was told `more` turns from here on.
    pub async fn wait_for_more(&self, agent: &str, more: usize, bound: Duration) {
        let before: BTreeMap<_, _> =
            self.of(agent).map(|talk| (talk.session.clone(), talk.told().len())).collect();
        eventually(&format!("{agent} goes on"), bound, async || {
            self.of(agent).all(|talk| talk.told().len() >= before[&talk.session] + more)
        })
        .await;
    }

    /// Sends no more; returns when all that was sent is answered.
    pub async fn finish(&self, bound: Duration) {
        self.enough.cancel();
        self.talkers.close();
        tokio::time::timeout(bound, self.talkers.wait()).await.expect("all that was sent is answered");
    }

    /// Sends no more, and waits for nothing: what is not answered by now is told to nobody.
    pub async fn abandon(&self) {
        self.abandoned.cancel();
        self.talkers.close();
        self.talkers.wait().await;
    }

    /// How many turns of `agent` were told by now.
    pub fn told(&self, agent: &str) -> usize {
        self.of(agent).map(|talk| talk.told().len()).sum()
    }

    /// Waits until some session of `agent` was told, from here on, that an outcome is not known.
    pub async fn wait_for_unknown(&self, agent: &str, bound: Duration) {
        let count = || self.of(agent).map(|talk| talk.unknown.load(Ordering::Relaxed)).sum::<u64>();
        let before = count();
        eventually("somebody is told that an outcome is unknown", bound, async || count() > before).await;
    }

    /// Waits until each session of `agent` was told that there is no room.
    pub async fn wait_for_refusals(&self, agent: &str, bound: Duration) {
        let refused = |talk: &Arc<Talk>| talk.refused.load(Ordering::Relaxed) > 0;
        eventually("all are refused", bound, async || self.of(agent).all(refused)).await;
    }

    /// What became of the turns of `agent` that were told; after [`finish`](Self::finish) or [`abandon`](Self::abandon).
    pub async fn tally(&self, agent: &str) -> Tally {
        self.tally_at(self.client.store(), agent).await
    }

    /// The same by what another server has.
    pub async fn tally_at(&self, store: &RedisStore, agent: &str) -> Tally {
        let mut tally = Tally::default();
        for talk in self.of(agent) {
            talk.count(store, &mut tally).await;
        }
        tally
    }

    /// Whom it sends to.
    pub fn sessions(&self) -> impl Iterator<Item = &SessionId> {
        self.sessions.iter().map(|talk| &talk.session)
    }

    /// What sends.
    pub fn client(&self) -> &Client<RedisStore> {
        &self.client
    }

    fn of(&self, agent: &str) -> impl Iterator<Item = &Arc<Talk>> {
        self.sessions.iter().filter(move |talk| talk.session.agent().as_str() == agent)
    }
}

impl Talk {
    async fn go_on(self: Arc<Self>, client: Client<RedisStore>, enough: CancellationToken) {
        for n in 1.. {
            if enough.is_cancelled() {
                return;
            }
            let text = n.to_string();
            let answer = self.until_answered(&client, &text).await;
            self.told().push(Told { text, answer });
            tokio::time::sleep(THINK).await;
        }
    }

    async fn until_answered(&self, client: &Client<RedisStore>, text: &str) -> Answer {
        let id = format!("{}:{text}", self.session);
        loop {
            let id = id.parse().expect("short enough");
            match client.ask(Outgoing::text(self.session.clone(), text).id(id), TRY).await {
                Ok(answer) => return answer,
                Err(ClientError::Refused(why)) => panic!("{}: {}", self.session, why.sentence()),
                Err(ClientError::Store(StoreError::OutOfMemory)) => {
                    self.refused.fetch_add(1, Ordering::Relaxed);
                }
                Err(_) => _ = self.unknown.fetch_add(1, Ordering::Relaxed),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Holds what was told against the session's history.
    async fn count(&self, store: &RedisStore, tally: &mut Tally) {
        let history = store.history(&self.session, HistoryRange::Newest(0), Duration::ZERO);
        let history = history.await.expect("the server answers");
        let numbered = history.iter().zip(1..).all(|(entry, seq)| entry.id.seq == seq);
        assert!(numbered, "{}: entries are not numbered from 1 without a gap", self.session);
        let said = |kind| history.iter().filter(move |entry| entry.kind == kind);
        let asked: Vec<u64> = said(EntryKind::User)
            .map(|entry| entry.body.as_text().expect("a text").parse().expect("a number"))
            .collect();
        let answered = said(EntryKind::Assistant).count();
        assert_eq!(asked.len(), answered, "{}: each message has one answer", self.session);
        tally.twice += asked.windows(2).filter(|pair| pair[0] >= pair[1]).count() as u64;
        let told = self.told();
        tally.told += told.len() as u64;
        tally.unknown += self.unknown.load(Ordering::Relaxed);
        tally.refused += self.refused.load(Ordering::Relaxed);
        for Told { text, answer } in told.iter() {
            let there = said(EntryKind::Assistant)
                .any(|entry| Some(entry.id) == answer.entry && entry.body.as_text() == Some(text.clone()));
            tally.lost += u64::from(!there);
        }
    }

    fn told(&self) -> std::sync::MutexGuard<'_, Vec<Told>> {
        self.told.lock().expect("nobody panics while writing")
    }
}
