//! Upkeep of the partitions whose duty this worker has: the guarantee behind every hint.
//!
//! Wakes, offers and deliveries are hints that may be lost; here the work is found anyway. Every
//! step is an operation that checks for itself, so two holders at once are harmless, and a pass that
//! fails half-way is simply made again.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use futures_util::future::join_all;
use tokio::sync::mpsc;
use tracing::{debug, info, warn};

use super::{
    brake::Judgement,
    env::Moment,
    incarnation::Incarnation,
    reaper::{From, Reaper},
};
use crate::{
    model::{AgentDeclaration, AgentName, Durability, Envelope, Partition, Pool, SessionId, WorkerId},
    planted::{Bug, planted},
    store::{
        Agents, Bury, Deliverer, Fire, Ground, Lapsed, Member, Mend, Offer, OutReply, Reach, Reap, Run,
        Store, StoreResult, Survey,
    },
};

/// How often each partition is looked at.
const EVERY: Duration = Duration::from_millis(100);

/// How often a page of each partition's index is compared with its sessions.
const PAGE_EVERY: Duration = Duration::from_secs(1);

/// How many sessions such a page has: a million sessions in 64 partitions take eight minutes.
const PAGE: usize = 32;

/// A round, and a pass over a partition's whole index, that take longer than this are late, and a line in the log says so.
const ROUND_WITHIN: Duration = Duration::from_secs(2);
const PASS_WITHIN: Duration = Duration::from_secs(600);

/// How long the dead that were found to hold nothing are left alone: the buried take no sessions, so only a server that
/// lost writes can give them any, and the pass over the index finds those too.
const DEAD_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// After so many offers in a row that nobody took up, those who heard have a reason (a suspect waits for its turn):
/// from then on every offer comes twice as late as the one before.
const EAGER_OFFERS: u32 = 8;

/// But never later than this.
const SELDOM: Duration = Duration::from_millis(1_600);

/// What a session was offered.
#[derive(Debug, Clone)]
struct Told {
    /// To whom last.
    worker: WorkerId,
    /// How often.
    times: u32,
    /// When it is offered again.
    next: Moment,
}

/// The partitions whose replies somebody is about to deliver. Clones are the same.
#[derive(Clone, Default)]
struct Delivering(Arc<Mutex<BTreeSet<Partition>>>);

impl Delivering {
    /// Whether nobody was.
    fn enter(&self, partition: Partition) -> bool {
        self.partitions().insert(partition)
    }

    fn leave(&self, partition: Partition) {
        self.partitions().remove(&partition);
    }

    fn partitions(&self) -> MutexGuard<'_, BTreeSet<Partition>> {
        self.0.lock().expect("nobody panics with it")
    }
}

impl<S: Store> Incarnation<S> {
    async fn deliver(&self, partition: Partition, replies: &[OutReply]) {
        if let Err(err) = self.store.deliver(partition, replies, Deliverer::Duty).await {
            debug!(%partition, error = %err, "not delivered");
        }
    }
}

/// One worker's upkeep.
pub(super) struct Duty<S: Store> {
    shared: Arc<Incarnation<S>>,
    /// Whose time may be over.
    lapsed: mpsc::Receiver<Lapsed>,
    agents: BTreeMap<AgentName, AgentDeclaration>,
    /// Of which nobody can read how they are served by now.
    unreadable: BTreeSet<AgentName>,
    /// What the workers that are there serve: an agent may have workers in more pools than the one declared last.
    served: BTreeSet<(Pool, AgentName)>,
    /// Who was there at the last refresh.
    members: BTreeSet<WorkerId>,
    /// What is in `ready` and was offered before: never twice running to the same worker, and more and more seldom.
    told: BTreeMap<SessionId, Told>,
    /// The dead that hold nothing more, as far as we saw in the last minute.
    emptied: BTreeSet<(Partition, WorkerId)>,
    /// Who was buried in this round, in how many partitions.
    buried: BTreeMap<WorkerId, usize>,
    /// From whom sessions were taken in this round, and how many.
    reaped: BTreeMap<WorkerId, usize>,
    /// Where replies wait for their class.
    delivering: Delivering,
    /// How far the pass over each index has come.
    passed: BTreeMap<Partition, SessionId>,
    /// When the present pass over each index began, or the part of it that this worker makes.
    pass_began: BTreeMap<Partition, Moment>,
    next_refresh: Moment,
    next_page: Moment,
    next_dead: Moment,
}

