//! The [`Store`] contract, bound method by method.

use std::time::Duration;

use super::{RedisListener, RedisStore, workers::Renewing};
use crate::{
    model::{
        AgentDeclaration, AgentName, Door, Durability, Entry, Lease, MessageId, NewMessage, Partition,
        Partitions, Pool, ReplyTo, SessionId, Settings, StreamId, WorkerId,
    },
    store::{
        Agents, Boundary, Bury, Claim, Claimant, Commit, Configured, Cursors, DeadLetter, Declared, Delete,
        Deliverer, Fire, FirstMessage, Free, Ground, HistoryRange, Ingress, Lack, Leaving, Look, Member,
        Mend, Offer, OutReply, Presence, Proceed, Reach, Reap, Refresh, Relay, Relayed, Release, Renewal,
        Revive, Run, Sent, Store, StoreResult, Survey, Vitals,
    },
};

impl Store for RedisStore {
    type Listener = RedisListener;

    fn partitions(&self) -> &Partitions {
        self.keys().partitions()
    }

    async fn uptime(&self) -> StoreResult<Duration> {
        self.server_uptime().await
    }

    async fn run(&self, partition: Partition) -> Option<Run> {
        self.run_of(partition).await
    }

    async fn configure(&self, wanted: &Settings) -> StoreResult<Configured> {
        self.configure_namespace(wanted).await
    }

    async fn declare(
        &self,
        worker: &WorkerId,
        agent: &AgentName,
        how: &AgentDeclaration,
    ) -> StoreResult<Declared> {
        self.declare_agent(worker, agent, how).await
    }

    async fn reach(&self, partition: Partition, class: Durability) -> StoreResult<Reach> {
        self.has_reached(partition, class).await
    }

    async fn lacks(&self, partition: Partition, class: Durability) -> StoreResult<Option<Lack>> {
        self.lack_of(partition, class).await
    }

    async fn agents(&self) -> StoreResult<Agents> {
        self.declared_agents().await
    }

    async fn announce(&self, member: &Member, ttl: Duration) -> StoreResult<()> {
        self.announce_member(member, ttl).await
    }

    async fn retire(&self, worker: &WorkerId) -> StoreResult<()> {
        self.retire_member(worker).await
    }

    async fn members(&self) -> StoreResult<Vec<Member>> {
        self.living_members().await
    }

    async fn send(&self, message: &NewMessage) -> StoreResult<Sent> {
        self.send_message(message).await
    }

    async fn take_reply(&self, key: &ReplyTo, wait: Duration) -> StoreResult<Option<String>> {
        self.take_reply_at(key, wait).await
    }

    async fn ingress(&self, door: Door, limit: usize, wait: Duration) -> StoreResult<Ingress> {
        self.read_ingress(door, limit, wait).await
    }

    async fn post(&self, door: Door, fields: &[(Vec<u8>, Vec<u8>)]) -> StoreResult<StreamId> {
        self.post_entry(door, fields).await
    }

    async fn remove_ingress(&self, door: Door, ids: &[StreamId]) -> StoreResult<()> {
        self.remove_from_ingress(door, ids).await
    }

    async fn advance_ingress(&self, door: Door, past: StreamId) -> StoreResult<()> {
        self.advance_ingress_past(door, past).await
    }

    async fn cursors(&self, door: Door, of: &[Partition]) -> StoreResult<Cursors> {
        self.read_cursors(door, of).await
    }

    async fn relay(
        &self,
        partition: Partition,
        door: Door,
        previous: Option<StreamId>,
        batch: &[Relayed],
    ) -> StoreResult<Relay> {
        self.relay_batch(partition, door, previous, batch).await
    }

    async fn join(&self, partition: Partition, presence: &Presence) -> StoreResult<Renewal> {
        self.renew_lease(partition, presence, Renewing::Join).await
    }

    async fn renew(&self, partition: Partition, presence: &Presence) -> StoreResult<Renewal> {
        self.renew_lease(partition, presence, Renewing::Renew).await
    }

    async fn bury(&self, partition: Partition, worker: &WorkerId, ground: Ground) -> StoreResult<Bury> {
        self.bury_worker(partition, worker, ground).await
    }

