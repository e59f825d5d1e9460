//! The store as a simulated process sees it: every call waits for its turn before it takes effect.

use std::{sync::Arc, time::Duration};

use super::{
    asking::{call, now, within},
    calls::Late,
    choice::{Actor, Op},
    hints::SimListener,
    names::Names,
    record,
    world::World,
};
use crate::{
    model::{
        AgentDeclaration, AgentName, Door, Durability, Entry, Lease, MessageId, NewMessage, Partition,
        Partitions, Pool, ReplyTo, SessionId, Settings, StreamId, WorkerId,
    },
    runtime::Env,
    store::{
        Agents, Boundary, Bury, Claim, Claimant, Commit, Configured, Cursors, DeadLetter, Declared, Delete,
        Deliverer, Fire, FirstMessage, Free, Ground, HistoryRange, Ingress, Lack, Leaving, Look, Member,
        MemoryStore, Mend, Offer, OutReply, Presence, Proceed, Reach, Reap, Refresh, Relay, Relayed, Release,
        Renewal, Revive, Sent, Store, StoreResult, Survey, Vitals,
    },
};

/// One process' way to the simulated server. Clones are the same way.
#[derive(Clone)]
pub struct SimStore {
    pub(super) world: Arc<World>,
    pub(super) actor: Actor,
    /// The start of the process that it belongs to; calls of an older one are never heard of again.
    pub(super) generation: u32,
    pub(super) partitions: Partitions,
    /// For the waits that the server makes.
    pub(super) env: Env,
}

impl std::fmt::Debug for SimStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SimStore of {:?}", self.actor)
    }
}

impl Store for SimStore {
    type Listener = SimListener;

    fn partitions(&self) -> &Partitions {
        &self.partitions
    }

    async fn uptime(&self) -> StoreResult<Duration> {
        let world = &self.world;
        let up = || {
            let state = world.state();
            state.server.uptime(state.now())
        };
        self.call(Op::Uptime, Names::NAMESPACE, |_| Ok(up()), || None).await
    }

    async fn configure(&self, wanted: &Settings) -> StoreResult<Configured> {
        call!(self.Configure on Names::NAMESPACE, keeps [wanted = wanted.clone()], store => store.configure(wanted))
    }

    async fn declare(
        &self,
        worker: &WorkerId,
        agent: &AgentName,
        how: &AgentDeclaration,
    ) -> StoreResult<Declared> {
        call!(self.Declare on Names::NAMESPACE,
            keeps [worker = worker.clone(), agent = agent.clone(), how = how.clone()],
            store => store.declare(worker, agent, how))
    }

    async fn reach(&self, partition: Partition, class: Durability) -> StoreResult<Reach> {
        call!(self.Reach on Names::partition(partition), store => store.reach(partition, class))
    }

    async fn lacks(&self, partition: Partition, class: Durability) -> StoreResult<Option<Lack>> {
        call!(self.Lacks on Names::partition(partition), store => store.lacks(partition, class))
    }

    async fn agents(&self) -> StoreResult<Agents> {
        call!(self.Agents on Names::NAMESPACE, store => store.agents())
    }

    async fn announce(&self, member: &Member, ttl: Duration) -> StoreResult<()> {
        call!(self.Announce on Names::NAMESPACE, keeps [member = member.clone()], store => store.announce(member, ttl))
    }

    async fn retire(&self, worker: &WorkerId) -> StoreResult<()> {
        call!(self.Retire on Names::NAMESPACE, keeps [worker = worker.clone()], store => store.retire(worker))
    }

    async fn members(&self) -> StoreResult<Vec<Member>> {
        call!(self.Members on Names::NAMESPACE, store => store.members())
    }

    async fn send(&self, message: &NewMessage) -> StoreResult<Sent> {
        let asked = self.asks(&message.session, record::send(message));
        let sent = call!(self.Send on self.session(&message.session), keeps [message = message.clone()],
            store => store.send(message));
        self.told(asked, sent)
    }

    async fn take_reply(&self, key: &ReplyTo, wait: Duration) -> StoreResult<Option<String>> {
        let look = || async {
            let asked = self.world.state().step();
            let reply = call!(self.TakeReply on Names::NAMESPACE, keeps [key = key.clone()],
                store => store.take_reply(key, Duration::ZERO))?;
            if let Some((session, call, answer)) = reply.as_deref().and_then(record::reply) {
                self.world.state().has_read(self.actor, &session, asked, (call, answer));
            }
            Ok(reply)
        };
        self.patient(wait, look, Option::is_some).await
    }

    async fn ingress(&self, door: Door, limit: usize, wait: Duration) -> StoreResult<Ingress> {
        let look = || async {
            call!(self.Ingress on Names::door(door), store => store.ingress(door, limit, Duration::ZERO))
        };
        self.patient(wait, look, |ingress: &Ingress| !ingress.entries.is_empty()).await
    }

    async fn post(&self, door: Door, fields: &[(Vec<u8>, Vec<u8>)]) -> StoreResult<StreamId> {
        call!(self.Post on Names::door(door), keeps [fields = fields.to_vec()], store => store.post(door, fields))
    }

