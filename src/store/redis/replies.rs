//! Reading what a script answered: a word, then data. Never panics, whatever the answer.

use std::{fmt::Display, str::FromStr, string::FromUtf8Error, vec::IntoIter};

use redis::Value;

use super::scripts::Name;
use crate::store::{StoreError, StoreResult};

/// The names in a list of what everybody shares. One that is none, which somebody wrote by hand, is left where it is
/// and out of this: it must not hide the others.
pub(super) fn names<T: FromStr<Err: Display>>(what: &'static str, parts: Vec<Value>) -> Vec<T> {
    let name = |part| -> Result<T, String> { text(part)?.parse().map_err(|why: T::Err| why.to_string()) };
    let read = parts
        .into_iter()
        .map(name)
        .filter_map(|name| name.inspect_err(|why| tracing::warn!(what, why, "not a name; left out")).ok());
    read.collect()
}

/// A reply, read from front to back.
#[derive(Debug)]
pub(super) struct Reply {
    script: Name,
    parts: IntoIter<Value>,
}

impl Reply {
    /// The reply of `script`, which must be a list.
    pub(super) fn of(script: Name, value: Value) -> StoreResult<Self> {
        match value {
            Value::Array(parts) => Ok(Self { script, parts: parts.into_iter() }),
            other => Err(unreadable(script, format!("not a list: {other:?}"))),
        }
    }

    /// The next part, as text.
    pub(super) fn text(&mut self) -> StoreResult<String> {
        let script = self.script;
        let part = self.next()?;
        text(part).map_err(|why| unreadable(script, why))
    }

    /// The next part, as text; none if it is empty or nil.
    pub(super) fn maybe_text(&mut self) -> StoreResult<Option<String>> {
        let script = self.script;
        match self.next()? {
            Value::Nil => Ok(None),
            part => match text(part) {
                Ok(text) => Ok((!text.is_empty()).then_some(text)),
                Err(why) => Err(unreadable(script, why)),
            },
        }
    }

    /// The next part, as text; none if it is nil. What is no UTF-8 comes in a form that is no JSON
    /// either, whatever it holds: so nobody takes it for something that can be read.
    pub(super) fn maybe_lossy(&mut self) -> StoreResult<Option<String>> {
        let script = self.script;
        match self.next()? {
            Value::Nil => Ok(None),
            part => {
                let found = bytes(part).map_err(|why| unreadable(script, why))?;
                let lossy = |error: FromUtf8Error| {
                    format!("not UTF-8: {}", String::from_utf8_lossy(error.as_bytes()))
                };
                Ok(Some(String::from_utf8(found).unwrap_or_else(lossy)))
            }
        }
    }

    /// The next part, read as what it stands for.
    pub(super) fn parse<T: FromStr<Err: Display>>(&mut self) -> StoreResult<T> {
        let text = self.text()?;
        text.parse().map_err(|why| unreadable(self.script, why))
    }

    /// The next part, read as what it stands for; none if it is empty or nil.
    pub(super) fn maybe<T: FromStr<Err: Display>>(&mut self) -> StoreResult<Option<T>> {
        let text = self.maybe_text()?;
        text.map(|text| text.parse().map_err(|why| unreadable(self.script, why))).transpose()
    }

    /// The next part, a list.
    pub(super) fn list(&mut self) -> StoreResult<Vec<Value>> {
        match self.next()? {
            Value::Array(parts) => Ok(parts),
            other => Err(unreadable(self.script, format!("not a list: {other:?}"))),
        }
    }

    /// The next part, a list of names; see [`names`].
    pub(super) fn names<T: FromStr<Err: Display>>(&mut self, what: &'static str) -> StoreResult<Vec<T>> {
        Ok(names(what, self.list()?))
    }

    /// The reply as it is left, out of a borrowed one.
    pub(super) fn take(&mut self) -> Self {
        Self { script: self.script, parts: std::mem::take(&mut self.parts) }
    }

    /// All that is left.
    pub(super) fn rest(self) -> impl Iterator<Item = Value> {
        self.parts
    }

    /// A word that this version does not know: an unreadable record, or a newer script.
    pub(super) fn unknown(mut self, word: &str) -> StoreError {
        match (word, self.maybe_text()) {
            ("unreadable", Ok(version)) => StoreError::unreadable("the session", newer_layout(version)),
            _ => unreadable(self.script, format!("`{word}` is not an answer")),
        }
    }

    fn next(&mut self) -> StoreResult<Value> {
        self.parts.next().ok_or_else(|| unreadable(self.script, "it ends too early"))
    }
}

/// Why a record of that layout cannot be read.
pub(super) fn newer_layout(version: Option<String>) -> String {
    match version {
        Some(version) => format!("written in layout {version}, by a newer version of tenure"),
        None => "it says no layout".to_owned(),
    }
}

/// Bytes of a value that is a string.
pub(super) fn bytes(value: Value) -> Result<Vec<u8>, String> {
    match value {
        Value::BulkString(bytes) => Ok(bytes),
        Value::SimpleString(text) => Ok(text.into_bytes()),
        Value::Int(number) => Ok(number.to_string().into_bytes()),
        Value::Okay => Ok(b"OK".to_vec()),
        other => Err(format!("not text: {other:?}")),
    }
}

/// A value that is text.
pub(super) fn text(value: Value) -> Result<String, String> {
    String::from_utf8(bytes(value)?).map_err(|error| error.to_string())
}

fn unreadable(script: Name, why: impl ToString) -> StoreError {
    StoreError::unreadable(format!("the reply of `{}`", script.as_str()), why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::WorkerId;

    fn reply(parts: Vec<Value>) -> Reply {
        Reply::of(Name::Offer, Value::Array(parts)).unwrap()
    }

    #[test]
    fn a_reply_is_read_from_front_to_back() {
        let mut told = reply(vec![Value::BulkString(b"told".to_vec()), Value::BulkString(b"w-1".to_vec())]);
        assert_eq!(told.text().unwrap(), "told");
        assert_eq!(told.parse::<WorkerId>().unwrap().as_str(), "w-1");
        assert!(told.text().is_err(), "it has ended");
    }

    #[test]
    fn no_reply_makes_the_reader_panic() {
        let strange = [
            Value::Nil,
            Value::Int(-1),
            Value::Double(1.5),
            Value::BulkString(vec![0xff]),
            Value::Array(vec![]),
        ];
        for value in strange {
            let list = || reply(vec![value.clone()]);
            _ = (list().text(), list().maybe_text(), list().list(), list().parse::<u64>());
            _ = (list().maybe::<u64>(), list().names::<WorkerId>("a list"), list().maybe_lossy());
            _ = Reply::of(Name::Offer, value);
        }
    }

    #[test]
    fn an_unknown_word_is_an_error_that_names_the_script() {
        let error = reply(vec![]).unknown("perhaps");
        assert!(error.to_string().contains("`offer`"), "{error}");
    }
}
