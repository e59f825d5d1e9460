//! A call with all its arguments, and what a store says to it.

use std::{fmt::Debug, time::Duration};

use tenure::{
    model::{Door, Lease, MessageId, NewMessage, Partition, Pool, ReplyTo, SessionId, StreamId, WorkerId},
    store::{
        Boundary, Claim, Claimant, DeadLetter, Deliverer, FirstMessage, Ground, HistoryRange, Leaving,
        Member, OutReply, Presence, Relayed, Store, StoreError, StoreResult,
    },
};

use super::cast;

/// What `own` is set for.
pub const OWN_TTL: Duration = Duration::from_secs(60);

/// One call. Leases are named by their place among those that were granted.
#[derive(Debug, Clone)]
pub enum Call {
    Send(NewMessage),
    Relay(Partition, Door, Option<StreamId>, Vec<Relayed>),
    Join(Partition, Presence),
    Renew(Partition, Presence),
    Bury(Partition, WorkerId, Ground),
    Claim(SessionId, Claimant, usize),
    Commit(usize, Box<Boundary>),
    Release(usize, Leaving, usize),
    Refresh(usize, usize),
    Reap(SessionId, WorkerId, Pool),
    Survey(Partition, Pool),
    Fire(SessionId, Pool),
    Offer(SessionId, Pool, Option<WorkerId>),
    Mend(SessionId, Pool, Option<WorkerId>, Option<Pool>),
    Deliver(Partition, Vec<OutReply>),
    TakeReply(ReplyTo),
    Revive(Box<DeadLetter>, MessageId, Pool),
    DropDead(Partition, Vec<StreamId>),
    Free(SessionId, Pool, FirstMessage),
    Proceed(SessionId, Pool),
    Delete(SessionId, Pool, Option<WorkerId>),
    Look(SessionId),
    Sessions(Partition, Option<SessionId>, usize),
    History(SessionId, HistoryRange),
    Dead(Partition, Option<StreamId>, usize),
    Held(Partition, WorkerId),
    Cursors(Door),
    Members,
    Post(Door, Vec<(Vec<u8>, Vec<u8>)>),
    Ingress(Door, usize),
    RemoveIngress(Door, Vec<StreamId>),
    Advance(Door, StreamId),
    Announce(Box<Member>, Duration),
    Retire(WorkerId),
}

impl Call {
    /// Makes the call; what the store says, as text. A lease that it grants is put behind the others.
    pub async fn make(&self, store: &impl Store, leases: &mut Vec<Lease>) -> String {
        match self {
            Self::Send(message) => said(store.send(message).await),
            Self::Relay(at, door, previous, batch) => said(store.relay(*at, *door, *previous, batch).await),
            Self::Join(at, presence) => said(store.join(*at, presence).await),
            Self::Renew(at, presence) => said(store.renew(*at, presence).await),
            Self::Bury(at, worker, ground) => said(store.bury(*at, worker, *ground).await),
            Self::Claim(session, claimant, page) => {
                let claim = store.claim(session, claimant, *page).await;
                let said = format!("{:?}", claim.as_ref().map_err(kind));
                if let Ok(Claim::Won(claimed)) = claim {
                    leases.push(claimed.lease);
                }
                said
            }
            Self::Commit(lease, boundary) => said(store.commit(&leases[*lease], boundary).await),
            Self::Release(lease, leaving, page) => {
                said(store.release(&leases[*lease], *leaving, *page).await)
            }
            Self::Refresh(lease, page) => said(store.refresh(&leases[*lease], OWN_TTL, *page).await),
            Self::Reap(session, from, pool) => said(store.reap(session, from, pool).await),
            Self::Survey(at, pool) => {
                let agents: Vec<_> = cast::agents().into_iter().map(|agent| (pool.clone(), agent)).collect();
                let survey = store.survey(*at, &agents).await.map(|mut survey| {
                    survey.overdue.sort();
                    survey.buried.sort();
                    survey
                });
                said(survey)
            }
            Self::Fire(session, pool) => said(store.fire(session, pool).await),
            Self::Offer(session, pool, except) => said(store.offer(session, pool, except.as_ref()).await),
            Self::Mend(session, pool, owner, home) => {
                said(store.mend(session, pool, owner.as_ref(), home.as_ref()).await)
            }
            Self::Deliver(at, replies) => said(store.deliver(*at, replies, Deliverer::Duty).await),
            Self::TakeReply(list) => said(store.take_reply(list, Duration::ZERO).await),
            Self::Revive(letter, message, pool) => said(store.revive(letter, *message, pool).await),
            Self::DropDead(at, ids) => said(store.drop_dead(*at, ids).await),
            Self::Free(session, pool, first) => said(store.free(session, pool, *first).await),
            Self::Proceed(session, pool) => said(store.proceed(session, pool).await),
            Self::Delete(session, pool, owner) => said(store.delete(session, pool, owner.as_ref()).await),
            Self::Look(session) => said(store.look(session).await),
            Self::Sessions(at, after, most) => said(store.sessions(*at, after.as_ref(), *most).await),
            Self::History(session, range) => said(store.history(session, *range, Duration::ZERO).await),
            Self::Dead(at, after, most) => said(store.dead(*at, *after, *most).await),
            Self::Held(at, worker) => {
                let held = store.held(*at, worker, 100).await.map(|mut held| {
                    held.sort();
                    held
                });
                said(held)
            }
            Self::Cursors(door) => {
                let all: Vec<_> = store.partitions().all().collect();
                said(store.cursors(*door, &all).await)
            }
            Self::Members => said(store.members().await),
            Self::Post(door, fields) => said(store.post(*door, fields).await),
            Self::Ingress(door, most) => said(store.ingress(*door, *most, Duration::ZERO).await),
            Self::RemoveIngress(door, ids) => said(store.remove_ingress(*door, ids).await),
            Self::Advance(door, past) => said(store.advance_ingress(*door, *past).await),
            Self::Announce(member, ttl) => said(store.announce(member, *ttl).await),
            Self::Retire(worker) => said(store.retire(worker).await),
        }
    }
}

fn said<T: Debug>(answer: StoreResult<T>) -> String {
    format!("{:?}", answer.as_ref().map_err(kind))
}

/// Of an error only what the caller can decide by: the words are each store's own.
fn kind(error: &StoreError) -> &'static str {
    match error {
        StoreError::Unavailable(_) => "unavailable",
        StoreError::Loading(_) => "loading",
        StoreError::Refused(_) => "refused",
        StoreError::Unconnected(_) => "unconnected",
        StoreError::Forbidden(_) => "forbidden",
        StoreError::OutOfMemory => "out of memory",
        StoreError::Unreadable { .. } => "unreadable",
    }
}
