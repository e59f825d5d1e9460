//! Tasks, and nothing else spawns them: a worker with its sessions, leases, hints and duties.

mod env;

pub use env::{Clock, Env, Moment, Sleep};
