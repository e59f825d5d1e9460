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
    /// What it says, and whether to try again where it says that.
    pub(super) fn into_parts(self) -> (Option<String>, Option<bool>) {
        (self.message, self.data.and_then(|data| data.retry))
    }
}

impl From<Refusal> for AgentError {
    fn from(refusal: Refusal) -> Self {
        let (message, retry) = refusal.into_parts();
        let message = message.unwrap_or_else(|| "the agent gave no reason".to_owned());
        match retry {
            Some(false) => Self::permanent(message),
            _ => Self::new(message),
        }
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
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn an_absent_state_is_unchanged_and_a_null_one_is_cleared() {
        assert!(answer("{}").state.is_none());
        assert!(answer(r#"{"state":null}"#).state.unwrap().is_none());
        assert_eq!(answer(r#"{"state":[1]}"#).state.unwrap().unwrap().get(), "[1]");
    }

    #[test]
    fn a_refusal_is_worth_another_try_unless_it_says_no() {
        let read = |json: &str| AgentError::from(serde_json::from_str::<Refusal>(json).unwrap());
        assert_eq!(read(r#"{"message":"busy"}"#), AgentError::new("busy"));
        assert_eq!(read(r#"{"code":1,"message":"busy","data":{}}"#), AgentError::new("busy"));
        assert_eq!(read(r#"{"message":"no","data":{"retry":false}}"#), AgentError::permanent("no"));
        assert_eq!(read("{}"), AgentError::new("the agent gave no reason"));
    }
}