    async fn remove_ingress(&self, door: Door, ids: &[StreamId]) -> StoreResult<()> {
        call!(self.RemoveIngress on Names::door(door), keeps [ids = ids.to_vec()],
            store => store.remove_ingress(door, ids))
    }

    async fn advance_ingress(&self, door: Door, past: StreamId) -> StoreResult<()> {
        call!(self.AdvanceIngress on Names::door(door), keeps [], store => store.advance_ingress(door, past))
    }

    async fn cursors(&self, door: Door, of: &[Partition]) -> StoreResult<Cursors> {
        call!(self.Cursors on Names::door(door), store => store.cursors(door, of))
    }

    async fn relay(
        &self,
        partition: Partition,
        door: Door,
        previous: Option<StreamId>,
        batch: &[Relayed],
    ) -> StoreResult<Relay> {
        let asked = {
            let mut state = self.world.state();
            state.watch.relays(batch);
            state.asks_relay(self.actor, batch)
        };
        let relayed = call!(self.Relay on Names::partition(partition), keeps [batch = batch.to_vec()],
            store => store.relay(partition, door, previous, batch));
        self.world.state().told_relay(asked, &relayed);
        relayed
    }

    async fn join(&self, partition: Partition, presence: &Presence) -> StoreResult<Renewal> {
        let asked = self.env.now();
        let joined = call!(self.Join on Names::partition(partition), keeps [presence = presence.clone()],
            store => store.join(partition, presence));
        self.world.state().renewed(self.actor, partition, presence, asked, &joined);
        joined
    }

    async fn renew(&self, partition: Partition, presence: &Presence) -> StoreResult<Renewal> {
        let asked = self.env.now();
        let renewed = self.renew_one(partition, presence).await;
        self.world.state().renewed(self.actor, partition, presence, asked, &renewed);
        renewed
    }

    async fn bury(&self, partition: Partition, worker: &WorkerId, ground: Ground) -> StoreResult<Bury> {
        match ground {
            Ground::OwnWish => self.world.state().watch.gives_up(worker, partition),
            Ground::Lifeline => self.world.state().buries_missed(worker, partition),
            Ground::Overdue | Ground::OverdueUnder(_) => self.world.state().buries_overdue(worker, partition),
        }
        // What is under way when the server is replaced is lost: who answers is who is there now.
        let is_other = matches!(ground, Ground::OverdueUnder(reckoning) if reckoning.run != self.run());
        if is_other {
            return call!(self.Bury on Names::partition(partition), _store => async { Ok(Bury::OtherRun) });
        }
        let ground = match ground {
            Ground::OverdueUnder(reckoning) => Ground::OverdueUnder(within(reckoning)),
            ground => ground,
        };
        call!(self.Bury on Names::partition(partition), keeps [worker = worker.clone()],
            store => store.bury(partition, worker, ground))
    }

    async fn held(
        &self,
        partition: Partition,
        worker: &WorkerId,
        limit: usize,
    ) -> StoreResult<Vec<SessionId>> {
        call!(self.Held on Names::partition(partition), store => store.held(partition, worker, limit))
    }

    async fn listen(&self, worker: &WorkerId) -> StoreResult<SimListener> {
        let listened = self.call(Op::Listen, Names::NAMESPACE, |_| Ok(()), || None).await;
        listened.map(|()| self.world.state().listen(self.actor, worker))
    }

    async fn vital(&self, workers: &[WorkerId]) -> StoreResult<Vitals> {
        let run = |seen: Vitals| Vitals { run: self.world.state().server.run(), ..seen };
        self.world.state().close_ears();
        let effect = |store: &MemoryStore| now(store.vital(workers)).map(run);
        self.call(Op::Vital, Names::NAMESPACE, effect, || None).await
    }

    async fn tell_to_drain(&self, worker: &WorkerId) -> StoreResult<bool> {
        call!(self.TellToDrain on Names::NAMESPACE, keeps [worker = worker.clone()], store => store.tell_to_drain(worker))
    }

    async fn claim(&self, session: &SessionId, claimant: &Claimant, page: usize) -> StoreResult<Claim> {
        let asked = self.asks(session, record::claim(&claimant.worker));
        let claimant = &Claimant { overdue: self.overdue(claimant.overdue), ..claimant.clone() };
        let claimed = call!(self.Claim on self.session(session), keeps [session = session.clone(), claimant = claimant.clone()],
            store => store.claim(session, claimant, page));
        self.told(asked, claimed)
    }

    async fn release(&self, lease: &Lease, leaving: Leaving, page: usize) -> StoreResult<Release> {
        let asked = self.asks(lease.session(), record::leave(&lease.token().worker));
        let released = call!(self.Release on self.session(lease.session()), keeps [lease = copy_of(lease)],
            store => store.release(lease, leaving, page));
        self.told(asked, released)
    }

    async fn refresh(&self, lease: &Lease, own_ttl: Duration, page: usize) -> StoreResult<Refresh> {
        call!(self.Refresh on self.session(lease.session()), keeps [lease = copy_of(lease)],
            store => store.refresh(lease, own_ttl, page))
    }

