//! Sessions that are this worker's by the server's word, and that it does not know of.
//!
//! A claim may take effect after its worker has given up waiting for it: its lease was not trusted any more, or it began
//! to drain. Nobody else may take such a session while this worker lives, and no hint leads back to it. So each partition's `held` is looked over once a lease, a partition at a time.

use std::sync::Arc;

use tracing::debug;

use super::{incarnation::Incarnation, supervisor::Command};
use crate::{model::Partition, store::Store};

/// How many sessions of a partition are looked for at once; of more a look finds some, and the next one others.
const PAGE: usize = 10_000;

/// Looks for strays until the incarnation is over.
pub(super) async fn run<S: Store>(shared: Arc<Incarnation<S>>) {
    let partitions: Vec<_> = shared.store.partitions().all().collect();
    let every = shared.config.lease.ttl() / u32::try_from(partitions.len()).unwrap_or(u32::MAX);
    for partition in partitions.iter().cycle() {
        tokio::select! {
            biased;
            () = shared.stops.lost.cancelled() => return,
            () = shared.stops.drain.cancelled() => return,
            () = shared.env.sleep(every) => (),
        }
        look(&shared, *partition).await;
    }
}

async fn look<S: Store>(shared: &Incarnation<S>, partition: Partition) {
    // Where it is not trusted nothing is taken up; when it is again, all of it is looked for.
    if !shared.trust.holds(partition, shared.env.now()) {
        return;
    }
    match shared.store.held(partition, &shared.worker, PAGE).await {
        Ok(held) => _ = shared.commands.send(Command::Held(held)).await,
        Err(err) => debug!(%partition, error = %err, "cannot see what is held"),
    }
}
