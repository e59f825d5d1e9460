//! The worker's own leases: renewed in every partition, believed only as long as that is safe.
//!
//! One renewal per partition and third of a lease, whatever the number of sessions. An answer
//! extends trust from the moment *before* the question was sent. Without answers trust ends by the
//! process' own clock, at nine tenths of the lease, before anybody else may take the sessions.

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tracing::{debug, info, warn};

use super::{env::Moment, incarnation::Incarnation, supervisor::Command, trust::Extended};
use crate::{
    model::{AgentName, Millis, Partition, WorkerId},
    planted::{Bug, planted},
    store::{DutyWish, Member, MemberState, Presence, Renewal, Run, Store, StoreError},
};

/// How many sessions of a partition are looked for after its trust began anew.
const HELD_AT_MOST: usize = 100_000;

/// How often an unanswered join is asked again.
const JOIN_AGAIN: u32 = 2;

/// How long the others believe what is not so any more of this worker's room: what changes twice within is no news.
const SOONEST: Duration = Duration::from_millis(50);

/// The least time from one round to the next that is not due: room that comes and goes must not keep the server busy.
const SPACED: Duration = Duration::from_millis(200);

impl<S: Store> Incarnation<S> {
    /// Makes this incarnation known in every partition, so that it may claim there, and shows it to everybody.
    pub(super) async fn join(&self) -> Result<(), StoreError> {
        let up = self.store.uptime().await?;
        self.meet_server().await?;
        let attempt = self.env.now();
        let full = &self.full_agents();
        let mut joins: FuturesUnordered<_> = self
            .store
            .partitions()
            .all()
            .map(|partition| async move { (partition, self.join_one(partition, full).await) })
            .collect();
        while let Some((partition, answer)) = joins.next().await {
            match answer? {
                // Nothing can be held there yet, so there is nothing to look for.
                Renewal::Renewed { now, duty, alive } => {
                    self.brake.first_answer(partition, self.env.now(), now, up);
                    self.meet_keeper(partition).await;
                    self.note(partition, attempt, now, duty.as_ref(), alive);
                }
                Renewal::Lost => self.stops.lost.cancel(),
            }
        }
        self.announce().await
    }

    /// One partition's join; what was not answered is asked again before the start is given up.
    async fn join_one(
        &self,
        partition: Partition,
        full: &BTreeSet<AgentName>,
    ) -> Result<Renewal, StoreError> {
        let mut again = JOIN_AGAIN;
        loop {
            match self.store.join(partition, &self.presence(partition, full)).await {
                Err(err) if again > 0 && err.may_have_happened() => again -= 1,
                answer => return answer,
            }
        }
    }

    /// Renews until the incarnation is lost.
    pub(super) async fn keep_leases(self: Arc<Self>) {
        let mut last = self.env.now();
        let mut next = last.plus(self.config.lease.renew_every());
        let mut early: Option<Moment> = None;
        loop {
            self.lapse();
            let round = early.map_or(next, |early| early.min(next));
            let wake = self.trust.next_lapse().map_or(round, |lapse| lapse.min(round));
            tokio::select! {
                biased;
                () = self.stops.lost.cancelled() => return,
                () = self.counts.room.notified(), if early.is_none() => {
                    early = Some(self.env.now().plus(SOONEST).max(last.plus(SPACED)));
                    continue;
                }
                () = self.env.sleep_until(wake) => (),
            }
            let now = self.env.now();
            if now >= next || (now >= round && self.has_news()) {
                last = now;
                next = self.renew_everywhere().await;
            }
            early = early.filter(|early| *early > now);
        }
    }

    /// Whether a duty is to be had, or the others believe something else of the room here than is so.
    fn has_news(&self) -> bool {
        self.counts.takes_duty_left()
            || self.has_room() == self.counts.full.load(Ordering::Relaxed)
            || self.agents.values().any(|hosted| hosted.is_news())
    }

