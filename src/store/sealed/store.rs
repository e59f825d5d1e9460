//! The contract, with seals: what holds bodies or states goes through them, and all else straight on.

use std::time::Duration;

use super::{Sealed, SealedListener};
use crate::{
    model::{
        AgentDeclaration, AgentName, Door, Durability, Entry, Lease, MessageId, NewMessage, Partition,
        Partitions, Pool, ReplyTo, SessionId, Settings, StreamId, WorkerId, seal::Content,
    },
    store::{
        Agents, Boundary, Bury, Claim, Claimant, Commit, Configured, Cursors, DeadLetter, Declared, Delete,
        Deliverer, Fire, FirstMessage, Free, Ground, HistoryRange, Ingress, Lack, Leaving, Look, Member,
        Mend, Offer, OutReply, Presence, Proceed, Reach, Reap, Refresh, Refusal, Relay, Relayed, Release,
        Renewal, Revive, Run, Sent, Store, StoreResult, Survey, Vitals,
    },
};

/// Methods that no seal concerns.
macro_rules! pass_on {
    ($(fn $name:ident($($arg:ident: $kind:ty),*) -> $out:ty;)*) => {
        $(async fn $name(&self, $($arg: $kind),*) -> StoreResult<$out> {
            self.inner.$name($($arg),*).await
        })*
    };
}

impl<S: Store> Store for Sealed<S> {
    type Listener = SealedListener<S::Listener>;

    fn partitions(&self) -> &Partitions {
        self.inner.partitions()
    }

    async fn run(&self, partition: Partition) -> Option<Run> {
        self.inner.run(partition).await
    }

    async fn listen(&self, worker: &WorkerId) -> StoreResult<Self::Listener> {
        Ok(SealedListener::new(self.inner.listen(worker).await?, self.seals.clone()))
    }

    async fn send(&self, message: &NewMessage) -> StoreResult<Sent> {
        let Some(sealed) = self.seals.message(message, Content::Message) else {
            return Ok(Sent::Refused(Refusal::Malformed));
        };
        match self.inner.send(&sealed).await? {
            Sent::Repeat { message: name, answer: Some(answer) } => {
                let answer = Some(self.seals.open_answer(Some(&message.session), answer)?);
                Ok(Sent::Repeat { message: name, answer })
            }
            sent => Ok(sent),
        }
    }

    async fn take_reply(&self, key: &ReplyTo, wait: Duration) -> StoreResult<Option<String>> {
        let answer = self.inner.take_reply(key, wait).await?;
        answer.map(|answer| self.seals.open_answer(None, answer)).transpose()
    }

    async fn relay(
        &self,
        partition: Partition,
        door: Door,
        previous: Option<StreamId>,
        batch: &[Relayed],
    ) -> StoreResult<Relay> {
        let sealed: Vec<_> = batch.iter().map(|relayed| self.seals.relayed(relayed)).collect();
        self.inner.relay(partition, door, previous, &sealed).await
    }

    async fn claim(&self, session: &SessionId, claimant: &Claimant, page: usize) -> StoreResult<Claim> {
        Ok(match self.inner.claim(session, claimant, page).await? {
            Claim::Won(claimed) => Claim::Won(self.seals.claimed(claimed)),
            Claim::Unknown(claimed) => Claim::Unknown(self.seals.claimed(claimed)),
            other => other,
        })
    }

    async fn release(&self, lease: &Lease, leaving: Leaving, page: usize) -> StoreResult<Release> {
        Ok(match self.inner.release(lease, leaving, page).await? {
            Release::Runnable(mail) => Release::Runnable(self.seals.mail(lease.session(), mail)),
            left @ (Release::Released | Release::Fenced) => {
                self.seals.groups.left(lease.session());
                left
            }
        })
    }

    async fn refresh(&self, lease: &Lease, own_ttl: Duration, page: usize) -> StoreResult<Refresh> {
        Ok(match self.inner.refresh(lease, own_ttl, page).await? {
            Refresh::Held { record, mail } => {
                Refresh::Held { record, mail: self.seals.mail(lease.session(), mail) }
            }
            Refresh::Fenced => Refresh::Fenced,
        })
    }