impl<S: Store> Duty<S> {
    pub(super) fn new(shared: Arc<Incarnation<S>>, lapsed: mpsc::Receiver<Lapsed>) -> Self {
        Self {
            shared,
            lapsed,
            agents: BTreeMap::new(),
            unreadable: BTreeSet::new(),
            served: BTreeSet::new(),
            members: BTreeSet::new(),
            told: BTreeMap::new(),
            emptied: BTreeSet::new(),
            buried: BTreeMap::new(),
            reaped: BTreeMap::new(),
            delivering: Delivering::default(),
            passed: BTreeMap::new(),
            pass_began: BTreeMap::new(),
            next_refresh: Moment::default(),
            next_page: Moment::default(),
            next_dead: Moment::default(),
        }
    }

    /// Goes round until the incarnation is over.
    pub(super) async fn run(mut self) {
        loop {
            let started = self.shared.env.now();
            self.round(started).await;
            self.say_if_late(started);
            let pass_began = self.pass_began.values().min().copied();
            self.shared.counts.deeds.lag.round_ended(self.shared.env.now(), pass_began);
            let next = started.plus(EVERY).max(self.shared.env.now());
            if self.wait_until(next).await.is_break() {
                return self.shared.counts.deeds.lag.ended();
            }
        }
    }

    /// Waits for the next round. A worker's key that lapsed is a reason to make it now, a session's to look at that.
    async fn wait_until(&mut self, next: Moment) -> ControlFlow<()> {
        loop {
            let lapsed = tokio::select! {
                biased;
                () = self.shared.stops.lost.cancelled() => return ControlFlow::Break(()),
                () = self.shared.stops.drain.cancelled() => return ControlFlow::Break(()),
                () = self.shared.env.sleep_until(next) => return ControlFlow::Continue(()),
                // Cancel-safe: one that lapsed is taken or stays.
                Some(lapsed) = self.lapsed.recv() => lapsed,
            };
            match lapsed {
                Lapsed::Session(session) => self.look_after(session).await,
                Lapsed::Worker(_) | Lapsed::Unheard => return ControlFlow::Continue(()),
            }
        }
    }

    async fn look_after(&self, session: SessionId) {
        if !self.shared.duties.has(self.shared.store.partitions().of(&session)) {
            return;
        }
        if let Err(err) = self.mend(&session).await {
            debug!(%session, error = %err, "not mended");
        }
    }

    async fn round(&mut self, now: Moment) {
        let partitions = self.shared.duties.all();
        self.pass_began.retain(|partition, _| partitions.contains(partition));
        if partitions.is_empty() {
            return;
        }
        if now >= self.next_refresh {
            self.refresh(now).await;
        }
        let asked = self.asked();
        let surveys = partitions.iter().map(|partition| self.survey(*partition, &asked));
        let surveys = join_all(surveys).await;
        let mut told = BTreeMap::new();
        (self.buried, self.reaped) = (BTreeMap::new(), BTreeMap::new());
        for (partition, survey) in partitions.iter().zip(surveys) {
            match survey {
                Ok(survey) => told.extend(self.tend(*partition, survey).await),
                Err(err) => debug!(%partition, error = %err, "not surveyed"),
            }
        }
        self.told = told;
        self.say_who_died();
        if now >= self.next_page {
            self.next_page = now.plus(PAGE_EVERY);
            for partition in partitions {
                if let Err(err) = self.mend_a_page(partition).await {
                    debug!(%partition, error = %err, "not mended");
                }
            }
        }
    }

    fn say_if_late(&self, started: Moment) {
        let took = self.shared.env.now().since(started);
        if took > ROUND_WITHIN {
            let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            warn!(worker = %self.shared.worker, ms, partitions = self.shared.duties.all().len(), "upkeep lags");
        }
    }