    fn has_room(&self) -> bool {
        let sessions = self.counts.sessions.load(Ordering::Relaxed);
        let all_busy = self.counts.running.load(Ordering::Relaxed) >= sessions;
        let full = sessions >= self.config.capacity && all_busy;
        !full && !self.stops.drain.is_cancelled()
    }

    /// One round of renewals; when the next is due.
    async fn renew_everywhere(self: &Arc<Self>) -> Moment {
        let attempt = self.env.now();
        let every = self.config.lease.renew_every();
        let full = &self.full_agents();
        let mut renewals: FuturesUnordered<_> = self
            .store
            .partitions()
            .all()
            .map(|partition| async move {
                let renewal = self.store.renew(partition, &self.presence(partition, full)).await;
                self.meet_keeper(partition).await;
                (partition, renewal)
            })
            .collect();
        if planted(Bug::RenewalIgnoresFailure) {
            for partition in self.store.partitions().all() {
                self.trust.extend(partition, attempt, self.trusted_until(attempt));
            }
        }
        let (mut answered, mut failed) = (false, None);
        let give_up = attempt.plus(every);
        loop {
            self.lapse();
            let until = self.trust.next_lapse().map_or(give_up, |lapse| lapse.min(give_up));
            tokio::select! {
                biased;
                () = self.stops.lost.cancelled() => return give_up,
                answer = renewals.next() => match answer {
                    None => break,
                    Some((partition, Ok(renewal))) => {
                        answered = true;
                        self.renewed(partition, attempt, renewal);
                    }
                    Some((partition, Err(err))) => failed = Some((partition, err)),
                },
                // Dropped renewals may still take effect; that lengthens a lease we do not trust.
                () = self.env.sleep_until(until) => {
                    if self.env.now() >= give_up {
                        warn!(worker = %self.worker, "renewals are not answered");
                        drop(renewals);
                        if answered {
                            self.announce_until(give_up.plus(every / 10)).await;
                        }
                        return self.env.now();
                    }
                }
            }
        }
        let now = self.env.now();
        if let Some((partition, err)) = failed {
            warn!(worker = %self.worker, %partition, error = %err, "a renewal failed");
            let again = now.plus(every / 10);
            self.announce_until(again).await;
            return again;
        }
        let next = attempt.plus(every).max(now);
        let until = self.trust.next_lapse().map_or(next, |lapse| lapse.min(next));
        tokio::select! {
            biased;
            () = self.stops.lost.cancelled() => (),
            () = self.meet_others() => (),
            // May be dropped: leases go before.
            () = self.env.sleep_until(until) => (),
        }
        next
    }

    /// Shows this worker to the others, if that takes no longer: of several servers perhaps one is away, and not the one where
    /// members are.
    async fn announce_until(&self, until: Moment) {
        tokio::select! {
            biased;
            () = self.stops.lost.cancelled() => (),
            announced = self.announce() => if let Err(err) = announced {
                debug!(worker = %self.worker, error = %err, "not announced");
            },
            () = self.env.sleep_until(until) => (),
        }
    }

    /// Shows this worker to the others, and counts them.
    async fn meet_others(&self) {
        if let Err(err) = self.announce().await {
            warn!(worker = %self.worker, error = %err, "not announced");
        }
        self.count_ready().await;
        if let Err(err) = self.meet_server().await {
            debug!(worker = %self.worker, error = %err, "not known who answers");
        }
        if let Err(err) = self.keep_homes().await {
            warn!(worker = %self.worker, error = %err, "agents may not be declared");
        }
    }

    /// Which start of the server answers: another one may not know of the last renewals.
    pub(super) async fn meet_server(&self) -> Result<(), StoreError> {
        let run = Run::named(&self.store.vital(&[]).await?.run);
        let now = self.env.now();
        self.brake.served_by(run, now);
        if self.ledger.met(run, now, self.config.lease.ttl() * 2) {
            warn!(worker = %self.worker, "another start of the server answers, or another server: it may have lost writes");
            self.ledger.met_another(self.env.wall());
            self.look_for_losses();
        }
        Ok(())
    }

