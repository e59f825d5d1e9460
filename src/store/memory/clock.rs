//! The clock that plays the server's.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use std::time::Duration;

use crate::model::Millis;

/// What a [`MemoryStore`](super::MemoryStore) takes for the server's time.
pub trait ServerClock: Send + Sync + 'static {
    /// The server's time. It may stand still, and it may go back.
    fn now(&self) -> Millis;
}

/// A clock that stands still until it is moved by hand. Clones are the same clock.
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    /// A clock that stands at `now`.
    pub fn at(now: Millis) -> Self {
        Self(Arc::new(AtomicU64::new(now.0)))
    }

    /// Moves it to `now`, forward or back.
    pub fn set(&self, now: Millis) {
        self.0.store(now.0, Ordering::SeqCst);
    }

    /// Moves it forward.
    pub fn advance(&self, by: Duration) {
        self.set(self.now().plus(by));
    }
}

impl ServerClock for ManualClock {
    fn now(&self) -> Millis {
        Millis(self.0.load(Ordering::SeqCst))
    }
}

impl<C: ServerClock> ServerClock for Arc<C> {
    fn now(&self) -> Millis {
        self.as_ref().now()
    }
}