    async fn commit(&self, lease: &Lease, boundary: &Boundary) -> StoreResult<Commit> {
        let sealed = self.seals.boundary(lease, boundary);
        Ok(match self.inner.commit(lease, &sealed).await? {
            // Replies go out as they were sealed.
            Commit::Done { out, mail } => Commit::Done { out, mail: self.seals.mail(lease.session(), mail) },
            other => other,
        })
    }

    async fn history(
        &self,
        session: &SessionId,
        range: HistoryRange,
        wait: Duration,
    ) -> StoreResult<Vec<Entry>> {
        self.seals.history(session, self.inner.history(session, range, wait).await?)
    }

    async fn dead(
        &self,
        partition: Partition,
        after: Option<StreamId>,
        limit: usize,
    ) -> StoreResult<Vec<DeadLetter>> {
        let letters = self.inner.dead(partition, after, limit).await?;
        Ok(letters.into_iter().map(|letter| self.seals.letter(letter)).collect())
    }

    pass_on! {
        fn uptime() -> Duration;
        fn configure(wanted: &Settings) -> Configured;
        fn declare(worker: &WorkerId, agent: &AgentName, how: &AgentDeclaration) -> Declared;
        fn reach(partition: Partition, class: Durability) -> Reach;
        fn lacks(partition: Partition, class: Durability) -> Option<Lack>;
        fn agents() -> Agents;
        fn announce(member: &Member, ttl: Duration) -> ();
        fn retire(worker: &WorkerId) -> ();
        fn members() -> Vec<Member>;
        fn ingress(door: Door, limit: usize, wait: Duration) -> Ingress;
        fn post(door: Door, fields: &[(Vec<u8>, Vec<u8>)]) -> StreamId;
        fn remove_ingress(door: Door, ids: &[StreamId]) -> ();
        fn advance_ingress(door: Door, past: StreamId) -> ();
        fn cursors(door: Door, of: &[Partition]) -> Cursors;
        fn join(partition: Partition, presence: &Presence) -> Renewal;
        fn renew(partition: Partition, presence: &Presence) -> Renewal;
        fn bury(partition: Partition, worker: &WorkerId, ground: Ground) -> Bury;
        fn held(partition: Partition, worker: &WorkerId, limit: usize) -> Vec<SessionId>;
        fn vital(workers: &[WorkerId]) -> Vitals;
        fn tell_to_drain(worker: &WorkerId) -> bool;
        fn reap(session: &SessionId, from: &WorkerId, pool: &Pool) -> Reap;
        fn survey(partition: Partition, agents: &[(Pool, AgentName)]) -> Survey;
        fn fire(session: &SessionId, pool: &Pool) -> Fire;
        fn offer(session: &SessionId, pool: &Pool, except: Option<&WorkerId>) -> Offer;
        fn mend(session: &SessionId, pool: &Pool, owner: Option<&WorkerId>, home: Option<&Pool>) -> Mend;
        fn deliver(partition: Partition, replies: &[OutReply], by: Deliverer) -> ();
        fn look(session: &SessionId) -> Look;
        fn sessions(partition: Partition, after: Option<&SessionId>, limit: usize) -> Vec<SessionId>;
        fn revive(letter: &DeadLetter, message: MessageId, pool: &Pool) -> Revive;
        fn drop_dead(partition: Partition, ids: &[StreamId]) -> usize;
        fn free(session: &SessionId, pool: &Pool, first: FirstMessage) -> Free;
        fn proceed(session: &SessionId, pool: &Pool) -> Proceed;
        fn delete(session: &SessionId, pool: &Pool, owner: Option<&WorkerId>) -> Delete;
    }
}

#[cfg(test)]
mod tests {
    /// An operation with a default body would else be answered by that, and not by the store below.
    #[test]
    fn every_operation_of_a_store_is_one_here_too() {
        let contract = include_str!("../mod.rs");
        let ours = include_str!("store.rs");
        let operations = contract.split("pub trait Store").nth(1).expect("the contract").lines();
        let named = operations.filter_map(|line| line.strip_prefix("    fn ")?.split('(').next());
        let missing: Vec<_> = named.filter(|name| !ours.contains(&format!("fn {name}("))).collect();
        assert!(missing.is_empty(), "{missing:?}");
        assert!(contract.contains("    fn take_reply("), "the contract is written otherwise");
    }
}
