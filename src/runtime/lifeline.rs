//! The lifelines of others: who watches finds a dead process within a tenth of a second.
//!
//! Members stand in a ring, and each looks for the two after it, with one call for both. What a look proves is
//! decided in [`Watch`]; here are the clock and the server. Whoever is sure buries the dead everywhere and takes
//! from them what they held. A false alarm costs the victim a fresh start, and a server's doing is left to the lease.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures_util::future::join_all;
use tracing::{debug, info, warn};

use super::{
    env::Moment,
    incarnation::Incarnation,
    reaper::{From, Reaper},
};
use crate::{
    model::{AgentDeclaration, AgentName, Finding, Watch, WorkerId, is_outage, look_every, ring},
    store::{Bury, Ground, Run, Store, Vitals},
};

/// After how many looks the members are read again: who is new is watched from then on.
const LOOKS_AT_MEMBERS: u32 = 20;

/// How long a look may take; a slower answer is none.
const PATIENCE: Duration = Duration::from_millis(500);

/// One worker's watch over others.
pub(super) struct Lifeline<S: Store> {
    shared: Arc<Incarnation<S>>,
    watch: Watch,
    /// Whom this worker watches; the first is watched by nobody nearer.
    charges: Vec<WorkerId>,
    members: Vec<WorkerId>,
    next_members: Moment,
}

impl<S: Store> Lifeline<S> {
    pub(super) fn new(shared: Arc<Incarnation<S>>) -> Self {
        let next_members = Moment::default();
        Self { shared, watch: Watch::default(), charges: Vec::new(), members: Vec::new(), next_members }
    }

    /// Looks until the incarnation is lost.
    pub(super) async fn run(mut self) {
        loop {
            if self.shared.env.now() >= self.next_members {
                self.meet().await;
            }
            let pause = match self.look().await {
                Finding::Well => self.look_every(),
                Finding::Again(pause) => pause,
                Finding::Dead(dead) => {
                    self.confirm(dead).await;
                    self.look_every()
                }
            };
            tokio::select! {
                biased;
                () = self.shared.stops.lost.cancelled() => return,
                () = self.shared.env.sleep(pause) => (),
            }
        }
    }

    fn look_every(&self) -> Duration {
        look_every(self.shared.config.lifeline, self.members.len())
    }

    /// Who is there, and whom of them to watch. Stays as it is if the server does not answer.
    async fn meet(&mut self) {
        self.next_members = self.shared.env.now().plus(self.shared.config.lifeline * LOOKS_AT_MEMBERS);
        if let Some(members) = self.members().await {
            for gone in self.members.iter().filter(|member| !members.contains(member)) {
                self.shared.counts.missed(gone, self.shared.env.now());
            }
            self.shared.counts.met(&members, self.shared.env.now(), self.shared.config.lease.ttl());
            self.charges = ring(&self.shared.worker, &members);
            self.watch.over(&self.charges);
            self.members = members;
        }
    }

    async fn members(&self) -> Option<Vec<WorkerId>> {
        let members = self.shared.env.timeout(PATIENCE, self.shared.store.members()).await?.ok()?;
        Some(members.into_iter().map(|member| member.worker).collect())
    }

    async fn look(&mut self) -> Finding {
        if self.charges.is_empty() {
            return Finding::Well;
        }
        match self.vital(&self.charges).await {
            Some((run, present)) => {
                let (own, charges) = (present.contains(&self.shared.worker), &present);
                self.watch.looked(&run, own, |charge| charges.contains(charge))
            }
            None => {
                self.watch.unanswered();
                Finding::Well
            }
        }
    }

    /// Who of `others` is there, and whether this worker is, by one call; and under which start of the server.
    async fn vital(&self, others: &[WorkerId]) -> Option<(String, BTreeSet<WorkerId>)> {
        let all: Vec<_> = [&self.shared.worker].into_iter().chain(others).cloned().collect();
        let Vitals { run, present } =
            self.shared.env.timeout(PATIENCE, self.shared.store.vital(&all)).await?.ok()?;
        self.shared.brake.served_by(Run::named(&run), self.shared.env.now());
        let there = all.into_iter().zip(present).filter_map(|(worker, present)| present.then_some(worker));
        Some((run, there.collect()))
    }

    /// Some of those watched seem dead. Looks at everybody before anything is done about it.
    async fn confirm(&mut self, dead: Vec<WorkerId>) {
        // Unanswered: they are still missed at the next look.
        let Some(members) = self.members().await else { return };
        let Some((_, present)) = self.vital(&members).await else { return };
        let missed = members.iter().filter(|member| !present.contains(member)).count();
        let outage = !present.contains(&self.shared.worker) || is_outage(missed, members.len());
        for worker in dead {
            self.watch.spare(&worker);
            if outage {
                warn!(%worker, missed, members = members.len(), "too many lifelines broke at once: left to the lease");
            } else if members.contains(&worker) && !present.contains(&worker) {
                self.members.retain(|member| *member != worker);
                self.take_over(worker);
            }
        }
        self.next_members = self.shared.env.now();
    }

    fn take_over(&self, dead: WorkerId) {
        let from = if self.charges.first() == Some(&dead) { From::Front } else { From::Back };
        let shared = self.shared.clone();
        self.shared.spawn(async move { shared.take_over(dead, from).await });
    }
}

impl<S: Store> Incarnation<S> {
    /// How agents are served. Without an answer what this worker serves itself: that nothing is known is not that there is nothing.
    async fn agents_or_own(&self) -> BTreeMap<AgentName, AgentDeclaration> {
        match self.store.agents().await {
            Ok(agents) => agents.known,
            Err(err) => {
                debug!(worker = %self.worker, error = %err, "reaping by what is served here");
                let own = self.agents.iter();
                own.map(|(agent, hosted)| (agent.clone(), hosted.declaration(self.pool()))).collect()
            }
        }
    }

    /// Buries a worker whose process died in every partition, and takes what it held.
    async fn take_over(self: Arc<Self>, dead: WorkerId, from: From) {
        let partitions: Vec<_> = self.store.partitions().all().collect();
        let burials = partitions.iter().map(|partition| self.store.bury(*partition, &dead, Ground::Lifeline));
        let burials = join_all(burials).await;
        let buried = burials.iter().filter(|answer| matches!(answer, Ok(Bury::Buried))).count();
        self.counts.deeds.buried(&dead, self.env.wall());
        info!(worker = %dead, partitions = buried, "buried: its lifeline broke");
        if buried < partitions.len() {
            debug!(worker = %dead, ?burials, "not buried everywhere: the rest is left to the lease");
        }
        if let Err(err) = self.store.retire(&dead).await {
            debug!(worker = %dead, error = %err, "still on the list of members");
        }
        let agents = self.agents_or_own().await;
        let reaper = Reaper { store: &self.store, agents: &agents, pool: self.pool() };
        let reaped = reaper.take_all(&partitions, &dead, from).await;
        self.counts.deeds.reaped(reaped.sessions);
        info!(worker = %dead, sessions = reaped.sessions, "reaped");
        // Not before: a renewal tells of loads anew, and would tilt what is being shared out.
        self.counts.buried(&dead, self.env.now());
    }
}
