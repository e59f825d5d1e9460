//! Agents that are programs of their own: real processes on the memory store, in real time.

mod desk;
mod endings;
mod faults;
mod turns;

#[path = "../support/wait.rs"]
#[allow(dead_code, reason = "every test binary takes what it needs")]
mod wait;
