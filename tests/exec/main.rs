//! Agents that are programs of their own: real processes, in real time; on the memory store where that is enough.

mod desk;
mod endings;
mod examples;
mod faults;
mod fleet;
mod turns;

#[path = "../support/mod.rs"]
mod support;
