//! `agents.toml`: which agents a worker serves, and how.
//!
//! A file is read once, at the edge, into types that need no second look. What is wrong with it is
//! found all at once, each [`Problem`] with its line and what was expected there. Values of `env`
//! and `headers` are [`Secret`]s from the moment they are read.

mod problem;
mod secret;
mod serve;
mod spec;

use std::collections::BTreeMap;

pub use problem::{BadAgentsFile, Level, Problem};
pub use secret::Secret;
pub use spec::{AgentSpec, ExecSpec, HttpSpec, Kind};

use crate::model::AgentName;

/// The agents that a file declares, all of them sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentsFile {
    /// By name; `echo` is always there.
    pub agents: BTreeMap<AgentName, AgentSpec>,
}
