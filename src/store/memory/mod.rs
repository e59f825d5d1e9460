//! The contract in plain Rust.

use crate::model::Millis;

/// The server's clock.
pub trait ServerClock: Send + Sync + 'static {
    /// Milliseconds since 1970.
    fn now(&self) -> Millis;
}
