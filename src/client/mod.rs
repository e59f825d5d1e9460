//! For programs that talk to sessions: send, ask, read the history, look after the fleet.
//!
//! A client holds nothing that matters: it may be made anew for every call, and any number of
//! them, on any machine, see the same.

mod dead;
mod error;
mod send;
mod sessions;
mod view;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

pub use self::{
    dead::{DeadId, DeadLetters},
    error::ClientError,
    send::{Answer, Outgoing, Receipt},
    sessions::{Bookmark, Sessions},
    view::SessionView,
};
use crate::{
    model::{
        AgentDeclaration, AgentName, Durability, Entry, EntryId, Loss, Millis, Partition, Partitions, Pool,
        SessionId, WorkerId,
    },
    runtime::{Env, Moment},
    store::{Agents, HistoryRange, Member, Store, StoreError, StoreResult},
};

/// The answer of one call.
pub type ClientResult<T> = Result<T, ClientError>;

/// A door to the sessions of one namespace. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client<S> {
    store: S,
    env: Env,
    patience: Duration,
    declared: Arc<Mutex<Option<Declared>>>,
}

/// What is known of the agents, and since when.
#[derive(Debug)]
struct Declared {
    at: Moment,
    agents: Agents,
}

impl<S: Store> Client<S> {
    /// How often a session is followed to another pool in one call.
    const MOST_POOLS: usize = 5;
    /// How many entries are read at once while following.
    const FOLLOW_PAGE: usize = 500;
    /// How long one look at a history waits for something new.
    const FOLLOW_WAIT: Duration = Duration::from_secs(2);
    /// How long what is known of the agents is good for.
    const DECLARED_FOR: Duration = Duration::from_secs(1);
    /// How long one look for a reply waits.
    const LONGEST_LOOK: Duration = Duration::from_secs(10);
    /// Between two tries to get an answer.
    const PAUSE: Duration = Duration::from_millis(50);

    /// A client of `store`, which takes time and randomness from `env`.
    pub fn new(store: S, env: Env) -> Self {
        Self { store, env, patience: Duration::from_secs(5), declared: Arc::default() }
    }

    /// For how long a call that may be repeated is, while the server gives no answer; 5 s if not set.
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// What it works on.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// The workers that are there, by name.
    pub async fn workers(&self) -> ClientResult<Vec<Member>> {
        let mut members = self.insist(|| self.store.members()).await.map_err(ClientError::reading)?;
        members.sort_by(|one, other| one.worker.cmp(&other.worker));
        Ok(members)
    }

    /// Tells `worker` to hand off everything and end, as SIGTERM does; whether it heard. A repeat changes nothing.
    pub async fn drain(&self, worker: &WorkerId) -> ClientResult<bool> {
        self.insist(|| self.store.tell_to_drain(worker)).await.map_err(ClientError::reading)
    }

    /// The agents that were ever served, and how, as the last worker to start declared them.
    ///
    /// Those of which this version cannot read how are left out; to send to one is refused.
    pub async fn agents(&self) -> ClientResult<BTreeMap<AgentName, AgentDeclaration>> {
        Ok(self.declared_agents().await?.known)
    }

    async fn declared_agents(&self) -> ClientResult<Agents> {
        self.insist(|| self.store.agents()).await.map_err(ClientError::reading)
    }

    /// Part of a session's history, oldest first.
    pub async fn history(&self, session: &SessionId, range: HistoryRange) -> ClientResult<Vec<Entry>> {
        let entries = self.insist(|| self.store.history(session, range, Duration::ZERO)).await;
        let entries = entries.map_err(ClientError::reading)?;
        if entries.is_empty() {
            self.expect(session).await?;
        }
        Ok(entries)
    }

    /// What its servers lost of a session, as far as its newest 1,000 entries tell; when that was noticed.
    pub async fn losses(&self, session: &SessionId) -> ClientResult<Vec<(Millis, Loss)>> {
        let read = || self.store.history(session, HistoryRange::Newest(1_000), Duration::ZERO);
        let entries = self.insist(read).await.map_err(ClientError::reading)?;
        Ok(entries.iter().filter_map(|entry| Some((entry.time, Loss::in_entry(entry)?))).collect())
    }