    /// One line, and one count, for each worker, and not one for each of its partitions.
    fn say_who_died(&self) {
        for (worker, partitions) in &self.buried {
            self.shared.counts.deeds.buried(worker, self.shared.env.wall());
            info!(%worker, partitions, "buried: its lease ran out");
        }
        for (worker, sessions) in self.reaped.iter().filter(|(_, sessions)| **sessions > 0) {
            self.shared.counts.deeds.reaped(*sessions);
            info!(%worker, sessions, "reaped");
        }
    }

    /// One look at a partition; its clock is compared with the own one before anybody's deadline is judged by it.
    async fn survey(&self, partition: Partition, asked: &[(Pool, AgentName)]) -> StoreResult<Survey> {
        let survey = self.shared.store.survey(partition, asked).await?;
        self.shared.brake.seen(partition, self.shared.env.now(), survey.now);
        Ok(survey)
    }

    /// What changes seldom: who serves what. Kept as it is if the server does not answer.
    async fn refresh(&mut self, now: Moment) {
        self.next_refresh = now.plus(self.shared.config.lease.renew_every());
        if now >= self.next_dead && !planted(Bug::ReapOnce) {
            self.next_dead = now.plus(DEAD_AGAIN_AFTER);
            self.emptied.clear();
        }
        if let Ok(Agents { known, unreadable }) = self.shared.store.agents().await {
            // Of those that cannot be read what was known before stands.
            self.agents.retain(|agent, _| unreadable.contains(agent));
            self.agents.extend(known);
            self.unreadable = unreadable;
        }
        if let Ok(members) = self.shared.store.members().await {
            self.members = members.iter().map(|member| member.worker.clone()).collect();
            let serves =
                |member: Member| member.agents.into_iter().map(move |agent| (member.pool.clone(), agent));
            self.served = members.into_iter().flat_map(serves).collect();
        }
    }

