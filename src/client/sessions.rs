//! Looking at sessions: one, or all of a namespace page by page.

use std::time::Duration;

use futures_util::future::try_join_all;

use super::{Client, ClientError, ClientResult, Pages, SessionView};
use crate::{
    model::{Pool, SessionId, SessionRecord, WorkerId},
    store::{Delete, FirstMessage, Free, Look, Member, Proceed, Store, StoreResult},
};

/// How often, and after which pauses, a quarantined session is looked at that its owner has not given back yet.
const OWNED_LOOKS: usize = 20;
const OWNED_PAUSE: Duration = Duration::from_millis(100);

/// How many pools a session is followed through.
const POOLS_TRIED: usize = 8;

impl<S: Store> Client<S> {
    /// One session, and why it is as it is.
    pub async fn session(&self, session: &SessionId) -> ClientResult<SessionView> {
        let members = self.workers().await?;
        let seen = self.view(session.clone(), &members).await.map_err(ClientError::reading)?;
        seen.ok_or_else(|| ClientError::NoSession(session.clone()))
    }

    /// All sessions, page by page: by partition, then by id.
    pub async fn sessions(&self) -> ClientResult<Sessions<'_, S>> {
        self.sessions_from(Bookmark::default()).await
    }

    /// The sessions from a place on that an earlier walk had reached: for one who looks at some now and more later.
    pub async fn sessions_from(
        &self,
        Bookmark { partition, after }: Bookmark,
    ) -> ClientResult<Sessions<'_, S>> {
        let members = self.workers().await?;
        let pages = Pages { next: partition, ..Pages::over(self.store.partitions()) };
        Ok(Sessions { client: self, members, pages, after })
    }

    /// Deletes a session with all that belongs to it; mail still waiting goes to `dead`.
    pub async fn delete(&self, session: &SessionId) -> ClientResult<()> {
        let (mut pool, mut owner) = self.whereabouts(session).await?;
        loop {
            let deleted = self.insist_writing(|| self.store.delete(session, &pool, owner.as_ref())).await;
            match deleted.map_err(ClientError::writing)? {
                // Absent: a first call did it, whose answer was lost.
                Delete::Deleted | Delete::Absent => return Ok(()),
                Delete::More => {
                    if let Ok(now) = self.whereabouts(session).await {
                        (pool, owner) = now;
                    }
                }
            }
        }
    }

    /// Lets a quarantined session go on, as if nothing had happened to it; with or without its first message, which
    /// else goes to `dead`. A repeat is [`ClientError::NotQuarantined`].
    pub async fn unquarantine(&self, session: &SessionId, first: FirstMessage) -> ClientResult<()> {
        let (mut pool, _) = self.whereabouts(session).await?;
        let mut owned = None;
        for _ in 0..OWNED_LOOKS {
            let freed = self.insist_writing(|| self.store.free(session, &pool, first)).await;
            match freed.map_err(ClientError::writing)? {
                Free::Freed => return Ok(()),
                Free::NotQuarantined => return Err(ClientError::NotQuarantined(session.clone())),
                Free::Absent => return Err(ClientError::NoSession(session.clone())),
                Free::OtherPool(right) => pool = right,
                Free::Owned(owner) => {
                    owned = Some(owner);
                    self.env.sleep(OWNED_PAUSE).await;
                }
            }
        }
        Err(owned.map_or_else(
            || ClientError::Restless(session.clone()),
            |owner| ClientError::StillOwned { session: session.clone(), owner },
        ))
    }

    /// Lets the unfinished turn of a suspended session go on, with no message. A repeat is
    /// [`ClientError::NotSuspended`], and changes nothing.
    pub async fn proceed(&self, session: &SessionId) -> ClientResult<()> {
        let (mut pool, _) = self.whereabouts(session).await?;
        for _ in 0..POOLS_TRIED {
            let going = self.insist_writing(|| self.store.proceed(session, &pool)).await;
            match going.map_err(ClientError::writing)? {
                Proceed::Going => return Ok(()),
                Proceed::Absent => return Err(ClientError::NoSession(session.clone())),
                Proceed::OtherPool(right) => pool = right,
                Proceed::NotSuspended => {
                    let status = self.session(session).await?.status;
                    return Err(ClientError::NotSuspended { session: session.clone(), status });
                }
            }
        }
        Err(ClientError::Restless(session.clone()))
    }

    /// The pool and the owner of a session, as `delete` wants them named.
    async fn whereabouts(&self, session: &SessionId) -> ClientResult<(Pool, Option<WorkerId>)> {
        match self.insist(|| self.store.look(session)).await.map_err(ClientError::reading)? {
            Look::Here(sight) => Ok(place_of(sight.record)),
            Look::Overwritten { record: Some(record), .. } => Ok(place_of(*record)),
            // As likely as not it is where new ones belong.
            Look::Unreadable(_) | Look::Overwritten { record: None, .. } => {
                Ok((self.served(&session.agent()).await.unwrap_or_default().0, None))
            }
            Look::Absent => Err(ClientError::NoSession(session.clone())),
        }
    }

    /// Whether there is such a session; an error if not.
    pub(super) async fn expect(&self, session: &SessionId) -> ClientResult<()> {
        self.whereabouts(session).await.map(drop)
    }

    async fn view(&self, session: SessionId, members: &[Member]) -> StoreResult<Option<SessionView>> {
        Ok(match self.insist(|| self.store.look(&session)).await? {
            Look::Here(sight) => Some(SessionView::of(session, *sight, members)),
            Look::Unreadable(why) => Some(SessionView::unreadable(session, &why)),
            Look::Overwritten { key, record } => {
                Some(SessionView::overwritten(session, &key, record.map(|record| *record)))
            }
            Look::Absent => None,
        })
    }
}

/// The pool and the owner of a session.
fn place_of(record: SessionRecord) -> (Pool, Option<WorkerId>) {
    (record.pool, record.owner.map(|token| token.worker))
}

/// How far a walk over all sessions has come; the default is its beginning.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bookmark {
    partition: u16,
    after: Option<SessionId>,
}

/// Sessions, page by page.
#[derive(Debug)]
pub struct Sessions<'c, S> {
    client: &'c Client<S>,
    members: Vec<Member>,
    pages: Pages,
    after: Option<SessionId>,
}

impl<S: Store> Sessions<'_, S> {
    /// Where the next page begins.
    pub fn bookmark(&self) -> Bookmark {
        Bookmark { partition: self.pages.next, after: self.after.clone() }
    }

    /// The next sessions, at most 100; none at the end. What was deleted in the meantime is left out.
    pub async fn next_page(&mut self) -> ClientResult<Option<Vec<SessionView>>> {
        while let Some(partition) = self.pages.partition() {
            let store = &self.client.store;
            let after = self.after.as_ref();
            let ids = self.client.insist(|| store.sessions(partition, after, Pages::LENGTH)).await;
            let ids = ids.map_err(ClientError::reading)?;
            let Some(last) = ids.last() else {
                self.after = None;
                self.pages.advance();
                continue;
            };
            self.after = Some(last.clone());
            let views = ids.into_iter().map(|id| self.client.view(id, &self.members));
            let views = try_join_all(views).await.map_err(ClientError::reading)?;
            return Ok(Some(views.into_iter().flatten().collect()));
        }
        Ok(None)
    }
}
