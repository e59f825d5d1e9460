//! Sessions by status, of a sample: some are looked at each time, in turn, and what was seen last counts.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tenure::{
    client::{Bookmark, Client, ClientResult, SessionView},
    model::{AgentName, Pool, SessionId, Status},
    store::Store,
};

/// How many sessions a sample holds.
const SIZE: usize = 1_000;

/// How many are looked at each time, or a page more.
const AT_ONCE: usize = 50;

/// What was seen of some sessions.
#[derive(Debug, Default)]
pub(super) struct Sample {
    sessions: BTreeMap<SessionId, Sight>,
    /// In the order in which they were looked at.
    order: VecDeque<(SessionId, u64)>,
    bookmark: Bookmark,
    /// How often the walk has begun.
    walk: u64,
}

#[derive(Debug)]
struct Sight {
    status: Status,
    pool: Option<Pool>,
    walk: u64,
}

impl Sample {
    /// Looks at the next sessions of the walk; from the beginning again after the last.
    pub(super) async fn look<S: Store>(&mut self, client: &Client<S>) -> ClientResult<()> {
        let mut pages = client.sessions_from(self.bookmark.clone()).await?;
        let mut looked = 0;
        while looked < AT_ONCE {
            let Some(page) = pages.next_page().await? else {
                self.begin_again();
                return Ok(());
            };
            looked += page.len();
            self.bookmark = pages.bookmark();
            page.into_iter().for_each(|view| self.saw(view));
        }
        Ok(())
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.sessions.len()
    }

    pub(super) fn by_status(&self) -> BTreeMap<Status, usize> {
        let mut counts = BTreeMap::new();
        for sight in self.sessions.values() {
            *counts.entry(sight.status).or_default() += 1;
        }
        counts
    }

    /// Where sessions wait: perhaps in pools, or for agents, that nobody declares or serves any more.
    pub(super) fn waiting(&self) -> BTreeSet<(Pool, AgentName)> {
        let waiting = self.sessions.iter().filter(|(_, sight)| sight.status == Status::Waiting);
        waiting.filter_map(|(session, sight)| Some((sight.pool.clone()?, session.agent()))).collect()
    }

    fn saw(&mut self, view: SessionView) {
        let SessionView { session, status, pool, .. } = view;
        self.order.push_back((session.clone(), self.walk));
        self.sessions.insert(session, Sight { status, pool, walk: self.walk });
        while self.sessions.len() > SIZE {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        let Some((session, walk)) = self.order.pop_front() else { return };
        // Unless it was looked at again since.
        if self.sessions.get(&session).is_some_and(|sight| sight.walk == walk) {
            self.sessions.remove(&session);
        }
    }

    /// A whole walk is over: what it did not meet is not there any more.
    fn begin_again(&mut self) {
        while self.order.front().is_some_and(|(_, walk)| *walk < self.walk) {
            self.forget_first();
        }
        self.walk += 1;
        self.bookmark = Bookmark::default();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tenure::{Env, client::Outgoing, model::Settings, store::MemoryStore};

    use super::*;

    fn client() -> Client<MemoryStore> {
        let env = Env::seeded(1);
        let store = MemoryStore::new("test".parse().unwrap(), Settings::default(), Arc::new(env.clone()));
        Client::new(store, env)
    }

    async fn send(client: &Client<MemoryStore>, session: String) {
        client.send(Outgoing::text(session.parse().unwrap(), "x")).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_small_namespace_is_seen_whole_and_what_was_deleted_is_forgotten() {
        let (client, mut sample) = (client(), Sample::default());
        for n in 0..120 {
            send(&client, format!("echo/{n}")).await;
        }
        for _ in 0..4 {
            sample.look(&client).await.unwrap();
        }
        assert_eq!(sample.by_status(), BTreeMap::from([(Status::Waiting, 120)]));
        assert_eq!(sample.waiting().len(), 1);
        for n in 0..20 {
            client.delete(&format!("echo/{n}").parse().unwrap()).await.unwrap();
        }
        for _ in 0..8 {
            sample.look(&client).await.unwrap();
        }
        assert_eq!(sample.len(), 100);
        assert!(sample.order.len() < 300, "{}", sample.order.len());
    }

    #[tokio::test(start_paused = true)]
    async fn of_many_sessions_the_last_thousand_count() {
        let (client, mut sample) = (client(), Sample::default());
        for n in 0..1_500 {
            send(&client, format!("echo/{n}")).await;
        }
        for _ in 0..100 {
            sample.look(&client).await.unwrap();
            assert!(sample.len() <= SIZE && sample.order.len() <= 2 * SIZE);
        }
        assert_eq!(sample.len(), SIZE);
    }
}
