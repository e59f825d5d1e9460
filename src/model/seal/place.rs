//! What a seal is bound to.

use serde::{Deserialize, Serialize};

use crate::model::{EntryKind, MessageId, Namespace, SessionId};

/// What was sealed, as it stands in the seal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// A message that came sealed: so is its answer.
    Message,
    /// A message that came in clear at the plain door: its answer can be read by everybody.
    Relayed,
    /// An entry of a history.
    Entry,
    /// An agent's state.
    State,
    /// What a message was answered.
    Answer,
}

impl Content {
    fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Relayed => "relayed",
            Self::Entry => "entry",
            Self::State => "state",
            Self::Answer => "answer",
        }
    }
}

/// Where something sealed belongs: in another place it cannot be opened.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The namespace.
    pub namespace: &'a Namespace,
    /// The session, where it has one.
    pub session: Option<&'a SessionId>,
    /// What it is.
    pub content: Content,
    /// For an entry: its kind and its number.
    pub entry: Option<(EntryKind, u64)>,
    /// For an answer: to what.
    pub message: Option<MessageId>,
}

impl<'a> Place<'a> {
    /// The place of a `content` that needs no more than its session.
    pub fn of(namespace: &'a Namespace, session: Option<&'a SessionId>, content: Content) -> Self {
        Self { namespace, session, content, entry: None, message: None }
    }

    /// What is authenticated beside the text. No part holds a line break, so no two places are alike.
    pub(super) fn as_bytes(&self) -> Vec<u8> {
        let Self { namespace, session, content, entry, message } = self;
        let session = session.map(ToString::to_string).unwrap_or_default();
        let entry = entry.map(|(kind, seq)| format!("{} {seq}", kind.as_str())).unwrap_or_default();
        let message = message.map(|message| message.to_string()).unwrap_or_default();
        format!("tenure 1\n{namespace}\n{session}\n{}\n{entry}\n{message}", content.as_str()).into_bytes()
    }
}
