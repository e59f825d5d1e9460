//! Taking from the dead what they held, so that it can be claimed by others.
//!
//! Whoever knows that somebody is buried may reap, several at once too: each step checks for itself.

use std::collections::BTreeMap;

use futures_util::{StreamExt, future::join_all, stream};
use tracing::debug;

use crate::{
    model::{AgentDeclaration, AgentName, Partition, Pool, Resume, SessionId, WorkerId},
    store::{Reap, Store, StoreError, StoreResult},
};

/// How many sessions of one dead worker are looked for at once in a partition.
const PAGE: usize = 1_000;

/// How many are being reaped at any time: enough to keep a server busy, and little for a lease to queue behind.
const AT_ONCE: usize = 100;

/// What the reaper must know to begin.
pub(super) struct Reaper<'s, S> {
    pub(super) store: &'s S,
    /// How agents are served, as far as known.
    pub(super) agents: &'s BTreeMap<AgentName, AgentDeclaration>,
    /// The pool of sessions whose agent is not among them.
    pub(super) pool: &'s Pool,
}

/// From which end of the list of what somebody held: two who begin at both meet in the middle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum From {
    Front,
    Back,
}

/// What reaping somebody came to.
#[derive(Debug, Default)]
pub(super) struct Reaped {
    /// How many sessions were taken.
    pub(super) sessions: usize,
    /// Whether something is left that may be taken if it is tried again.
    pub(super) again: bool,
    /// Whether anything left the list of what is held.
    moved: bool,
}

impl<S: Store> Reaper<'_, S> {
    /// Takes all that `worker` holds in `partitions`: first what is to be resumed with no request.
    pub(super) async fn take_all(&self, partitions: &[Partition], worker: &WorkerId, from: From) -> Reaped {
        let mut reaped = Reaped::default();
        let mut left = partitions.to_vec();
        while !left.is_empty() {
            let (held, unseen) = self.held(&left, worker).await;
            reaped.again |= unseen;
            let taken = self.take_each(self.in_order(&held, from), worker).await;
            reaped.sessions += taken.sessions;
            reaped.again |= taken.again;
            // A page that was full may have more behind it; one that could not be reaped is no better next time, and one
            // of which nothing went (all that it holds is unreadable) would be the same again for ever.
            left = match taken.again || !taken.moved {
                true => Vec::new(),
                false => {
                    held.into_iter().filter(|(_, page)| page.len() == PAGE).map(|(one, _)| one).collect()
                }
            };
        }
        reaped
    }

    /// Takes one session; asks again where its pool is another than was thought.
    pub(super) async fn take(&self, session: &SessionId, worker: &WorkerId) -> StoreResult<Reap> {
        match self.store.reap(session, worker, &self.pool_of(session)).await? {
            Reap::OtherPool(pool) => self.store.reap(session, worker, &pool).await,
            reaped => Ok(reaped),
        }
    }

    /// A page of what is held in each partition, and whether some could not be seen.
    async fn held(
        &self,
        partitions: &[Partition],
        worker: &WorkerId,
    ) -> (BTreeMap<Partition, Vec<SessionId>>, bool) {
        let looks = partitions.iter().map(|partition| self.store.held(*partition, worker, PAGE));
        let (mut held, mut unseen) = (BTreeMap::new(), false);
        for (partition, look) in partitions.iter().zip(join_all(looks).await) {
            match look {
                Ok(sessions) => _ = held.insert(*partition, sessions),
                Err(err) => {
                    debug!(%partition, %worker, error = %err, "cannot see what is held");
                    unseen = true;
                }
            }
        }
        (held, unseen)
    }

    fn in_order(&self, held: &BTreeMap<Partition, Vec<SessionId>>, from: From) -> Vec<SessionId> {
        let (mut eager, mut lazy): (Vec<_>, Vec<_>) =
            held.values().flatten().cloned().partition(|session| self.is_eager(session));
        if from == From::Back {
            eager.reverse();
            lazy.reverse();
        }
        eager.append(&mut lazy);
        eager
    }

    async fn take_each(&self, sessions: Vec<SessionId>, worker: &WorkerId) -> Reaped {
        let takes = sessions.into_iter().map(|session| async move {
            let answer = self.take(&session, worker).await;
            (session, answer)
        });
        let mut takes = stream::iter(takes).buffer_unordered(AT_ONCE);
        let mut reaped = Reaped::default();
        while let Some((session, answer)) = takes.next().await {
            match answer {
                Ok(Reap::Reaped { .. }) => (reaped.sessions, reaped.moved) = (reaped.sessions + 1, true),
                Ok(Reap::NotTheirs) => reaped.moved = true,
                // Asking ten times a second makes it no more readable.
                Err(err @ StoreError::Unreadable { .. }) => {
                    debug!(%session, %worker, error = %err, "left for a newer version to reap");
                }
                answer => {
                    debug!(%session, %worker, ?answer, "not reaped");
                    reaped.again = true;
                }
            }
        }
        reaped
    }

    /// The pool that a session most likely belongs to; the store says if that is wrong.
    pub(super) fn pool_of(&self, session: &SessionId) -> Pool {
        let declared = self.agents.get(&session.agent()).map(|how| &how.pool);
        declared.unwrap_or(self.pool).clone()
    }

    fn is_eager(&self, session: &SessionId) -> bool {
        self.agents.get(&session.agent()).is_some_and(|how| how.resume == Resume::Eager)
    }
}