    /// Whose sessions may be waiting: what anybody declared, what anybody serves, and what this worker does.
    fn asked(&self) -> Vec<(Pool, AgentName)> {
        let declared = self.agents.iter().map(|(agent, how)| (how.pool.clone(), agent.clone()));
        let own = self.shared.agents.keys().map(|agent| (self.shared.pool().clone(), agent.clone()));
        let served = self.served.iter().cloned();
        declared.chain(own).chain(served).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Does what a survey found; gives who was offered what.
    async fn tend(&mut self, partition: Partition, survey: Survey) -> Vec<(SessionId, Told)> {
        for session in &survey.due {
            if let Err(err) = self.fire(session).await {
                debug!(%session, error = %err, "not fired");
            }
        }
        self.deliver(partition, survey.out).await;
        let overdue = self.bury_overdue(partition, survey.overdue).await;
        // Of those who were buried before, only who was there lately; who is buried now may have left the list at the same moment.
        let lately = survey.buried.iter().filter(|worker| self.members.contains(worker));
        for worker in lately.chain(&overdue) {
            self.shared.counts.buried(worker, self.shared.env.now());
        }
        let mut buried = survey.buried;
        buried.extend(overdue);
        self.reap_all(partition, buried).await;
        let waiting = survey
            .ready
            .iter()
            .filter(|_| !planted(Bug::NoUpkeep))
            .flat_map(|((pool, _), sessions)| sessions.iter().map(move |one| (pool, one)));
        let offers = waiting.map(|(pool, session)| self.offer(pool, session));
        join_all(offers).await.into_iter().flatten().collect()
    }

    /// Delivers replies that others left, each once all that came before it has reached its class.
    async fn deliver(&self, partition: Partition, replies: Vec<OutReply>) {
        if self.agents.is_empty() {
            // Nobody knows what a reply has to wait for.
            return;
        }
        let classed = |reply: &OutReply| self.class_of(reply) != Durability::MEMORY;
        let (classed, plain): (Vec<_>, Vec<_>) = replies.into_iter().partition(classed);
        if !plain.is_empty() {
            self.shared.deliver(partition, &plain).await;
        }
        if classed.is_empty() || !self.delivering.enter(partition) {
            return;
        }
        // That may take long, and the rest of the upkeep must not wait for it.
        let class =
            classed.iter().map(|reply| self.class_of(reply)).fold(Durability::MEMORY, Durability::with);
        let (shared, delivering) = (self.shared.clone(), self.delivering.clone());
        self.shared.spawn(async move {
            if let Ok(Reach::Reached) = shared.store.reach(partition, class).await {
                shared.deliver(partition, &classed).await;
            }
            delivering.leave(partition);
        });
    }

    /// What must be reached before a reply is told: what it says itself, for its agent may have been declared anew since.
    /// Where it says nothing (a door's error, an older worker's) what its session's agent declares.
    fn class_of(&self, reply: &OutReply) -> Durability {
        let envelope = serde_json::from_str::<Envelope>(&reply.payload).ok();
        if let Some(class) = envelope.as_ref().and_then(|envelope| envelope.class) {
            return class;
        }
        let agent = envelope.and_then(|envelope| envelope.session).map(|session| session.agent());
        agent.map_or(Durability::MEMORY, |agent| self.class_declared(&agent))
    }

    /// What an agent declares; of one of which nobody can read that, what covers all that others declare.
    fn class_declared(&self, agent: &AgentName) -> Durability {
        match self.agents.get(agent) {
            Some(how) => how.durability,
            None if self.unreadable.contains(agent) => {
                self.agents.values().map(|how| how.durability).fold(Durability::MEMORY, Durability::with)
            }
            None => Durability::MEMORY,
        }
    }

    /// Buries those past their deadline, if deadlines count; whom it did.
    async fn bury_overdue(&mut self, partition: Partition, overdue: Vec<WorkerId>) -> Vec<WorkerId> {
        let judge = || self.shared.brake.judge(partition, self.shared.env.now());
        let overdue = match judge() {
            _ if overdue.is_empty() => return overdue,
            Judgement::Bury(_) => overdue,
            Judgement::BuryUnheard(_) => self.unheard(overdue).await,
            Judgement::Spare => return Vec::new(),
        };
        let mut buried = Vec::new();
        for worker in overdue {
            // Each anew: how late it may be is known now.
            let (Judgement::Bury(reckoning) | Judgement::BuryUnheard(reckoning)) = judge() else { break };
            match self.shared.store.bury(partition, &worker, Ground::OverdueUnder(reckoning)).await {
                Ok(Bury::Buried) => {
                    *self.buried.entry(worker.clone()).or_default() += 1;
                    buried.push(worker);
                }
                Ok(Bury::Later) => {
                    info!(%partition, %worker, "not buried: the server's clock was set, or it is slow; trying again");
                }
                Ok(answer) => debug!(%partition, %worker, ?answer, "not buried"),
                Err(err) => debug!(%partition, %worker, error = %err, "not buried"),
            }
        }
        buried
    }

    /// Those of `workers` whose lifeline is broken too, as far as this worker can tell: it must be heard itself.
    async fn unheard(&self, mut workers: Vec<WorkerId>) -> Vec<WorkerId> {
        workers.insert(0, self.shared.worker.clone());
        let Ok(seen) = self.shared.store.vital(&workers).await else { return Vec::new() };
        if !self.shared.brake.is_served_by(Run::named(&seen.run)) || seen.present.first() != Some(&true) {
            return Vec::new();
        }
        workers
            .into_iter()
            .zip(seen.present)
            .filter_map(|(worker, there)| (!there).then_some(worker))
            .collect()
    }

    async fn fire(&self, session: &SessionId) -> StoreResult<Fire> {
        match self.shared.store.fire(session, &self.reaper().pool_of(session)).await? {
            Fire::OtherPool(pool) => self.shared.store.fire(session, &pool).await,
            fired => Ok(fired),
        }
    }

    /// Takes from the dead what they held, until there is nothing: from all at once, for a fleet may bury many in a day.
    async fn reap_all(&mut self, partition: Partition, buried: Vec<WorkerId>) {
        let keys = buried.into_iter().map(|worker| (partition, worker));
        let keys: Vec<_> = keys.filter(|key| !self.emptied.contains(key)).collect();
        let (reaper, here) = (self.reaper(), [partition]);
        let takes = keys.iter().map(|(_, worker)| reaper.take_all(&here, worker, From::Front));
        let reaped = join_all(takes).await;
        for (key, reaped) in keys.into_iter().zip(reaped) {
            *self.reaped.entry(key.1.clone()).or_default() += reaped.sessions;
            if !reaped.again || planted(Bug::ReapOnce) {
                self.emptied.insert(key);
            }
        }
    }

    fn reaper(&self) -> Reaper<'_, S> {
        Reaper { store: &self.shared.store, agents: &self.agents, pool: self.shared.pool() }
    }

