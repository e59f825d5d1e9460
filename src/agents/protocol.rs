//! What passes between a worker and an agent that is not Rust: the same over a pipe and over HTTP.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::{
    model::{AgentName, Body, Entry, EntryId, EntryKind, Message, MessageId, SessionId, Timestamp},
    runtime::{AgentError, Reply, Turn},
};

/// The state of an agent that is not Rust: any JSON value, or nothing.
pub(super) type State = Option<Box<RawValue>>;

/// What such an agent is told of the turn it is to take.
#[derive(Debug, Serialize)]
pub(super) struct Params<'t> {
    session: &'t SessionId,
    agent: AgentName,
    turn: u64,
    r#try: u32,
    key: String,
    deadline: Timestamp,
    message: Incoming<'t>,
    state: &'t State,
    history: Vec<Past>,
}

#[derive(Debug, Serialize)]
struct Incoming<'t> {
    id: MessageId,
    body: &'t Body,
}

/// An entry as `tenure history --json` shows it.
#[derive(Debug, Serialize)]
struct Past {
    id: EntryId,
    kind: EntryKind,
    turn: u64,
    time: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<MessageId>,
    body: Body,
}

impl<'t> Params<'t> {
    /// What `cx` and `message` say; reads the session's history.
    pub(super) async fn of(cx: &'t Turn<State>, message: &'t Message) -> Result<Self, AgentError> {
        let history = cx.history().await?.into_iter().map(Past::from).collect();
        Ok(Self {
            session: cx.session(),
            agent: cx.session().agent(),
            turn: cx.number(),
            r#try: cx.attempt(),
            key: cx.key(),
            deadline: Timestamp(cx.deadline()),
            message: Incoming { id: message.message, body: &message.body },
            state: cx.state(),
            history,
        })
    }

    pub(super) fn session(&self) -> &'t SessionId {
        self.session
    }

    pub(super) fn turn(&self) -> u64 {
        self.turn
    }
}

impl From<Entry> for Past {
    fn from(Entry { id, kind, turn, time, message, body }: Entry) -> Self {
        Self { id, kind, turn, time: Timestamp(time), message, body }
    }
}

/// What such an agent answers when its turn is done. Members that it does not know are ignored.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Answer {
    #[serde(default)]
    reply: Option<Body>,
    /// Absent: unchanged. Null: cleared.
    #[serde(default, deserialize_with = "present")]
    state: Option<State>,
    #[serde(default)]
    append: Option<Vec<Appended>>,
}

#[derive(Debug, Deserialize)]
struct Appended {
    kind: EntryKind,
    body: Body,
}

impl Answer {
    /// What `json` says; null says nothing. An array is no result, though its items could be taken for members.
    pub(super) fn read(json: &[u8]) -> Result<Self, String> {
        match json.trim_ascii() {
            b"null" => Ok(Self::default()),
            object if object.starts_with(b"{") => {
                serde_json::from_slice(object).map_err(|err| err.to_string())
            }
            _ => Err("expected a JSON object".to_owned()),
        }
    }

    /// Makes it the outcome of the turn.
    pub(super) fn apply(self, cx: &mut Turn<State>) -> Result<Reply, AgentError> {
        for Appended { kind, body } in self.append.unwrap_or_default() {
            cx.append(kind, body)?;
        }
        if let Some(state) = self.state {
            *cx.state_mut() = state;
        }
        Ok(self.reply.map_or_else(Reply::none, Reply::body))
    }
}

/// What such an agent answers when its turn failed. A missing code is tolerated.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Refusal {
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    data: Option<RefusalData>,
}

#[derive(Debug, Default, Deserialize)]
struct RefusalData {
    #[serde(default)]
    retry: Option<bool>,
}

impl Refusal {
    /// What `json` says, if it is an object.
    pub(super) fn read(json: &[u8]) -> Option<Self> {
        let object = Some(json.trim_ascii()).filter(|json| json.starts_with(b"{"));
        object.and_then(|object| serde_json::from_slice(object).ok())
    }

    /// One that says only `message`.
    pub(super) fn saying(message: String) -> Self {
        Self { message: Some(message), data: None }
    }

    /// What it says, and whether to try again where it says that.
    pub(super) fn into_parts(self) -> (Option<String>, Option<bool>) {
        (self.message, self.data.and_then(|data| data.retry))
    }
}

/// A member that is there, be it null.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<State>, D::Error> {
    State::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(json: &str) -> Answer {
        Answer::read(json.as_bytes()).unwrap()
    }

    #[test]
    fn an_array_is_no_result() {
        assert!(Answer::read(br#"[{"text":"taken for a reply"}]"#).is_err());
        assert!(Answer::read(b" null ").is_ok());
    }

    #[test]
    fn an_absent_state_is_unchanged_and_a_null_one_is_cleared() {
        assert!(answer("{}").state.is_none());
        assert!(answer(r#"{"state":null}"#).state.unwrap().is_none());
        assert_eq!(answer(r#"{"state":[1]}"#).state.unwrap().unwrap().get(), "[1]");
    }
}
