//! A body: one JSON object, kept as the text it was given in.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _, ser::Error as _};
use serde_json::value::RawValue;

/// A JSON object, checked once and then passed through byte for byte.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Body(Arc<str>);

/// Why a body was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadBody {
    /// Not valid JSON; the parser's own words follow.
    #[error("the body is not JSON: {0}")]
    NotJson(String),
    /// JSON, but an array, a string, a number or the like.
    #[error("the body must be a JSON object, such as {{\"text\": \"hello\"}}")]
    NotAnObject,
}

impl Body {
    /// Parses a JSON object.
    pub fn parse(json: &str) -> Result<Self, BadBody> {
        let json = json.trim();
        serde_json::from_str::<&RawValue>(json).map_err(|err| BadBody::NotJson(err.to_string()))?;
        if json.starts_with('{') { Ok(Self(json.into())) } else { Err(BadBody::NotAnObject) }
    }

    /// Text as a body: `{"text": …}`.
    pub fn text(text: &str) -> Self {
        Self::of(&serde_json::json!({ "text": text })).expect("an object")
    }

    /// What a plain door takes `given` for: a JSON object as it is, all else as text.
    pub fn from_door(given: &str) -> Self {
        Self::parse(given).unwrap_or_else(|_| Self::text(given))
    }

    /// Any value that serializes to a JSON object.
    pub fn of<T: Serialize>(value: &T) -> Result<Self, BadBody> {
        let json = serde_json::to_string(value).map_err(|err| BadBody::NotJson(err.to_string()))?;
        Self::parse(&json)
    }

    /// Reads the body as `T`.
    pub fn decode<'a, T: Deserialize<'a>>(&'a self) -> Result<T, BadBody> {
        serde_json::from_str(&self.0).map_err(|err| BadBody::NotJson(err.to_string()))
    }

    /// The `text` member, if there is one that is a string.
    pub fn as_text(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Text {
            text: String,
        }
        self.decode::<Text>().ok().map(|body| body.text)
    }

    /// The JSON as given.
    pub fn as_json(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Body {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_json::from_str::<&RawValue>(&self.0).map_err(S::Error::custom)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Self::parse(raw.get()).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_json_object_is_a_body_and_all_else_at_a_door_is_text() {
        assert_eq!(Body::parse(" {\"a\":1} ").unwrap().as_json(), "{\"a\":1}");
        for other in ["[1]", "\"x\"", "7", "null"] {
            assert_eq!(Body::parse(other), Err(BadBody::NotAnObject));
            assert_eq!(Body::from_door(other).as_text().as_deref(), Some(other));
        }
        assert!(matches!(Body::parse("{\"a\""), Err(BadBody::NotJson(_))));
        assert_eq!(Body::from_door("{\"a\":1}").as_json(), "{\"a\":1}");
    }

    #[test]
    fn a_body_travels_through_serde_unchanged() {
        let body = Body::parse("{\"b\":1.50,\"a\":[]}").unwrap();
        let json = serde_json::to_string(&body).unwrap();
        assert_eq!(json, body.as_json());
        assert_eq!(serde_json::from_str::<Body>(&json).unwrap(), body);
    }
}
