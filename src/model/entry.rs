//! What a history holds.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{BadAddress, Body, Epoch, MessageId, Millis};

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// A message, as it was sent.
    User,
    /// The reply that ended a turn.
    Assistant,
    /// A call that the agent made.
    ToolCall,
    /// What such a call gave.
    ToolResult,
    /// Instructions to the agent.
    System,
    /// Something that happened to the session.
    Event,
    /// What stands for older entries.
    Summary,
}

impl EntryKind {
    const ALL: [(Self, &'static str); 7] = [
        (Self::User, "user"),
        (Self::Assistant, "assistant"),
        (Self::ToolCall, "tool_call"),
        (Self::ToolResult, "tool_result"),
        (Self::System, "system"),
        (Self::Event, "event"),
        (Self::Summary, "summary"),
    ];

    /// The word that stands in the history.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).expect("every kind has a word").1
    }

    /// Whether an agent may append it: all but `user` and `event`, which are ours to write.
    pub fn is_for_agents(self) -> bool {
        !matches!(self, Self::User | Self::Event)
    }
}

impl FromStr for EntryKind {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|(_, known)| *known == word);
        found.map(|(kind, _)| *kind).ok_or_else(|| format!("`{word}` is not a kind of entry"))
    }
}

/// Where an entry stands: the epoch it was written under and its number in the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EntryId {
    /// The epoch of the owner that wrote it.
    pub epoch: Epoch,
    /// One number per session, from 1, never restarted.
    pub seq: u64,
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.seq)
    }
}

impl FromStr for EntryId {
    type Err = String;

    fn from_str(given: &str) -> Result<Self, String> {
        let StreamId { millis, seq } = given.parse()?;
        Ok(Self { epoch: Epoch(millis), seq })
    }
}

impl TryFrom<String> for EntryId {
    type Error = String;

    fn try_from(given: String) -> Result<Self, String> {
        given.parse()
    }
}

impl From<EntryId> for String {
    fn from(id: EntryId) -> String {
        id.to_string()
    }
}

/// The id of an entry in a stream whose ids Redis gives (the plain door, `out`, `dead`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    /// Milliseconds of the server's clock.
    pub millis: u64,
    /// Number within that millisecond.
    pub seq: u64,
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.millis, self.seq)
    }
}

impl FromStr for StreamId {
    type Err = String;

    fn from_str(given: &str) -> Result<Self, String> {
        let bad = || format!("`{given}` is not an entry's id, such as 1690000000000-1");
        let (millis, seq) = given.split_once('-').ok_or_else(bad)?;
        let number = |text: &str| text.parse().map_err(|_| bad());
        Ok(Self { millis: number(millis)?, seq: number(seq)? })
    }
}

/// An entry that is to be written; its id and time are given by the commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEntry {
    /// What it is.
    pub kind: EntryKind,
    /// The message it belongs to, for `user` and `assistant`.
    pub message: Option<MessageId>,
    /// Its content.
    pub body: Body,
}

/// An entry as it stands in a history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Where it stands.
    pub id: EntryId,
    /// What it is.
    pub kind: EntryKind,
    /// The turn that wrote it, from 1.
    pub turn: u64,
    /// When, by the server's clock.
    pub time: Millis,
    /// The message it belongs to, if any.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub message: Option<MessageId>,
    /// Its content.
    pub body: Body,
}

impl From<BadAddress> for String {
    fn from(bad: BadAddress) -> String {
        bad.to_string()
    }
}
