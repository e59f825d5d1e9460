//! The runtime on the memory store: virtual time, one seed, no server.

mod flaky;
mod fleet;

mod boundaries;
mod classes;
mod doors;
mod failures;
mod faults;
mod lifeline;
mod log;
mod lookup;
mod membership;
mod ownership;
mod placement;
mod poison;
mod pools;
mod rolling;
mod standstill;
mod turns;
mod upkeep;
