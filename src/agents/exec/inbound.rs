//! What a child says: a line read as a JSON-RPC message.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::calls::Ending;
use crate::{agents::protocol::Refusal, runtime::AgentError};

/// How much of a line that makes no sense is shown.
const SHOWN: usize = 200;

/// A message of the child's.
#[derive(Debug)]
pub(super) enum Inbound<'l> {
    /// The answer to one of our requests.
    Answer { id: u64, ending: Ending },
    /// A request of its own.
    Request { id: &'l RawValue, method: Cow<'l, str> },
    /// It tells us something.
    Notification { method: Cow<'l, str> },
    /// None of these.
    Garbage { why: &'static str, shown: String },
}

#[derive(Deserialize)]
struct Message<'l> {
    #[serde(borrow, default)]
    id: Option<&'l RawValue>,
    #[serde(borrow, default)]
    method: Option<Cow<'l, str>>,
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'l RawValue>,
    #[serde(borrow, default)]
    error: Option<&'l RawValue>,
}

/// Reads a line; a batch is as many messages, and none of them is a batch itself.
pub(super) fn read<'l>(line: &'l [u8], mut hear: impl FnMut(Inbound<'l>)) {
    let Ok(text) = std::str::from_utf8(line) else {
        return hear(Inbound::Garbage { why: "it is not UTF-8", shown: shown(line) });
    };
    match read_batch(text) {
        Some(batch) => batch.into_iter().map(|one| read_one(one.get())).for_each(hear),
        None => hear(read_one(text)),
    }
}

fn read_batch(text: &str) -> Option<Vec<&RawValue>> {
    if text.starts_with('[') { serde_json::from_str(text).ok() } else { None }
}

fn read_one(text: &str) -> Inbound<'_> {
    let message = serde_json::from_str(text).ok().and_then(read_message);
    message.unwrap_or_else(|| Inbound::Garbage {
        why: "it is no JSON-RPC message",
        shown: shown(text.as_bytes()),
    })
}

fn read_message(message: Message<'_>) -> Option<Inbound<'_>> {
    match message {
        Message { method: Some(method), id: Some(id), .. } => Some(Inbound::Request { id, method }),
        Message { method: Some(method), .. } => Some(Inbound::Notification { method }),
        Message { id: Some(id), error: Some(error), .. } => {
            Some(Inbound::Answer { id: id.get().parse().ok()?, ending: Ending::Refused(read_error(error)) })
        }
        Message { id: Some(id), result: Some(result), .. } => {
            Some(Inbound::Answer { id: id.get().parse().ok()?, ending: Ending::Answered(result.to_owned()) })
        }
        _ => None,
    }
}

fn read_error(error: &RawValue) -> AgentError {
    match serde_json::from_str::<Refusal>(error.get()) {
        Ok(refusal) => refusal.into(),
        Err(_) => AgentError::new(shown(error.get().as_bytes())),
    }
}

/// The beginning of what was said, for people.
pub(super) fn shown(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(&said[..said.len().min(4 * SHOWN)]);
    text.chars().take(SHOWN).collect()
}

/// A member that is there, be it null.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(line: &str) -> Vec<String> {
        let mut heard = Vec::new();
        read(line.as_bytes(), |message| heard.push(in_short(message)));
        heard
    }

    fn in_short(message: Inbound<'_>) -> String {
        match message {
            Inbound::Answer { id, ending: Ending::Answered(result) } => format!("{id} = {result}"),
            Inbound::Answer { id, ending: Ending::Refused(error) } => format!("{id} ! {error:?}"),
            Inbound::Answer { .. } => "?".to_owned(),
            Inbound::Request { id, method } => format!("{method} as {id}"),
            Inbound::Notification { method } => format!("{method}()"),
            Inbound::Garbage { why, .. } => why.to_owned(),
        }
    }

    #[test]
    fn answers_requests_and_notifications_are_told_apart() {
        assert_eq!(heard(r#"{"jsonrpc":"2.0","id":7,"result":{"reply":{}}}"#), [r#"7 = {"reply":{}}"#]);
        assert_eq!(heard(r#"{"id":7,"result":null,"error":null}"#), ["7 = null"]);
        assert_eq!(heard(r#"{"id":"x","method":"ask","params":{}}"#), [r#"ask as "x""#]);
        assert_eq!(heard(r#"{"method":"log"}"#), ["log()"]);
    }

    #[test]
    fn an_error_may_lack_its_code_or_be_no_object_at_all() {
        let refused = |error: &AgentError| [format!("7 ! {error:?}")];
        assert_eq!(heard(r#"{"id":7,"error":{"message":"busy"}}"#), refused(&AgentError::new("busy")));
        let no = r#"{"id":7,"error":{"code":-1,"message":"no","data":{"retry":false}}}"#;
        assert_eq!(heard(no), refused(&AgentError::permanent("no")));
        assert_eq!(heard(r#"{"id":7,"error":"boom"}"#), refused(&AgentError::new("\"boom\"")));
    }

    #[test]
    fn a_batch_is_as_many_messages_and_garbage_is_only_garbage() {
        assert_eq!(heard(r#"[{"id":1,"result":{}},7,{"id":2,"result":{}}]"#).len(), 3);
        for garbage in ["hello", "{", "[", "7", "null", r#"{"id":1}"#, r#"{"id":-1,"result":{}}"#, "{}"] {
            assert_eq!(heard(garbage).len(), 1, "{garbage}");
            assert!(heard(garbage)[0].starts_with("it is no"), "{garbage}");
        }
        let mut why = Vec::new();
        read(b"\xff{}", |message| why.push(in_short(message)));
        assert_eq!(why, ["it is not UTF-8"]);
        assert_eq!(heard("[]").len() + heard("[[[]]]").len(), 1);
    }
}
