//! A second store that begins where the first one stands: what a replica has that does not follow any more.

use std::sync::{Mutex, atomic::AtomicU8};

use tokio::sync::Notify;

use super::{MemoryStore, Shared, class, hints::Hints, namespace::State};

impl MemoryStore {
    /// A store of its own that holds what this one holds now, by the same clock. It has replicas of its own. Nobody listens to it, and it has no journal.
    pub fn fork(&self) -> Self {
        let Shared { partitions, settings, clock, .. } = &*self.shared;
        let shared = Shared {
            partitions: partitions.clone(),
            settings: settings.clone(),
            clock: clock.clone(),
            state: Mutex::new(self.state().fork()),
            replied: Notify::new(),
            posted: Notify::new(),
            appended: Notify::new(),
            following: AtomicU8::new(class::ALL),
            provided: AtomicU8::new(class::ALL),
        };
        Self { shared: shared.into() }
    }
}

impl State {
    fn fork(&self) -> Self {
        Self {
            settings: self.settings.clone(),
            agents: self.agents.clone(),
            members: self.members.clone(),
            partitions: self.partitions.clone(),
            ingress: self.ingress.clone(),
            replies: self.replies.clone(),
            hints: Hints::default(),
            journal: None,
        }
    }
}