    /// What is added to a session's history after `after` (all of it if none), as it comes.
    pub fn follow(&self, session: SessionId, after: Option<EntryId>) -> Follow<'_, S> {
        Follow { client: self, session, after }
    }

    /// The pool whose workers serve `agent`, where new sessions of it belong, and the class that it declares.
    ///
    /// Read once a second at most. An old answer does no harm: a session that is there tells its
    /// own pool, and a new one is moved where it belongs.
    async fn served(&self, agent: &AgentName) -> ClientResult<(Pool, Durability)> {
        let now = self.env.now();
        if let Some(known) = self.known(agent, now) {
            return Ok(known);
        }
        let agents = self.declared_agents().await?;
        agents.of(agent).map_err(ClientError::reading)?;
        *self.declared.lock().expect("nobody panics while looking") = Some(Declared { at: now, agents });
        Ok(self.known(agent, now).unwrap_or_default())
    }

    fn known(&self, agent: &AgentName, now: Moment) -> Option<(Pool, Durability)> {
        let declared = self.declared.lock().expect("nobody panics while looking");
        let Declared { at, agents } = declared.as_ref()?;
        let known = agents.known.get(agent).filter(|_| now.since(*at) < Self::DECLARED_FOR);
        known.map(|how| (how.pool.clone(), how.durability))
    }

    /// Repeats what may be repeated while there is no answer, or a server that is just back gives none yet, until patience is over.
    async fn insist<T, F: Future<Output = StoreResult<T>>>(&self, call: impl Fn() -> F) -> StoreResult<T> {
        let until = self.env.now().plus(self.patience);
        loop {
            match call().await {
                Err(err) if err.passes() && self.env.now().plus(Self::PAUSE) < until => {
                    self.env.sleep(Self::PAUSE).await;
                }
                outcome => return outcome,
            }
        }
    }

    /// The same for a write. What an earlier try may have done is not undone by what a later one is told: that is no answer either.
    async fn insist_writing<T, F: Future<Output = StoreResult<T>>>(
        &self,
        call: impl Fn() -> F,
    ) -> StoreResult<T> {
        let doubt = Mutex::new(None);
        let noted = async || {
            let outcome = call().await;
            if let Err(StoreError::Unavailable(cause)) = &outcome {
                *doubt.lock().expect("nobody panics while noting") = Some(cause.to_string());
            }
            outcome
        };
        let outcome = self.insist(noted).await;
        match (outcome, doubt.into_inner().expect("nobody panics while noting")) {
            (Err(err), Some(earlier)) if !err.may_have_happened() => {
                Err(StoreError::Unavailable(format!("{earlier}; asked again, {err}").into()))
            }
            (outcome, _) => outcome,
        }
    }
}

/// A history as it grows.
#[derive(Debug)]
pub struct Follow<'c, S> {
    client: &'c Client<S>,
    session: SessionId,
    after: Option<EntryId>,
}

impl<S: Store> Follow<'_, S> {
    /// The next entries, in order; waits for the first as long as it takes.
    pub async fn next(&mut self) -> ClientResult<Vec<Entry>> {
        loop {
            let entries = self.look().await?;
            if !entries.is_empty() {
                return Ok(entries);
            }
        }
    }

    /// The next entries, in order; none if there were none for two seconds. After an error the next look
    /// goes on where this one began.
    pub async fn look(&mut self) -> ClientResult<Vec<Entry>> {
        let range = HistoryRange::After(self.after, Client::<S>::FOLLOW_PAGE);
        let wait = Client::<S>::FOLLOW_WAIT;
        let store = &self.client.store;
        let entries = self.client.insist(|| store.history(&self.session, range, wait)).await;
        let entries = entries.map_err(ClientError::reading)?;
        self.after = entries.last().map(|entry| entry.id).or(self.after);
        Ok(entries)
    }
}

/// Goes over a namespace's partitions, one after the other.
#[derive(Debug)]
struct Pages {
    next: u16,
    count: u16,
}

impl Pages {
    /// Items a page has at most.
    const LENGTH: usize = 100;

    fn over(partitions: &Partitions) -> Self {
        Self { next: 0, count: partitions.count() }
    }

    /// Where the walk stands; none at the end.
    fn partition(&self) -> Option<Partition> {
        (self.next < self.count).then_some(Partition(self.next))
    }

    fn advance(&mut self) {
        self.next += 1;
    }
}