    async fn reap(&self, session: &SessionId, from: &WorkerId, pool: &Pool) -> StoreResult<Reap> {
        let asked = self.asks(session, record::leave(from));
        let reaped = call!(self.Reap on self.session(session),
            keeps [session = session.clone(), from = from.clone(), pool = pool.clone()],
            store => store.reap(session, from, pool));
        self.told(asked, reaped)
    }

    async fn commit(&self, lease: &Lease, boundary: &Boundary) -> StoreResult<Commit> {
        self.world.state().commits(self.actor, self.partitions.of(lease.session()), lease);
        let asked = self.asks(lease.session(), record::commit(lease, boundary));
        let committed = call!(self.Commit on self.session(lease.session()),
            keeps [lease = copy_of(lease), boundary = boundary.clone()],
            store => store.commit(lease, boundary));
        self.told(asked, committed)
    }

    async fn survey(&self, partition: Partition, agents: &[(Pool, AgentName)]) -> StoreResult<Survey> {
        call!(self.Survey on Names::partition(partition), store => store.survey(partition, agents))
    }

    async fn fire(&self, session: &SessionId, pool: &Pool) -> StoreResult<Fire> {
        call!(self.Fire on self.session(session), keeps [session = session.clone(), pool = pool.clone()],
            store => store.fire(session, pool))
    }

    async fn offer(&self, session: &SessionId, pool: &Pool, except: Option<&WorkerId>) -> StoreResult<Offer> {
        call!(self.Offer on self.session(session), store => store.offer(session, pool, except))
    }

    async fn mend(
        &self,
        session: &SessionId,
        pool: &Pool,
        owner: Option<&WorkerId>,
        home: Option<&Pool>,
    ) -> StoreResult<Mend> {
        call!(self.Mend on self.session(session), store => store.mend(session, pool, owner, home))
    }

    async fn deliver(&self, partition: Partition, replies: &[OutReply], by: Deliverer) -> StoreResult<()> {
        call!(self.Deliver on Names::partition(partition), keeps [replies = replies.to_vec()],
            store => store.deliver(partition, replies, by))
    }

    async fn look(&self, session: &SessionId) -> StoreResult<Look> {
        let asked = self.asks(session, record::SessionCall::Look);
        let looked = call!(self.Look on self.session(session), store => store.look(session));
        self.told(asked, looked)
    }

    async fn sessions(
        &self,
        partition: Partition,
        after: Option<&SessionId>,
        limit: usize,
    ) -> StoreResult<Vec<SessionId>> {
        call!(self.Sessions on Names::partition(partition), store => store.sessions(partition, after, limit))
    }

    async fn history(
        &self,
        session: &SessionId,
        range: HistoryRange,
        wait: Duration,
    ) -> StoreResult<Vec<Entry>> {
        let wait = match range {
            HistoryRange::After(..) => wait,
            HistoryRange::Newest(_) => Duration::ZERO,
        };
        let look = || async {
            let asked = self.world.state().step();
            let entries = call!(self.History on self.session(session),
                store => store.history(session, range, Duration::ZERO))?;
            if let Some(read) = record::read(range, &entries) {
                self.world.state().has_read(self.actor, session, asked, read);
            }
            Ok(entries)
        };
        self.patient(wait, look, |entries: &Vec<Entry>| !entries.is_empty()).await
    }

    async fn dead(
        &self,
        partition: Partition,
        after: Option<StreamId>,
        limit: usize,
    ) -> StoreResult<Vec<DeadLetter>> {
        call!(self.Dead on Names::partition(partition), store => store.dead(partition, after, limit))
    }

    async fn revive(&self, letter: &DeadLetter, message: MessageId, pool: &Pool) -> StoreResult<Revive> {
        let object =
            letter.session.as_ref().map_or(Names::partition(letter.partition), |one| self.session(one));
        call!(self.Revive on object, keeps [letter = letter.clone(), pool = pool.clone()],
            store => store.revive(letter, message, pool))
    }

    async fn drop_dead(&self, partition: Partition, ids: &[StreamId]) -> StoreResult<usize> {
        call!(self.DropDead on Names::partition(partition), keeps [ids = ids.to_vec()],
            store => store.drop_dead(partition, ids))
    }

    async fn free(&self, session: &SessionId, pool: &Pool, first: FirstMessage) -> StoreResult<Free> {
        call!(self.Free on self.session(session), keeps [session = session.clone(), pool = pool.clone()],
            store => store.free(session, pool, first))
    }

    async fn proceed(&self, session: &SessionId, pool: &Pool) -> StoreResult<Proceed> {
        call!(self.Proceed on self.session(session), keeps [session = session.clone(), pool = pool.clone()],
            store => store.proceed(session, pool))
    }

    async fn delete(
        &self,
        session: &SessionId,
        pool: &Pool,
        owner: Option<&WorkerId>,
    ) -> StoreResult<Delete> {
        call!(self.Delete on self.session(session), store => store.delete(session, pool, owner))
    }
}

/// The same right, for a write that is under way when its holder is gone.
fn copy_of(lease: &Lease) -> Lease {
    Lease::granted(lease.session().clone(), lease.token().clone())
}
