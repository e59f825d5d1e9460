//! A simulated store without a simulation: every call takes effect at once. It is what a store's contract is tried on.

use std::{sync::Arc, time::Duration};

use super::{
    choice::Actor,
    fates::Fates,
    fleet::process,
    server::Server,
    store::SimStore,
    world::{Making, World},
};
use crate::{
    model::Millis,
    store::{MemoryStore, memory::ManualClock},
};

impl SimStore {
    /// The simulated way to `store`, on which nothing ever waits or goes wrong.
    pub fn direct(store: MemoryStore) -> Self {
        let server = Server::new(store, ManualClock::at(Millis(0)));
        let fates = Fates::new(0, None, Duration::ZERO, &[]);
        let world = World::new(Making { workers: 1, clients: 0, server, fates, patience: Duration::MAX });
        world.state().is_direct = true;
        process(&Arc::new(world), Actor::Worker(0), 0).0
    }

    /// Hands out the hints that were published so far.
    pub fn hand_out_hints(&self) {
        let mut state = self.world.state();
        state.collect_hints();
        while let Some((id, _)) = state.hints.first_key_value() {
            let id = *id;
            state.hear(id);
        }
    }
}
