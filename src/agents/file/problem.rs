//! What is wrong with a file, and where.

use std::fmt;

use serde::Serialize;

/// One thing that is wrong, or that may surprise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// How much it matters.
    pub level: Level,
    /// The file, as it was named.
    pub file: String,
    /// The line, from 1; 0 if it is the whole file.
    pub line: usize,
    /// The agent whose table it is in, if any.
    pub agent: Option<String>,
    /// What was found, and what was expected.
    pub problem: String,
}

/// How much a problem matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// No worker starts with it.
    Error,
    /// The file is good, and yet.
    Warning,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, problem, .. } = self;
        match line {
            0 => write!(f, "{file}: {problem}"),
            _ => write!(f, "{file}:{line}: {problem}"),
        }
    }
}

/// Why a file was refused: at least one error, in the order of lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadAgentsFile(Vec<Problem>);

impl BadAgentsFile {
    pub(super) fn new(problems: Vec<Problem>) -> Self {
        assert!(!problems.is_empty(), "a file without a problem is not refused");
        Self(problems)
    }

    /// All that is wrong.
    pub fn problems(&self) -> &[Problem] {
        &self.0
    }
}

impl fmt::Display for BadAgentsFile {
    /// The first problem, and how many more there are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = &self.0[0];
        match self.0.len() - 1 {
            0 => write!(f, "{first}"),
            more => write!(f, "{first} (and {more} more: `tenure check {}`)", first.file),
        }
    }
}

impl std::error::Error for BadAgentsFile {}
