//! What came of it: counted in the histories, not believed.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anstyle::AnsiColor;
use serde::Serialize;
use tenure::{
    client::Client,
    model::{EntryKind, MessageId, SessionId},
    store::{HistoryRange, Store},
};

use crate::{
    colour::painted,
    failure::{Exit, Failure},
    output,
};

/// What came of all messages.
#[derive(Debug, Default, Serialize)]
pub(super) struct Summary {
    accepted: usize,
    answered: usize,
    /// Accepted, and not in their session's history.
    lost: usize,
    /// In their session's history once more than once.
    repeated: usize,
    longest_gap_ms: u128,
}

impl Summary {
    /// What the histories say of `answered`, all of which were; `longest_gap` is the longest wait for a reply.
    pub(super) async fn of<S: Store>(
        client: &Client<S>,
        answered: &BTreeMap<SessionId, Vec<MessageId>>,
        longest_gap: Duration,
    ) -> Result<Self, Failure> {
        let mut summary = Self { longest_gap_ms: longest_gap.as_millis(), ..Self::default() };
        for (session, messages) in answered {
            let entries = client.history(session, HistoryRange::Newest(0)).await?;
            let taken = entries.iter().filter(|entry| entry.kind == EntryKind::User);
            summary.count(messages, &taken.filter_map(|entry| entry.message).collect::<Vec<_>>());
        }
        Ok(summary)
    }

    /// Adds a session whose history holds `taken` of the messages that were `answered`.
    fn count(&mut self, answered: &[MessageId], taken: &[MessageId]) {
        let different: BTreeSet<_> = taken.iter().collect();
        self.accepted += answered.len();
        self.answered += answered.len();
        self.lost += answered.iter().filter(|message| !different.contains(message)).count();
        self.repeated += taken.len() - different.len();
    }

    /// Prints it in words.
    pub(super) fn print(&self, coloured: bool) -> Result<(), Failure> {
        let Self { accepted, answered, lost, repeated, longest_gap_ms } = self;
        let style = if self.is_well() { AnsiColor::Green } else { AnsiColor::Red }.on_default().bold();
        let counts =
            format!("{accepted} messages accepted, {answered} answered, {lost} lost, {repeated} repeated");
        output::line("")?;
        output::line(painted(&counts, style, coloured))?;
        output::line(format!("the longest wait for a reply: {longest_gap_ms} ms"))
    }

    /// Whether nothing was lost or repeated.
    pub(super) fn is_well(&self) -> bool {
        self.lost == 0 && self.repeated == 0
    }
}

/// For a demonstration that shows the opposite of what it should.
pub(super) fn broken() -> Failure {
    Failure::new(Exit::Failed, "a message was lost or repeated: please report it, with the lines above")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_lost_and_what_is_there_twice_is_repeated() {
        let env = tenure::Env::system();
        let messages: Vec<_> = (0..3).map(|_| env.message_id()).collect();
        let mut summary = Summary::default();
        summary.count(&messages, &[messages[0], messages[2], messages[2]]);
        assert_eq!((summary.accepted, summary.lost, summary.repeated), (3, 1, 1));
        assert!(!summary.is_well());
    }
}