    async fn held(
        &self,
        partition: Partition,
        worker: &WorkerId,
        limit: usize,
    ) -> StoreResult<Vec<SessionId>> {
        self.held_by(partition, worker, limit).await
    }

    async fn listen(&self, worker: &WorkerId) -> StoreResult<RedisListener> {
        self.listen_for(worker).await
    }

    async fn vital(&self, workers: &[WorkerId]) -> StoreResult<Vitals> {
        self.look_for(workers).await
    }

    async fn tell_to_drain(&self, worker: &WorkerId) -> StoreResult<bool> {
        self.tell(worker, 'd').await
    }

    async fn claim(&self, session: &SessionId, claimant: &Claimant, page: usize) -> StoreResult<Claim> {
        self.claim_session(session, claimant, page).await
    }

    async fn release(&self, lease: &Lease, leaving: Leaving, page: usize) -> StoreResult<Release> {
        self.release_session(lease, leaving, page).await
    }

    async fn refresh(&self, lease: &Lease, own_ttl: Duration, page: usize) -> StoreResult<Refresh> {
        self.refresh_session(lease, own_ttl, page).await
    }

    async fn reap(&self, session: &SessionId, from: &WorkerId, pool: &Pool) -> StoreResult<Reap> {
        self.reap_session(session, from, pool).await
    }

    async fn commit(&self, lease: &Lease, boundary: &Boundary) -> StoreResult<Commit> {
        self.commit_boundary(lease, boundary).await
    }

    async fn survey(&self, partition: Partition, agents: &[(Pool, AgentName)]) -> StoreResult<Survey> {
        self.survey_partition(partition, agents).await
    }

    async fn fire(&self, session: &SessionId, pool: &Pool) -> StoreResult<Fire> {
        self.fire_timer(session, pool).await
    }

    async fn offer(&self, session: &SessionId, pool: &Pool, except: Option<&WorkerId>) -> StoreResult<Offer> {
        self.offer_session(session, pool, except).await
    }

    async fn mend(
        &self,
        session: &SessionId,
        pool: &Pool,
        owner: Option<&WorkerId>,
        home: Option<&Pool>,
    ) -> StoreResult<Mend> {
        self.mend_session(session, pool, owner, home).await
    }

    async fn deliver(&self, partition: Partition, replies: &[OutReply], by: Deliverer) -> StoreResult<()> {
        self.deliver_replies(partition, replies, by).await
    }

    async fn look(&self, session: &SessionId) -> StoreResult<Look> {
        self.look_at(session).await
    }

    async fn sessions(
        &self,
        partition: Partition,
        after: Option<&SessionId>,
        limit: usize,
    ) -> StoreResult<Vec<SessionId>> {
        self.sessions_of(partition, after, limit).await
    }

    async fn history(
        &self,
        session: &SessionId,
        range: HistoryRange,
        wait: Duration,
    ) -> StoreResult<Vec<Entry>> {
        self.read_history(session, range, wait).await
    }

    async fn dead(
        &self,
        partition: Partition,
        after: Option<StreamId>,
        limit: usize,
    ) -> StoreResult<Vec<DeadLetter>> {
        self.dead_letters(partition, after, limit).await
    }

    async fn revive(&self, letter: &DeadLetter, message: MessageId, pool: &Pool) -> StoreResult<Revive> {
        self.revive_letter(letter, message, pool).await
    }

    async fn drop_dead(&self, partition: Partition, ids: &[StreamId]) -> StoreResult<usize> {
        self.drop_letters(partition, ids).await
    }

    async fn free(&self, session: &SessionId, pool: &Pool, first: FirstMessage) -> StoreResult<Free> {
        self.free_session(session, pool, first).await
    }

    async fn proceed(&self, session: &SessionId, pool: &Pool) -> StoreResult<Proceed> {
        self.proceed_session(session, pool).await
    }

    async fn delete(
        &self,
        session: &SessionId,
        pool: &Pool,
        owner: Option<&WorkerId>,
    ) -> StoreResult<Delete> {
        self.delete_session(session, pool, owner).await
    }
}
