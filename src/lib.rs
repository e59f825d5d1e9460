//! Durable sessions on Redis: one owner at a time, never orphaned.

pub mod agents;
pub mod client;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod model;
#[cfg_attr(not(feature = "planted-bugs"), allow(dead_code, unreachable_pub))]
mod planted;
pub mod runtime;
pub mod sim;
pub mod store;

pub use model::{Body, Message, SessionId};
pub use runtime::{
    Agent, AgentError, Env, Home, Moment, Readiness, Reply, StartError, Turn, Worker, WorkerBuilder,
    WorkerEvent, WorkerHandle,
};
