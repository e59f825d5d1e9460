//! Durable sessions on Redis: one owner at a time, never orphaned.

pub mod agents;
pub mod client;
pub mod model;
pub mod runtime;
pub mod store;

pub use model::{Body, Message, SessionId};
pub use runtime::{
    Agent, AgentError, Env, Moment, Readiness, Reply, StartError, Turn, Worker, WorkerBuilder, WorkerEvent,
    WorkerHandle,
};
