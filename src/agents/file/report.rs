//! Where what is wrong is noted down.

use std::ops::Range;

use super::{Level, Problem};

/// What has been found so far in one file.
pub(super) struct Report<'t> {
    file: &'t str,
    text: &'t str,
    problems: Vec<Problem>,
}

impl<'t> Report<'t> {
    pub(super) fn on(file: &'t str, text: &'t str) -> Self {
        Self { file, text, problems: Vec::new() }
    }

    /// The line, from 1, of what lies at `at`.
    pub(super) fn line(&self, at: &Range<usize>) -> usize {
        let before = &self.text.as_bytes()[..at.start.min(self.text.len())];
        1 + before.iter().filter(|byte| **byte == b'\n').count()
    }

    pub(super) fn error(&mut self, at: &Range<usize>, agent: Option<&str>, problem: impl Into<String>) {
        self.note(Level::Error, at, agent, problem.into());
    }

    pub(super) fn warning(&mut self, at: &Range<usize>, agent: Option<&str>, problem: impl Into<String>) {
        self.note(Level::Warning, at, agent, problem.into());
    }

    fn note(&mut self, level: Level, at: &Range<usize>, agent: Option<&str>, problem: String) {
        let (file, agent) = (self.file.to_owned(), agent.map(str::to_owned));
        self.problems.push(Problem { level, file, line: self.line(at), agent, problem });
    }

    /// How many errors there are.
    pub(super) fn errors(&self) -> usize {
        self.problems.iter().filter(|problem| problem.level == Level::Error).count()
    }

    /// All of them, by line.
    pub(super) fn into_problems(mut self) -> Vec<Problem> {
        self.problems.sort_by_key(|problem| problem.line);
        self.problems
    }
}
