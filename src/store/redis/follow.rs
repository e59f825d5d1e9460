//! Where a worker listens in a cluster: which lines there should be, as slots move.

use std::{pin::Pin, sync::Arc};

use futures_util::future::join_all;
use tokio::sync::watch;

use super::{
    cluster::Cluster,
    keys::{Keys, Lapses},
    listener::{Channels, Line, Part},
    masters::Master,
    slots::Slot,
};
use crate::{model::WorkerId, store::StoreResult};

type Later = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A worker's view of a cluster.
pub(super) struct Follow {
    cluster: Arc<Cluster>,
    changes: watch::Receiver<u64>,
    /// A look at where slots are, that is under way.
    look: Option<Later>,
    keys: Keys,
    worker: WorkerId,
}

impl Follow {
    pub(super) fn new(cluster: Arc<Cluster>, keys: Keys, worker: WorkerId) -> Self {
        let changes = cluster.changes();
        Self { cluster, changes, look: None, keys, worker }
    }

    /// The lines to all masters, once they are made. Fails where one is not made in time.
    pub(super) async fn first_lines(&mut self) -> StoreResult<Vec<Line>> {
        let lines = join_all(self.lines(Vec::new()).into_iter().map(Line::up));
        self.cluster.in_time(lines).await
    }

    /// What there should be now: of `lines` those that are right as they are, and new ones.
    pub(super) fn lines(&self, mut lines: Vec<Line>) -> Vec<Line> {
        let wanted = self.cluster.masters().into_iter().flat_map(|master| {
            let lines = [(Part::Ear, self.ear(&master)), (Part::Watch, self.watch(&master))];
            lines.map(|(part, channels)| (part, master.target.clone(), channels))
        });
        let line = |(part, target, channels): (Part, _, Channels)| match lines
            .iter()
            .position(|line| line.is(part, &target, &channels))
        {
            Some(at) => lines.swap_remove(at),
            None => Line::to_master(part, &target, channels, &self.cluster),
        };
        wanted.filter(|(_, _, channels)| *channels != Channels::default()).map(line).collect()
    }

    /// Waits for the next change. May be dropped.
    pub(super) async fn changed(&mut self) {
        let Self { changes, look, .. } = self;
        let looked = async {
            match look {
                Some(look) => look.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            // The cluster lives as long as this does.
            _ = changes.changed() => (),
            () = looked => self.look = None,
        }
    }

    /// Asks where slots are, unless that is being done.
    pub(super) fn look_again(&mut self) {
        if self.look.is_none() {
            let cluster = self.cluster.clone();
            self.look = Some(Box::pin(async move { cluster.refresh().await }));
        }
    }

    /// Hints of the partitions that `master` has, and the lifeline if that is there.
    fn ear(&self, master: &Arc<Master>) -> Channels {
        let partitions = self.keys.partitions().all();
        let wakes = partitions.map(|partition| self.keys.partition(partition).wake(&self.worker));
        let sharded = wakes.chain([self.keys.life(&self.worker)]);
        Channels {
            sharded: sharded.filter(|channel| self.is_at(channel, master)).collect(),
            plain: Vec::new(),
        }
    }

    /// What lapses at `master`, and the lifeline if that is there.
    fn watch(&self, master: &Arc<Master>) -> Channels {
        let life = self.keys.life(&self.worker);
        let sharded = Some(life).filter(|life| self.is_at(life, master));
        Channels { sharded: sharded.into_iter().collect(), plain: vec![Lapses::channel_of(0)] }
    }

    fn is_at(&self, channel: &str, master: &Arc<Master>) -> bool {
        self.cluster.master(Slot::of(channel.as_bytes())).is_ok_and(|has| Arc::ptr_eq(&has, master))
    }
}
