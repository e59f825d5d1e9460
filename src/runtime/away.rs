//! Partitions that take nothing of a plain door now: their master does not answer, or something there cannot be read.
//!
//! Their entries stay at the door, all of them, so that none is taken before an older one; those of other partitions go on. Each is
//! asked on the side until it answers, so that no look at the door waits for one that is silent.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    time::Duration,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::sync::watch;
use tracing::{info, warn};

use super::{incarnation::Incarnation, relay::pause_after};
use crate::{
    model::{Door, Partition},
    store::{Store, StoreResult},
};

/// Those of one door, each with the pause before it is asked.
pub(super) struct Away(watch::Sender<BTreeMap<Partition, Duration>>);

/// Tells whether anybody went away, or came back.
pub(super) type Changes = watch::Receiver<BTreeMap<Partition, Duration>>;

impl Away {
    pub(super) fn nobody() -> Self {
        Self(watch::Sender::new(BTreeMap::new()))
    }

    /// From now on this one's entries stay, until it has been asked, after a pause, and answered.
    pub(super) fn add(&self, partition: Partition, pause: Duration) {
        self.0.send_modify(|away| _ = away.insert(partition, pause));
    }

    pub(super) fn list(&self) -> BTreeSet<Partition> {
        self.0.borrow().keys().copied().collect()
    }

    pub(super) fn changes(&self) -> Changes {
        self.0.subscribe()
    }

    /// Asks those that are away until they answer, each by itself. May be dropped anywhere, and begun anew.
    pub(super) async fn ask<S: Store>(&self, shared: &Incarnation<S>, door: Door) -> Infallible {
        let (mut asked, mut changes) = (BTreeSet::new(), self.changes());
        let mut answers = FuturesUnordered::new();
        changes.mark_changed();
        loop {
            tokio::select! {
                biased;
                Some(partition) = answers.next() => {
                    asked.remove(&partition);
                    self.0.send_modify(|away| _ = away.remove(&partition));
                }
                changed = changes.changed() => {
                    changed.expect("it is our own");
                    let away = self.0.borrow().clone();
                    let new = away.into_iter().filter(|(partition, _)| asked.insert(*partition));
                    answers.extend(new.map(|(partition, pause)| until_back(shared, door, partition, pause)));
                }
            }
        }
    }
}

/// Asks a partition how far it is, until it says so.
async fn until_back<S: Store>(
    shared: &Incarnation<S>,
    door: Door,
    partition: Partition,
    mut pause: Duration,
) -> Partition {
    let mut is_told = false;
    loop {
        shared.env.sleep(pause).await;
        let Err(err) = ask_once(shared, door, partition).await else { break };
        if !is_told {
            warn!(%door, %partition, error = %err, "it does not answer: its entries stay at the door, and others go on");
            is_told = true;
        }
        pause = pause_after(&err);
    }
    if is_told {
        info!(%door, %partition, "it answers again: its entries go on");
    }
    partition
}

async fn ask_once<S: Store>(shared: &Incarnation<S>, door: Door, partition: Partition) -> StoreResult<()> {
    shared.store.cursors(door, &[partition]).await?.into_one(partition).map(drop)
}
