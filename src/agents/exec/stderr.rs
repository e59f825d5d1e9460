//! A child's standard error: its log, and the reason when it dies.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use serde::Deserialize;
use tokio::{io::AsyncReadExt, process::ChildStderr};
use tracing::info;

use super::{calls::Whose, lines::Lines, link::Link};
use crate::{agents::file::Secret, model::AgentName};

/// A longer line is cut.
const LONGEST: usize = 64 << 10;
/// How much of the last line goes into an error.
const IN_AN_ERROR: usize = 300;
/// A shorter value is no secret, and would be struck out of every other word.
const SHORTEST_SECRET: usize = 4;

/// The log of one child.
pub(super) struct Log {
    agent: Arc<AgentName>,
    link: Link,
    secrets: Vec<String>,
    last: Mutex<String>,
}

impl Log {
    pub(super) fn new(agent: Arc<AgentName>, link: Link, env: &BTreeMap<String, Secret>) -> Self {
        let values = env.values().map(|secret| secret.expose().to_owned());
        let secrets = values.filter(|value| value.len() >= SHORTEST_SECRET).collect();
        Self { agent, link, secrets, last: Mutex::default() }
    }

    /// Writes every line into the worker's own log, until there are no more.
    pub(super) async fn keep(&self, mut errors: ChildStderr) {
        let mut lines = Lines::at_most(LONGEST);
        loop {
            match errors.read_buf(lines.room()).await {
                Ok(0) | Err(_) => return lines.last(|line| self.line(line)),
                Ok(_) if lines.each(|line| self.line(line)).is_ok() => (),
                Ok(_) => self.line(&lines.cut()[..LONGEST]),
            }
        }
    }

    /// The last line, for an error.
    pub(super) fn last(&self) -> String {
        self.last.lock().expect("nobody panics while reading it").clone()
    }

    fn line(&self, line: &[u8]) {
        let (agent, line) = (&self.agent, self.without_secrets(&String::from_utf8_lossy(line)));
        match named_session(&line) {
            Some(session) => info!(target: "agent", %agent, session, "{line}"),
            None => match self.link.calls().only() {
                Some(Whose { session, turn }) => info!(target: "agent", %agent, %session, turn, "{line}"),
                None => info!(target: "agent", %agent, "{line}"),
            },
        }
        *self.last.lock().expect("nobody panics while writing it") = line.chars().take(IN_AN_ERROR).collect();
    }

    /// What a child is given in `env` is not shown, though it shows it itself.
    fn without_secrets(&self, line: &str) -> String {
        self.secrets.iter().fold(line.to_owned(), |line, secret| line.replace(secret, "***"))
    }
}

/// A line that is a JSON object may say whose it is.
fn named_session(line: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Named {
        session: String,
    }
    line.starts_with('{').then(|| serde_json::from_str::<Named>(line).ok())?.map(|named| named.session)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agents::exec::calls::Calls;

    fn log() -> Log {
        let env =
            [("KEY", "hunter22"), ("N", "1")].map(|(name, value)| (name.to_owned(), Secret::new(value)));
        let (link, _) = Link::new(Arc::new(Calls::from(1)));
        Log::new(Arc::new("a".parse().unwrap()), link, &env.into())
    }

    #[test]
    fn the_last_line_is_kept_short_and_without_secrets() {
        let log = log();
        log.line(b"bad key hunter22, 1 try");
        assert_eq!(log.last(), "bad key ***, 1 try");
        log.line("ü".repeat(1000).as_bytes());
        assert_eq!(log.last().chars().count(), IN_AN_ERROR);
    }

    #[test]
    fn a_line_that_is_json_may_name_its_session() {
        assert_eq!(named_session(r#"{"session":"a/1","x":1}"#).as_deref(), Some("a/1"));
        assert_eq!(named_session(r#"{"session":1}"#), None);
        assert_eq!(named_session("session"), None);
    }
}
