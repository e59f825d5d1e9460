//! An actor of a session until it owns it: how it is told things, how it ends, and its claim.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tracing::{debug, warn};

use super::{
    env::Moment,
    incarnation::{Hosted, Incarnation},
    session::Owner,
    trust::Window,
};
use crate::{
    model::{Loss, Partition, SessionId},
    store::{Claim, Claimant, Claimed, Mail, Overdue, Purpose, Store, StoreError, Suspect},
};

/// How many waiting messages are asked for at once.
pub(super) const PAGE: usize = 8;

/// The pause before an unanswered write is repeated.
pub(super) const REPEAT_AFTER: Duration = Duration::from_millis(100);

/// What is said once of a write that waits for its class.
pub(super) const UNACKNOWLEDGED: &str =
    "what was written does not reach its durability class (see `tenure doctor`)";

/// Something that the actor should know.
#[derive(Debug)]
pub(super) enum Nudge {
    /// This arrived in the inbox.
    Mail(Box<Mail>),
    /// Something changed: look.
    Look,
    /// The worker is full: leave if there is nothing to do.
    Passivate,
}

/// Why an actor ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Departure {
    /// Nothing to do for a while, or set aside: given back.
    Released,
    /// The worker drains: given back, with what there is to run offered to another.
    HandedOff,
    /// What was written has not reached its class when the grace of a drain was over: to be handed off as it is.
    Unacknowledged,
    /// There was nothing to claim.
    NotClaimed,
    /// Another owner came.
    Fenced,
    /// The worker's lease is not trusted any more; nothing was said to the server.
    Distrusted,
    /// The whole incarnation is buried.
    Lost,
    /// The server lost writes that this actor had seen acknowledged: to be claimed again.
    Behind,
    /// It cannot be given back, for what Redis holds of it cannot be read: left as it is. Asking again
    /// would not help, and must not hold up a drain; it is claimed again, or reaped, once it can be read.
    Unreadable,
    /// The server lost something of a session that is another's, or waits, so that it cannot be written down yet.
    Unreported,
    /// A defect of ours ended it.
    Broken,
}

/// Since when an actor is idle, for whoever looks for the longest idle.
#[derive(Debug)]
pub(super) struct Activity(AtomicU64);

impl Activity {
    const BUSY: u64 = u64::MAX;

    pub(super) fn busy() -> Self {
        Self(AtomicU64::new(Self::BUSY))
    }

    /// Since when, in milliseconds of the process' clock; none while a turn is under way.
    pub(super) fn idle_since(&self) -> Option<u64> {
        let since = self.0.load(Ordering::Relaxed);
        (since != Self::BUSY).then_some(since)
    }

    pub(super) fn set_idle(&self, now: Moment) {
        self.0.store(u64::try_from(now.elapsed().as_millis()).unwrap_or(0), Ordering::Relaxed);
    }

    /// Also of one that is told to leave: it is idle again if it stays after all.
    pub(super) fn set_busy(&self) {
        self.0.store(Self::BUSY, Ordering::Relaxed);
    }
}

/// Held by the owner of a suspect until its first commit: this worker owns no other.
pub(super) type Alone = OwnedSemaphorePermit;

/// A session that was claimed.
pub(super) struct Won {
    pub(super) claimed: Box<Claimed>,
    /// If it is a suspect.
    pub(super) alone: Option<Alone>,
}

/// An actor before its claim.
pub(super) struct SessionActor<S: Store> {
    pub(super) shared: Arc<Incarnation<S>>,
    pub(super) session: SessionId,
    pub(super) hosted: Arc<Hosted>,
    pub(super) nudges: mpsc::Receiver<Nudge>,
    pub(super) activity: Arc<Activity>,
}

impl<S: Store> SessionActor<S> {
    /// Claims the session and serves it until it leaves.
    pub(super) async fn run(mut self) -> Departure {
        let partition = self.shared.store.partitions().of(&self.session);
        let Some(window) = self.shared.trust.window(partition, self.shared.env.now()) else {
            return Departure::Distrusted;
        };
        match self.win_or_report(partition, &window).await {
            Ok((won, loss)) => Owner::new(self, partition, window, won, loss).serve().await,
            Err(departure) => departure,
        }
    }

    /// Claims the session if it has something to run, or if the server lost something of it that is to be written down.
    async fn win_or_report(
        &mut self,
        partition: Partition,
        window: &Window,
    ) -> Result<(Won, Option<Loss>), Departure> {
        match self.win(partition, window, Purpose::Run).await {
            Ok(won) => {
                let loss = self.lost(Some(&won.claimed.record), window).await?;
                self.shared.ledger.returned(&self.session);
                Ok((won, loss))
            }
            Err(Departure::NotClaimed) => {
                let loss = self.lost(None, window).await?.ok_or(Departure::NotClaimed)?;
                let won = self.win(partition, window, Purpose::Report).await;
                let won = won.map_err(|departure| match departure {
                    Departure::NotClaimed => Departure::Unreported,
                    departure => departure,
                })?;
                self.shared.ledger.returned(&self.session);
                Ok((won, Some(loss)))
            }
            Err(departure) => Err(departure),
        }
    }

