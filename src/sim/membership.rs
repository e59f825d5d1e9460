//! Who is there, as a process of the simulation sees it: for tests of code that asks.

use std::time::Duration;

use super::{choice::Actor, world::State};
use crate::model::{SessionId, Token};

/// How long a worker must have been out of reach before it counts as down.
pub const TICK_TIME: Duration = Duration::from_secs(15);

/// A worker, as others see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// It answers, or has not been silent for long.
    Up,
    /// It has been out of reach for the tick time.
    Down,
}

impl State {
    /// How each worker is seen by others, if one that is silent for `tick` counts as down.
    pub(super) fn members(&self, tick: Duration) -> Vec<Reach> {
        let workers = (0..self.workers).map(|worker| self.process(Actor::Worker(worker)));
        let silent = workers.map(|worker| worker.silent_for(self.now()).is_some_and(|silent| silent >= tick));
        silent.map(|is_down| if is_down { Reach::Down } else { Reach::Up }).collect()
    }

    /// Who owns a session by the server's word, if somebody does.
    pub(super) fn owner_of(&self, session: &SessionId) -> Option<Token> {
        self.server.store().inspect(session, |sight| sight?.record.owner.clone())
    }
}
