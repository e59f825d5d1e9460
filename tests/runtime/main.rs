//! The runtime on the memory store: virtual time, one seed, no server.

mod fleet;

mod doors;
mod failures;
mod ownership;
mod placement;
mod turns;
