//! Where it happens: sees what workers begin and people are told, and kills a worker in between.

use std::{collections::BTreeMap, time::Duration};

use tenure::{
    client::Client,
    model::{MessageId, SessionId, WorkerName},
    runtime::Moment,
    store::Store,
};
use tokio::sync::mpsc::UnboundedReceiver;

use super::{
    agent::{Begun, TURN},
    fleet::Fleet,
    people::{Plan, Said},
    summary::{self, Summary},
    timeline::{Event, Timeline},
};
use crate::failure::Failure;

/// The fleet, and all that is known of what it does.
pub(super) struct Stage {
    fleet: Fleet,
    told: UnboundedReceiver<Begun>,
    timeline: Timeline,
    owners: BTreeMap<SessionId, WorkerName>,
    /// How many replies there are before a worker is killed.
    kill_after: usize,
    /// How many there are to be.
    total: usize,
    answered: BTreeMap<SessionId, Vec<MessageId>>,
    death: Death,
    longest_gap: Duration,
}

/// The worker that is killed.
enum Death {
    /// Nobody yet.
    Ahead,
    /// Whoever has this turn, at its half.
    At(Moment, Begun),
    /// It is dead since then.
    Past(Moment, WorkerName),
}

impl Stage {
    pub(super) fn new(fleet: Fleet, told: UnboundedReceiver<Begun>, timeline: Timeline, plan: &Plan) -> Self {
        Self {
            fleet,
            told,
            timeline,
            owners: BTreeMap::new(),
            kill_after: plan.total() / 3,
            total: plan.total(),
            answered: BTreeMap::new(),
            death: Death::Ahead,
            longest_gap: Duration::ZERO,
        }
    }

    /// Says who is there.
    pub(super) fn open(&self) -> Result<(), Failure> {
        self.fleet.names().iter().try_for_each(|worker| self.timeline.add(Event::Ready { worker }))
    }

    fn replies(&self) -> usize {
        self.answered.values().map(Vec::len).sum()
    }

    /// Shows what happens, until the last reply.
    pub(super) async fn run(&mut self, mut said: UnboundedReceiver<Said>) -> Result<(), Failure> {
        let listening = self.fleet.listen();
        tokio::pin!(listening);
        while self.replies() < self.total {
            let at = match &self.death {
                Death::At(at, _) => Some(*at),
                Death::Ahead | Death::Past(..) => None,
            };
            tokio::select! {
                biased;
                never = &mut listening => match never {},
                () = self.timeline.until(at.unwrap_or_default()), if at.is_some() => self.kill().await?,
                Some(begun) = self.told.recv() => self.begun(begun)?,
                Some(said) = said.recv() => self.said(&said)?,
            };
        }
        Ok(())
    }

    /// A worker has begun a turn: what that says of its session's owner.
    fn begun(&mut self, begun: Begun) -> Result<(), Failure> {
        let Begun { worker, session, turn } = &begun;
        match (self.owners.insert(session.clone(), worker.clone()), &self.death) {
            (Some(before), Death::Past(since, dead)) if before == *dead => {
                let after_ms = self.timeline.now().since(*since).as_millis();
                self.timeline.add(Event::TakenOver { worker, session, turn: *turn, after_ms })?;
            }
            (Some(before), _) if before == *worker => (),
            _ => self.timeline.add(Event::Claimed { worker, session })?,
        }
        if matches!(self.death, Death::Ahead)
            && self.replies() >= self.kill_after
            && self.is_busiest(&begun.worker)
        {
            self.death = Death::At(self.timeline.now().plus(TURN / 2), begun);
        }
        Ok(())
    }

    /// Whether nobody owns more sessions: its end is the one worth seeing.
    fn is_busiest(&self, worker: &WorkerName) -> bool {
        let owned = |name: &WorkerName| self.owners.values().filter(|owner| *owner == name).count();
        self.fleet.names().iter().all(|other| owned(other) <= owned(worker))
    }

    fn said(&mut self, said: &Said) -> Result<(), Failure> {
        let Said { session, message, number, reply, waited } = said;
        self.answered.entry(session.clone()).or_default().push(*message);
        self.longest_gap = self.longest_gap.max(*waited);
        // The turn has begun before it is answered, and that was told.
        let Some(worker) = self.owners.get(session) else { return Ok(()) };
        let waited_ms = waited.as_millis();
        self.timeline.add(Event::Replied { worker, session, turn: *number, reply, waited_ms })
    }

    async fn kill(&mut self) -> Result<(), Failure> {
        let now = self.timeline.now();
        if let Death::At(_, Begun { worker, session, turn }) =
            std::mem::replace(&mut self.death, Death::Ahead)
        {
            self.fleet.kill(&worker).await?;
            self.timeline.add(Event::Killed { worker: &worker, session: &session, turn })?;
            self.death = Death::Past(now, worker);
        }
        Ok(())
    }

    /// Counts what came of it.
    pub(super) async fn finish<S: Store>(&self, client: &Client<S>) -> Result<(), Failure> {
        let summary = Summary::of(client, &self.answered, self.longest_gap).await?;
        let is_well = summary.is_well();
        self.timeline.add(Event::Summary(summary))?;
        if is_well { Ok(()) } else { Err(summary::broken()) }
    }

    /// Ends the fleet.
    pub(super) async fn close(&mut self) -> Result<(), Failure> {
        self.fleet.end().await
    }
}