    /// The same of the server that has `partition`, where that is one of several.
    async fn meet_keeper(&self, partition: Partition) {
        let Some(run) = self.store.run(partition).await else { return };
        let now = self.env.now();
        if self.brake.kept_by(partition, run, now) && self.ledger.doubt(now, 2 * self.config.lease.ttl()) {
            self.ledger.met_another(self.env.wall());
            self.look_for_losses();
        }
    }

    /// How many share the duties. What was counted before stands if the server does not answer.
    async fn count_ready(&self) {
        if let Ok(members) = self.store.members().await {
            let ready = members.iter().filter(|member| member.state == MemberState::Ready).count();
            self.counts.ready.store(ready, Ordering::Relaxed);
        }
    }

    fn renewed(self: &Arc<Self>, partition: Partition, attempt: Moment, renewal: Renewal) {
        let Renewal::Renewed { now, duty, alive } = renewal else {
            info!(worker = %self.worker, %partition, "buried: going on as a fresh incarnation");
            self.stops.lost.cancel();
            return;
        };
        if self.note(partition, attempt, now, duty.as_ref(), alive) == Extended::Anew {
            self.recover(partition);
        }
    }

    /// Takes in what an answered renewal said, asked for at `attempt`.
    fn note(
        &self,
        partition: Partition,
        attempt: Moment,
        server: Millis,
        duty: Option<&WorkerId>,
        alive: usize,
    ) -> Extended {
        let attempt = if planted(Bug::ClockFromReply) { self.env.now() } else { attempt };
        self.brake.answered(partition, attempt, self.env.now(), server);
        self.counts.alive.store(alive, Ordering::Relaxed);
        if let Some(keeper) = duty {
            self.counts.kept_by(keeper, self.env.now(), self.config.lease.ttl());
        }
        let draining = self.stops.drain.is_cancelled();
        self.duties.set(partition, !draining && duty == Some(&self.worker));
        self.trust.extend(partition, self.env.now(), self.trusted_until(attempt))
    }

    /// Ends trust where its time is over; the sessions there notice by themselves.
    fn lapse(&self) {
        for partition in self.trust.lapse(self.env.now()) {
            warn!(worker = %self.worker, %partition, "the lease is not trusted any more");
            self.duties.set(partition, false);
        }
    }

    /// Looks for the sessions that are still ours after trust had ended.
    fn recover(self: &Arc<Self>, partition: Partition) {
        let shared = self.clone();
        self.spawn(async move {
            match shared.store.held(partition, &shared.worker, HELD_AT_MOST).await {
                Ok(sessions) => _ = shared.commands.send(Command::Recover(sessions)).await,
                Err(err) => {
                    warn!(worker = %shared.worker, %partition, error = %err, "cannot see what is held; asking again");
                    shared.env.sleep(shared.config.lease.renew_every()).await;
                    if shared.trust.holds(partition, shared.env.now()) {
                        shared.recover(partition);
                    }
                }
            }
        });
    }

    fn trusted_until(&self, attempt: Moment) -> Moment {
        attempt.plus(self.config.lease.trusted_for())
    }

    /// The agents that take no more for now; the round that asks tells everybody.
    fn full_agents(&self) -> BTreeSet<AgentName> {
        let full = self.agents.iter().filter(|(_, hosted)| {
            let is_full = hosted.is_full();
            hosted.shown_full.store(is_full, Ordering::Relaxed);
            is_full
        });
        full.map(|(agent, _)| agent.clone()).collect()
    }

