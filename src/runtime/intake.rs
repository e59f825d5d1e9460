//! Hints in: what the server publishes to this incarnation, handed to whom it concerns.

use std::sync::Arc;

use tokio::sync::mpsc::error::SendError;
use tracing::{debug, info};

use super::{actor::Nudge, incarnation::Incarnation, supervisor::Command};
use crate::{
    model::SessionId,
    store::{Hint, Listener, Store},
};

/// Passes hints on until the incarnation ends.
pub(super) async fn run<S: Store>(shared: Arc<Incarnation<S>>, mut hints: S::Listener) {
    loop {
        let hint = tokio::select! {
            biased;
            () = shared.stops.lost.cancelled() => return,
            hint = hints.recv() => hint,
        };
        let Some(command) = shared.heed(hint) else { continue };
        // Nobody acts on it any more while a drain ends: but as long as this lives, the lifeline must.
        if let Err(SendError(Command::Offered(session))) = shared.commands.send(command).await {
            shared.pass_on(session);
        }
    }
}

impl<S: Store> Incarnation<S> {
    /// Does what a hint says; gives what is for the supervisor to do.
    fn heed(&self, hint: Hint) -> Option<Command> {
        match hint {
            Hint::Wake { session, mail } => {
                return Some(Command::Wake(session, mail.map_or(Nudge::Look, Nudge::Mail)));
            }
            Hint::Offer { session } => return Some(Command::Offered(session)),
            Hint::Missed => {
                debug!(worker = %self.worker, "hints may have been lost: looking at everything");
                return Some(Command::LookEverywhere);
            }
            Hint::Buried => {
                info!(worker = %self.worker, "buried by another worker");
                self.stops.lost.cancel();
            }
            Hint::Drain => {
                info!(worker = %self.worker, "told to drain");
                self.stops.drain.cancel();
            }
            // Full: the duty has reasons enough to look.
            Hint::Lapsed(lapsed) => _ = self.lapses.try_send(lapsed),
        }
        None
    }

    /// Offers a session, which was offered to us as we began to drain, to somebody else; once, so that two who drain do not
    /// pass it to and fro. One that is lost here is offered by the duty, which looks ten times a second.
    pub(super) fn pass_on(self: &Arc<Self>, session: SessionId) {
        if !self.passed_on.lock().expect("nobody panics with the lock held").insert(session.clone()) {
            return;
        }
        let (shared, under_way) = (self.clone(), self.passing.token());
        self.spawn(async move {
            let _under_way = under_way;
            if let Err(err) = shared.store.offer(&session, shared.pool(), Some(&shared.worker)).await {
                debug!(%session, error = %err, "not passed on");
            }
        });
    }
}