    /// Claims the session; one that may kill its owner waits until this worker owns no other such.
    async fn win(
        &mut self,
        partition: Partition,
        window: &Window,
        purpose: Purpose,
    ) -> Result<Won, Departure> {
        if let Some(claimed) = self.claim(partition, window, Suspect::Leave, purpose).await? {
            return Ok(Won { claimed, alone: None });
        }
        let alone = self.until_alone(window).await?;
        let claimed = self.claim(partition, window, Suspect::Take, purpose).await?;
        claimed.map(|claimed| Won { claimed, alone: Some(alone) }).ok_or(Departure::NotClaimed)
    }

    /// Waits for the one place that this worker has for suspects. Meanwhile it owns nothing and is the first to leave.
    async fn until_alone(&mut self, window: &Window) -> Result<Alone, Departure> {
        debug!(session = %self.session, "a suspect waits for its turn");
        self.activity.set_idle(self.shared.env.now());
        let mut place = pin!(self.shared.suspects.clone().acquire_owned());
        loop {
            tokio::select! {
                biased;
                () = self.shared.stops.lost.cancelled() => return Err(Departure::Lost),
                () = self.shared.stops.drain.cancelled() => return Err(Departure::NotClaimed),
                () = window.ended(&self.shared.env) => return Err(Departure::Distrusted),
                place = &mut place => {
                    self.activity.set_busy();
                    return Ok(place.expect("the place is never closed"));
                }
                nudge = self.nudges.recv() => match nudge {
                    Some(Nudge::Passivate) | None => return Err(Departure::NotClaimed),
                    Some(Nudge::Mail(_) | Nudge::Look) => (),
                },
            }
        }
    }

    /// Asks until there is an answer; always with the same nonce, so that a lost answer is no second claim. None if the
    /// session is a suspect that is to be left.
    async fn claim(
        &self,
        partition: Partition,
        window: &Window,
        suspect: Suspect,
        purpose: Purpose,
    ) -> Result<Option<Box<Claimed>>, Departure> {
        let mut warned = false;
        let mut claimant = Claimant {
            worker: self.shared.worker.clone(),
            pool: self.shared.pool().clone(),
            nonce: self.shared.env.nonce(),
            own_ttl: self.shared.config.lease.own_ttl(),
            seen: self.shared.counts.seen(),
            overdue: Overdue::Spare,
            suspect,
            purpose,
            class: self.hosted.class,
        };
        let mut place = tokio::select! {
            biased;
            () = self.shared.stops.lost.cancelled() => return Err(Departure::Lost),
            () = window.ended(&self.shared.env) => return Err(Departure::Distrusted),
            place = self.shared.admission.enter(&self.shared.env) => Some(place),
        };
        loop {
            // How late it may be is known now, and not when the first was sent.
            claimant.overdue = self.shared.brake.overdue(partition, self.shared.env.now());
            let answer = tokio::select! {
                biased;
                () = self.shared.stops.lost.cancelled() => return Err(Departure::Lost),
                () = window.ended(&self.shared.env) => return Err(Departure::Distrusted),
                answer = self.shared.store.claim(&self.session, &claimant, PAGE) => answer,
            };
            match answer {
                Ok(Claim::Won(claimed)) => return Ok(Some(self.took(claimed))),
                // Its owner runs nothing any more, and gives it back. Left as it is it would count as a crash.
                Ok(Claim::Unknown(claimed)) if self.shared.stops.drain.is_cancelled() => {
                    return Ok(Some(self.took(claimed)));
                }
                Ok(Claim::Unknown(_)) if !warned => {
                    warn!(session = %self.session, class = %self.hosted.class, "{UNACKNOWLEDGED}: nothing runs before it does");
                    warned = true;
                }
                Ok(Claim::Unknown(_)) => (),
                Ok(Claim::Suspect) => return Ok(None),
                Ok(Claim::Quarantined { reason }) => {
                    warn!(session = %self.session, reason, "quarantined: `tenure unquarantine` frees it");
                    return Err(Departure::NotClaimed);
                }
                Ok(Claim::Lost) => {
                    self.shared.stops.lost.cancel();
                    return Err(Departure::Lost);
                }
                Ok(Claim::Unreadable(why)) => {
                    warn!(session = %self.session, why, "a session was written by a newer version; left alone");
                    return Err(Departure::NotClaimed);
                }
                Ok(other) => {
                    debug!(session = %self.session, outcome = ?other, "not claimed");
                    return Err(Departure::NotClaimed);
                }
                Err(err @ StoreError::Unreadable { .. }) => {
                    warn!(session = %self.session, error = %err, "a session cannot be claimed");
                    return Err(Departure::NotClaimed);
                }
                Err(err) => debug!(session = %self.session, error = %err, "claiming again"),
            }
            // Whoever has to wait holds up nobody: a class that is not reached is one agent's trouble, not its worker's.
            drop(place.take());
            self.shared.env.sleep(REPEAT_AFTER).await;
        }
    }

    fn took(&self, claimed: Box<Claimed>) -> Box<Claimed> {
        self.shared.admission.took(self.shared.env.now(), &claimed);
        self.shared.counts.saw(claimed.lease.epoch());
        claimed
    }
}