    /// Offers a session, if it is time to; what to remember of that.
    async fn offer(&self, pool: &Pool, session: &SessionId) -> Option<(SessionId, Told)> {
        let now = self.shared.env.now();
        let before = self.told.get(session);
        if let Some(told) = before.filter(|told| now < told.next) {
            return Some((session.clone(), told.clone()));
        }
        match self.shared.store.offer(session, pool, before.map(|told| &told.worker)).await {
            Ok(Offer::Told(worker)) => {
                let times = before.map_or(1, |told| told.times + 1);
                Some((session.clone(), Told { worker, times, next: now.plus(pause_after(times)) }))
            }
            Ok(Offer::Nobody | Offer::Gone) => None,
            Err(err) => {
                debug!(%session, error = %err, "not offered");
                None
            }
        }
    }

    /// Compares the next page of the index with its sessions.
    async fn mend_a_page(&mut self, partition: Partition) -> StoreResult<()> {
        self.pass_began.entry(partition).or_insert(self.shared.env.now());
        let page = self.shared.store.sessions(partition, self.passed.get(&partition), PAGE).await?;
        match page.last() {
            Some(last) => _ = self.passed.insert(partition, last.clone()),
            None => self.pass_ended(partition),
        }
        for mended in join_all(page.iter().map(|session| self.mend(session))).await {
            mended?;
        }
        Ok(())
    }

    /// The whole index was seen: the next page is its first.
    fn pass_ended(&mut self, partition: Partition) {
        self.passed.remove(&partition);
        let now = self.shared.env.now();
        let Some(began) = self.pass_began.remove(&partition) else { return };
        let ms = u64::try_from(now.since(began).as_millis()).unwrap_or(u64::MAX);
        match now.since(began) > PASS_WITHIN {
            true => warn!(%partition, ms, "the pass over the index lags"),
            false => debug!(%partition, ms, "passed over the index"),
        }
    }

    /// Restores the invariant for one session, in at most a few questions.
    async fn mend(&self, session: &SessionId) -> StoreResult<()> {
        let home = self.agents.get(&session.agent()).map(|how| &how.pool);
        let (mut pool, mut owner) = (self.reaper().pool_of(session), None::<WorkerId>);
        for _ in 0..4 {
            match self.shared.store.mend(session, &pool, owner.as_ref(), home).await? {
                Mend::OtherPool(right) => pool = right,
                Mend::OtherOwner(right) => owner = right,
                Mend::Orphan { .. } if planted(Bug::ReapOnce) => return Ok(()),
                Mend::Orphan { of } => {
                    if let Reap::Reaped { .. } = self.reaper().take(session, &of).await? {
                        self.shared.counts.deeds.reaped(1);
                    }
                    return Ok(());
                }
                Mend::Mended => {
                    info!(%session, "an index did not agree with this session, and does now");
                    return Ok(());
                }
                Mend::Fine | Mend::Absent => return Ok(()),
            }
        }
        Ok(())
    }
}

/// How long a session that was offered so often is left alone; the duty's own round comes on top.
fn pause_after(times: u32) -> Duration {
    match times.saturating_sub(EAGER_OFFERS) {
        0 => Duration::ZERO,
        doublings => EVERY.saturating_mul(1 << doublings.min(16)).min(SELDOM),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Settings;

    #[test]
    fn a_pass_over_a_million_sessions_is_made_within_ten_minutes_by_one_worker_alone() {
        let partitions = usize::from(Settings::default().partitions);
        // The fullest partition has some percent more than its share, and each page may wait for the next round.
        let most = 1_000_000_usize.div_ceil(partitions) * 103 / 100;
        let pages = u32::try_from(most.div_ceil(PAGE) + 1).unwrap();
        assert!((PAGE_EVERY + EVERY) * pages < PASS_WITHIN);
    }
}