    fn presence(&self, partition: Partition, full: &BTreeSet<AgentName>) -> Presence {
        let room = self.has_room();
        self.counts.full.store(!room, Ordering::Relaxed);
        let sessions = self.counts.sessions.load(Ordering::Relaxed);
        Presence {
            worker: self.worker.clone(),
            lease: self.config.lease.ttl(),
            pool: self.pool().clone(),
            agents: self.agents.keys().cloned().collect(),
            full: full.clone(),
            load: room.then(|| self.share_of_load(sessions)),
            duty: self.wish(partition),
        }
    }

    /// What a partition is told of a load of so many sessions: its share of them, in thousandths, so that an offer
    /// made there counts as much as a session that was there before. With the whole load every partition by itself
    /// would make good a difference between workers, and all together as many times as there are partitions.
    fn share_of_load(&self, sessions: usize) -> u64 {
        let session = (1_000 / u64::from(self.store.partitions().count())).max(1);
        // Less than a session's share, so that ties fall at random and nothing else does.
        sessions as u64 * session + self.env.random_below(session)
    }

    /// An even share of the partitions' duties for everybody who is alive and does not drain.
    fn wish(&self, partition: Partition) -> DutyWish {
        if self.stops.drain.is_cancelled() {
            return DutyWish::GiveUp;
        }
        let mine = self.duties.all();
        let alive = self.counts.alive.load(Ordering::Relaxed);
        let sharing = match self.counts.ready.load(Ordering::Relaxed) {
            0 => alive,
            ready => alive.min(ready),
        };
        let share = usize::from(self.store.partitions().count()).div_ceil(sharing.max(1));
        match mine.iter().position(|held| *held == partition) {
            Some(rank) if rank >= share => DutyWish::Yield,
            Some(_) => DutyWish::Leave,
            None if mine.len() < share => DutyWish::Take,
            None => DutyWish::Leave,
        }
    }

    /// Shows this worker to everybody, for one lease.
    pub(super) async fn announce(&self) -> Result<(), StoreError> {
        let draining = self.stops.drain.is_cancelled();
        let member = Member {
            worker: self.worker.clone(),
            pool: self.pool().clone(),
            agents: self.agents.keys().cloned().collect(),
            full: self
                .agents
                .iter()
                .filter(|(_, hosted)| hosted.is_full())
                .map(|(agent, _)| agent.clone())
                .collect(),
            sessions: self.counts.sessions.load(Ordering::Relaxed),
            running: self.counts.running.load(Ordering::Relaxed),
            capacity: self.config.capacity,
            since: self.since,
            state: if draining { MemberState::Draining } else { MemberState::Ready },
            tally: self.ledger.tally(self.counts.deeds.tally(self.env.wall(), self.env.now())),
        };
        self.store.announce(&member, self.config.lease.ttl()).await
    }

    /// Gives up all duties and offers, at once: the first step of a drain.
    pub(super) async fn step_back(&self) {
        let partitions: Vec<_> = self.store.partitions().all().collect();
        for partition in &partitions {
            self.duties.set(*partition, false);
        }
        let full = &self.full_agents();
        let renewals: FuturesUnordered<_> =
            partitions
                .iter()
                .map(|partition| async move {
                    self.store.renew(*partition, &self.presence(*partition, full)).await
                })
                .collect();
        let unanswered = renewals.filter(|answer| std::future::ready(answer.is_err())).count().await;
        if unanswered > 0 || self.announce().await.is_err() {
            warn!(worker = %self.worker, "the server does not answer: others will notice by the lease");
        }
    }

    /// Says that this incarnation is over, so that nobody has to wait for its lease.
    pub(super) async fn say_goodbye(&self) {
        let burials: FuturesUnordered<_> = self
            .store
            .partitions()
            .all()
            .map(|partition| async move {
                self.store.bury(partition, &self.worker, crate::store::Ground::OwnWish).await
            })
            .collect();
        let unanswered = burials.filter(|answer| std::future::ready(answer.is_err())).count().await;
        if unanswered > 0 || self.store.retire(&self.worker).await.is_err() {
            warn!(worker = %self.worker, "could not say goodbye: others will notice by the lease");
        }
    }
}
