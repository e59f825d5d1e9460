//! Hints in: what the server publishes to this incarnation, handed to the supervisor.

use std::sync::Arc;

use tracing::debug;

use super::{incarnation::Incarnation, supervisor::Command};
use crate::store::{Hint, Listener, Store};

/// Passes hints on until the incarnation ends.
pub(super) async fn run<S: Store>(shared: Arc<Incarnation<S>>, mut hints: S::Listener) {
    loop {
        let hint = tokio::select! {
            biased;
            () = shared.stops.lost.cancelled() => return,
            hint = hints.recv() => hint,
        };
        if hint == Hint::Missed {
            debug!(worker = %shared.worker, "hints may have been lost: looking at everything");
        }
        if shared.commands.send(Command::Hint(hint)).await.is_err() {
            return;
        }
    }
}
