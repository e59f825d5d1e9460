//! `agents.toml`: which agents a worker serves, and how.
//!
//! A file is read once, at the edge, into types that need no second look. What is wrong with it is
//! found all at once, each [`Problem`] with its line and what was expected there. Values of `env`
//! and `headers` are [`Secret`]s from the moment they are read.

mod exec;
#[cfg(test)]
mod garbled;
mod http;
mod problem;
mod program;
mod reading;
mod report;
mod secret;
mod section;
mod serve;
mod settings;
mod spec;
#[cfg(test)]
mod tests;
mod variables;

use std::{collections::BTreeMap, path::Path};

pub use problem::{BadAgentsFile, Level, Problem};
pub use reading::Reading;
pub use secret::Secret;
pub use spec::{AgentSpec, ExecSpec, HttpSpec, Kind};
pub use variables::Variables;

use crate::model::AgentName;

/// The agents that a file declares, all of them sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentsFile {
    /// The file, as it was named; empty where no file is.
    pub name: String,
    /// By name; `echo` is always there.
    pub agents: BTreeMap<AgentName, AgentSpec>,
    /// What may surprise, by line.
    pub warnings: Vec<Problem>,
}

impl AgentsFile {
    /// Reads the file at `path`; `variables` are those of the worker's environment.
    pub fn read(path: &Path, variables: Variables<'_>) -> Result<Self, BadAgentsFile> {
        Reading::of(path, variables).into_file()
    }

    /// What there is where no file is: the built-in `echo`.
    pub fn built_in() -> Self {
        let echo = ("echo".parse().expect("an agent's name"), AgentSpec::built_in());
        Self { name: String::new(), agents: BTreeMap::from([echo]), warnings: Vec::new() }
    }

    /// The same agents, without a word of pools: all belong to whoever reads the file.
    pub fn in_one_pool(mut self) -> Self {
        self.agents.values_mut().for_each(|spec| (spec.pool, spec.moved_from) = (None, None));
        self
    }

    /// The agent that is declared first; `echo` where no file is.
    pub fn first(&self) -> &AgentName {
        let declared = self.agents.iter().filter(|(_, spec)| spec.line > 0);
        let first = declared.min_by_key(|(_, spec)| spec.line).or_else(|| self.agents.iter().next());
        first.map(|(name, _)| name).expect("echo is always there")
    }
}
