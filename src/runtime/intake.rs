//! Hints in: what the server publishes to this incarnation, handed to whom it concerns.

use std::sync::Arc;

use tracing::{debug, info};

use super::{actor::Nudge, incarnation::Incarnation, supervisor::Command};
use crate::store::{Hint, Listener, Store};

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
        _ = shared.commands.send(command).await;
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
}
