//! Where what is wrong is noted down.

use std::ops::Range;

use super::{Level, Problem};

/// What has been found so far in one file.
pub(super) struct Report<'t> {
    file: &'t str,
    /// Where each line ends.
    ends: Vec<usize>,
    problems: Vec<Problem>,
    errors: usize,
}

impl<'t> Report<'t> {
    pub(super) fn on(file: &'t str, text: &'t str) -> Self {
        let ends = text.match_indices('\n').map(|(at, _)| at).collect();
        Self { file, ends, problems: Vec::new(), errors: 0 }
    }

    /// The line, from 1, of what lies at `at`.
    pub(super) fn line(&self, at: &Range<usize>) -> usize {
        1 + self.ends.partition_point(|end| *end < at.start)
    }

    pub(super) fn error(&mut self, at: &Range<usize>, agent: Option<&str>, problem: impl Into<String>) {
        self.errors += 1;
        self.note(Level::Error, at, agent, problem.into());
    }

    fn note(&mut self, level: Level, at: &Range<usize>, agent: Option<&str>, problem: String) {
        let (file, agent) = (self.file.to_owned(), agent.map(str::to_owned));
        let problem = on_one_line(&problem);
        self.problems.push(Problem { level, file, line: self.line(at), agent, problem });
    }

    /// How many errors there are.
    pub(super) fn errors(&self) -> usize {
        self.errors
    }

    /// All of them, by line.
    pub(super) fn into_problems(mut self) -> Vec<Problem> {
        self.problems.sort_by_key(|problem| problem.line);
        self.problems
    }
}

/// A value that is quoted may hold anything: what could move the cursor of a terminal is written out.
fn on_one_line(problem: &str) -> String {
    problem.split_inclusive(char::is_control).fold(String::new(), |line, part| {
        match part.strip_suffix(char::is_control) {
            Some(text) => line + text + &part[text.len()..].escape_default().to_string(),
            None => line + part,
        }
    })
}
