//! What a sender puts into a session's inbox, and what comes back.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Body, Durability, EntryId, Group, IdempotencyKey, Millis, Pool, ReplyTo, Resume, SessionId};

/// Given to a message at acceptance: a UUID of version 7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MessageId(pub Uuid);

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A message on its way in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMessage {
    /// Whom it is for.
    pub session: SessionId,
    /// What it will be called if it is accepted (and not a repeat).
    pub message: MessageId,
    /// The sender's own key, if any.
    pub id: Option<IdempotencyKey>,
    /// Where the reply is to be pushed, if anywhere.
    pub reply_to: Option<ReplyTo>,
    /// Its content.
    pub body: Body,
    /// The group a session made by this message joins.
    pub group: Option<Group>,
    /// The resume policy a session made by this message gets, over its agent's.
    pub resume: Option<Resume>,
    /// What its sender asks for over its agent's class; `memory` asks for nothing.
    pub durability: Durability,
    /// The pool that the sender believes serves the agent.
    pub pool: Pool,
    /// What its acceptance reaches before it is told: what covers its agent's class and its own.
    pub class: Durability,
}

/// A message as it stands in an inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its number in the session, from 1.
    pub number: u64,
    /// What it is called.
    pub message: MessageId,
    /// When it was accepted, by the server's clock.
    pub time: Millis,
    /// The sender's own key, if any.
    pub id: Option<IdempotencyKey>,
    /// Where the reply is to be pushed, if anywhere.
    pub reply_to: Option<ReplyTo>,
    /// What its sender asks for over its agent's class; `memory` asks for nothing.
    pub durability: Durability,
    /// Its content.
    pub body: Body,
    /// Whether its sender [sealed](crate::model::seal) it: then its answer is sealed as well.
    pub sealed: bool,
}

/// What a sender gets back at its `reply_to`: a reply, or an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// The session, where one could be read.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub session: Option<SessionId>,
    /// The message, if it was accepted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub message: Option<MessageId>,
    /// The sender's own key, if it gave one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub id: Option<IdempotencyKey>,
    /// The turn that answered.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub turn: Option<u64>,
    /// The `assistant` entry, if there is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub entry: Option<EntryId>,
    /// The reply; null if the turn ended without one.
    #[serde(skip_serializing_if = "Option::is_none", default, with = "present")]
    pub reply: Option<Option<Body>>,
    /// Why there is no reply.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<ErrorReply>,
    /// What its turn's commit has reached before anybody is told, where that is more than `memory`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub class: Option<Durability>,
}

/// Why a message got no reply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorReply {
    /// One word, stable.
    pub reason: String,
    /// A sentence for people.
    pub message: String,
}

impl Envelope {
    /// The reply to `message`.
    pub fn reply(
        session: &SessionId,
        message: &Message,
        turn: u64,
        entry: Option<EntryId>,
        reply: Option<Body>,
    ) -> Self {
        Self {
            session: Some(session.clone()),
            message: Some(message.message),
            id: message.id.clone(),
            turn: Some(turn),
            entry,
            reply: Some(reply),
            error: None,
            class: None,
        }
    }

    /// An error in place of a reply to `message`.
    pub fn error(session: &SessionId, message: &Message, reason: &str, text: &str) -> Self {
        Self {
            session: Some(session.clone()),
            message: Some(message.message),
            id: message.id.clone(),
            turn: None,
            entry: None,
            reply: None,
            error: Some(ErrorReply { reason: reason.to_owned(), message: text.to_owned() }),
            class: None,
        }
    }

    /// The same, not to be told before its turn's commit has reached `class`.
    pub fn at(self, class: Durability) -> Self {
        Self { class: (class != Durability::MEMORY).then_some(class), ..self }
    }

    /// As one line of JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("an envelope is plain data")
    }
}

/// A member that may be absent, null or there: serde's `Option<Option<T>>`.
mod present {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<T: Serialize, S: Serializer>(
        value: &Option<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        value.serialize(serializer)
    }

    pub(super) fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<T>, D::Error> {
        T::deserialize(deserializer).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_tells_no_reply_from_an_error() {
        let silent = r#"{"session":"echo/a","turn":1,"reply":null}"#;
        let envelope: Envelope = serde_json::from_str(silent).unwrap();
        assert_eq!(envelope.reply, Some(None));
        assert_eq!(envelope.to_json(), silent);
        let failed = r#"{"session":"echo/a","error":{"reason":"failed","message":"no"}}"#;
        let envelope: Envelope = serde_json::from_str(failed).unwrap();
        assert_eq!(envelope.reply, None);
        assert_eq!(envelope.to_json(), failed);
    }

    #[test]
    fn an_envelope_carries_its_class_where_that_is_more_than_memory() {
        let silent = r#"{"session":"echo/a","turn":1,"reply":null"#;
        let envelope: Envelope = serde_json::from_str(&format!("{silent}}}")).unwrap();
        let replicated = envelope.clone().at("replicas:1".parse().unwrap()).to_json();
        assert_eq!(replicated, format!("{silent},\"class\":\"replicas:1\"}}"));
        assert_eq!(envelope.at(Durability::MEMORY).to_json(), format!("{silent}}}"));
    }
}
