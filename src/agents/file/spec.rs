//! What a file declares, parsed: nothing in here needs a second look.

use std::{collections::BTreeMap, path::PathBuf};

use url::Url;

use super::Secret;
use crate::{
    model::{Pool, TurnPolicy},
    runtime::Home,
};

/// One agent as its table declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentSpec {
    /// The line of its table, from 1; 0 for one that no file declares.
    pub line: usize,
    /// What takes its turns.
    pub kind: Kind,
    /// How its turns are run.
    pub policy: TurnPolicy,
    /// The pool whose workers serve it; absent: that of the worker that reads the file.
    pub pool: Option<Pool>,
    /// The pool that it belonged to before, whose workers keep the sessions that still belong there.
    pub moved_from: Option<Pool>,
}

impl AgentSpec {
    /// Where its new sessions belong.
    pub fn home(&self) -> Home {
        match &self.pool {
            Some(pool) => Home::In(pool.clone()),
            // Every worker serves it, of whatever pool, and nobody asked for that.
            None if self.line == 0 => Home::Found,
            None => Home::Own,
        }
    }

    /// Whether a worker of `pool` serves it.
    pub fn is_served_in(&self, pool: &Pool) -> bool {
        self.pool.as_ref().is_none_or(|home| home == pool) || self.moved_from.as_ref() == Some(pool)
    }

    /// `echo`, where no file says anything of it.
    pub fn built_in() -> Self {
        Self { line: 0, kind: Kind::Echo, policy: TurnPolicy::default(), pool: None, moved_from: None }
    }
}

/// What takes an agent's turns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// The built-in agent that repeats what it hears.
    Echo,
    /// A process of the worker's own.
    Exec(ExecSpec),
    /// A server somewhere.
    Http(HttpSpec),
}

impl Kind {
    /// What `type` says.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Exec(_) => "exec",
            Self::Http(_) => "http",
        }
    }
}

/// A process that takes turns over its standard input and output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecSpec {
    /// The file to run, absolute: found beside the agents file or in `PATH`, and executable when it was read.
    pub program: PathBuf,
    /// The command as declared; the first is the program, the rest are its arguments.
    pub command: Vec<String>,
    /// What is set in its environment, over the worker's own.
    pub env: BTreeMap<String, Secret>,
    /// Its working directory, absolute: the agents file's.
    pub directory: PathBuf,
}

/// A server that takes turns as HTTP requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpSpec {
    /// Where turns are posted: `http` or `https`, with a host, without credentials or fragment.
    pub url: Url,
    /// What every request carries: names in lower case and legal, none that tenure sets itself; legal values.
    pub headers: BTreeMap<String, Secret>,
}
