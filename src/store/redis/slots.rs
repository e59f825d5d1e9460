//! A cluster's slots: which one a key is in, and what a node says of who has them. Pure.

use std::{fmt, ops::Range};

use redis::Value;

use super::replies::text;
use crate::model::crc16;

/// How many there are.
pub(super) const SLOTS: usize = 16_384;

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot(u16);

/// Slots that one master has.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SlotRange {
    pub(super) slots: Range<usize>,
    /// Host and port.
    pub(super) master: String,
}

impl Slot {
    /// The slot that `key` is in.
    pub(super) fn of(key: &[u8]) -> Self {
        Self(crc16(hash_tag(key)) % SLOTS as u16)
    }

    /// By its number, as servers write it.
    pub(super) fn numbered(number: &str) -> Option<Self> {
        number.parse().ok().filter(|number| usize::from(*number) < SLOTS).map(Self)
    }

    pub(super) fn index(self) -> usize {
        self.0.into()
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What of a key says where it is: what stands between the first `{` and the next `}`, if that is not empty, else all.
pub(super) fn hash_tag(key: &[u8]) -> &[u8] {
    let open = key.iter().position(|byte| *byte == b'{');
    let tag = open.and_then(|open| {
        let rest = &key[open + 1..];
        let close = rest.iter().position(|byte| *byte == b'}')?;
        (close > 0).then(|| &rest[..close])
    });
    tag.unwrap_or(key)
}

/// The answer of `CLUSTER SLOTS`: first slot, last slot, master, replicas. Where a node does not know by what host it is
/// reached, it is the one that was asked.
pub(super) fn slot_ranges(said: Value, asked: &str) -> Result<Vec<SlotRange>, String> {
    list(said)?.into_iter().map(|range| slot_range(range, asked)).collect()
}

fn slot_range(said: Value, asked: &str) -> Result<SlotRange, String> {
    let mut parts = list(said)?.into_iter();
    let (first, last) = (number(parts.next())?, number(parts.next())?);
    let mut master = list(parts.next().ok_or("a range without a master")?)?.into_iter();
    let host = match master.next() {
        None | Some(Value::Nil) => String::new(),
        Some(host) => text(host)?,
    };
    let port = number(master.next())?;
    let host = if host.is_empty() || host == "?" { asked } else { &host };
    if first > last || last >= SLOTS {
        return Err(format!("slots {first} to {last}"));
    }
    Ok(SlotRange { slots: first..last + 1, master: address(host, port) })
}

/// Host and port as one, as servers write it.
fn address(host: &str, port: usize) -> String {
    format!("{host}:{port}")
}

fn list(value: Value) -> Result<Vec<Value>, String> {
    match value {
        Value::Array(parts) => Ok(parts),
        other => Err(format!("not a list: {other:?}")),
    }
}

fn number(value: Option<Value>) -> Result<usize, String> {
    match value {
        Some(Value::Int(number)) => usize::try_from(number).map_err(|error| error.to_string()),
        other => Err(format!("not a number: {other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Namespace, Partitions};

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn node(host: Value, port: i64) -> Value {
        Value::Array(vec![host, Value::Int(port), bulk("id")])
    }

    #[test]
    fn a_key_is_in_the_slot_of_its_hash_tag() {
        for (key, tag) in [("a{b}c", "b"), ("{}a", "{}a"), ("a{b", "a{b"), ("a{{b}}c", "{b"), ("", "")] {
            assert_eq!(hash_tag(key.as_bytes()), tag.as_bytes(), "{key}");
        }
        assert_eq!(Slot::of(b"foo"), Slot(12_182));
        assert_eq!(Slot::of(b"x{foo}y"), Slot(12_182));
    }

    #[test]
    fn partitions_lie_in_equal_ranges_of_slots() {
        let partitions = Partitions::new(&Namespace::default(), 64);
        for partition in partitions.all() {
            let slot = Slot::of(format!("tenure:{{{}}}:out", partitions.tag(partition)).as_bytes());
            assert_eq!(slot.index() * 64 / SLOTS, usize::from(partition.0));
        }
    }

    #[test]
    fn ranges_name_their_master_and_who_was_asked_where_it_does_not_know_its_host() {
        let range = |host| {
            Value::Array(vec![Value::Int(0), Value::Int(5), node(host, 7000), node(bulk("replica"), 7001)])
        };
        let said = Value::Array(vec![range(bulk("h")), range(Value::Nil), range(bulk(""))]);
        let masters = slot_ranges(said, "asked").unwrap().into_iter().map(|range| range.master);
        assert_eq!(masters.collect::<Vec<_>>(), ["h:7000", "asked:7000", "asked:7000"]);
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        let beyond = Value::Array(vec![Value::Int(0), Value::Int(16_384), node(bulk("h"), 1)]);
        for bad in [Value::Nil, Value::Array(vec![Value::Int(1)]), Value::Array(vec![beyond])] {
            assert!(slot_ranges(bad, "h").is_err());
        }
        assert_eq!((Slot::numbered("16383"), Slot::numbered("16384")), (Some(Slot(16_383)), None));
    }
}
