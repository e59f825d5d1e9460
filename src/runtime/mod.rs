//! The tasks of a worker: its sessions, leases, hints and duties. What else spawns any: `agents::exec` for its
//! program, and the HTTP client.
//!
//! A run is a function of its [`Store`](crate::store::Store), its clock and its random numbers: all
//! three come from outside ([`Env`]), maps are ordered, and every `select!` is biased.

mod actor;
mod admission;
mod agent;
mod away;
mod beyond;
mod boundary;
mod brake;
mod deeds;
mod duty;
mod entry;
mod env;
mod home;
mod incarnation;
mod intake;
mod lag;
mod lease_keeper;
mod ledger;
mod lifeline;
mod losses;
mod readiness;
mod reaper;
mod relay;
mod session;
mod strays;
mod supervisor;
mod trust;
mod turn;
mod unacknowledged;
mod watchdog;
mod worker;

pub use agent::{Agent, AgentError, Reply};
#[cfg(feature = "fuzzing")]
pub(crate) use boundary::any_state;
#[cfg(feature = "fuzzing")]
pub(crate) use entry::any_entry;
pub use env::{Clock, Env, Moment, Sleep};
pub use home::Home;
pub use readiness::Readiness;
pub use turn::Turn;
pub use worker::{Load, StartError, Worker, WorkerBuilder, WorkerEvent, WorkerHandle};
