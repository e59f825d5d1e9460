//! Reading what Redis holds: records, inboxes, histories, dead letters. Pure; never panics on any bytes.

use std::{fmt::Display, str::FromStr};

use redis::Value;
use serde::Deserialize;

use super::replies::{bytes, newer_layout, text};
use crate::{
    model::{
        Body, Cause, Crash, Durability, Entry, EntryId, Epoch, Hold, IdempotencyKey, Message, MessageId,
        Millis, Partition, ReplyTo, SessionId, SessionRecord, StreamId,
    },
    store::{DeadLetter, Hint, Mail, OutReply},
};

/// Version of the inbox records that this version reads and writes.
const RECORD: u64 = 1;

/// The layout of `meta` that this version reads and writes.
const LAYOUT: &str = "1";

/// The fields of a hash or of a stream's entry.
#[derive(Debug, Default)]
pub(super) struct Fields(Vec<(Vec<u8>, Vec<u8>)>);

impl Fields {
    /// From the flat list in which Redis gives them.
    pub(super) fn read(value: Value) -> Result<Self, String> {
        let Value::Array(parts) = value else { return Err(format!("not a list of fields: {value:?}")) };
        let mut parts = parts.into_iter();
        let mut fields = Vec::with_capacity(parts.len() / 2);
        while let (Some(name), Some(value)) = (parts.next(), parts.next()) {
            fields.push((bytes(name)?, bytes(value)?));
        }
        Ok(Self(fields))
    }

    pub(super) fn into_pairs(self) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.0
    }

    /// A field that is there and not empty.
    pub(super) fn get(&self, name: &str) -> Option<&[u8]> {
        let found = self.0.iter().find(|(field, _)| field == name.as_bytes());
        found.map(|(_, value)| value.as_slice()).filter(|value| !value.is_empty())
    }

    fn text(&self, name: &str) -> Result<Option<&str>, String> {
        let value = self.get(name).map(std::str::from_utf8).transpose();
        value.map_err(|error| format!("`{name}`: {error}"))
    }

    fn maybe<T: FromStr<Err: Display>>(&self, name: &str) -> Result<Option<T>, String> {
        let text = self.text(name)?;
        text.map(|text| text.parse().map_err(|error| format!("`{name}`: {error}"))).transpose()
    }

    fn need<T: FromStr<Err: Display>>(&self, name: &str) -> Result<T, String> {
        self.maybe(name)?.ok_or_else(|| format!("`{name}` is missing"))
    }

    fn number<T: FromStr<Err: Display> + Default>(&self, name: &str) -> Result<T, String> {
        Ok(self.maybe(name)?.unwrap_or_default())
    }

    fn message(&self) -> Result<Option<MessageId>, String> {
        Ok(self.maybe("message")?.map(MessageId))
    }

    /// A body; what is not a JSON object (somebody wrote it by hand) is kept as text.
    fn body(&self, name: &str) -> Body {
        Body::from_door(&String::from_utf8_lossy(self.get(name).unwrap_or_default()))
    }
}

/// A session's record, from its `meta`, which is not empty.
pub(super) fn session_record(meta: &Fields) -> Result<SessionRecord, String> {
    match meta.text("v")? {
        Some(LAYOUT) => (),
        other => return Err(newer_layout(other.map(str::to_owned))),
    }
    record_of_any_layout(meta)
}

/// The same as far as it can be guessed at, whoever wrote it: to look at, never to decide by.
pub(super) fn record_of_any_layout(meta: &Fields) -> Result<SessionRecord, String> {
    Ok(SessionRecord {
        pool: meta.need("pool")?,
        group: meta.maybe("group")?,
        resume: meta.maybe("resume")?,
        owner: meta.maybe("token")?,
        last_owner: meta.maybe("last")?,
        epoch: meta.maybe("epoch")?.map(Epoch),
        seq: meta.number("seq")?,
        given: meta.number("given")?,
        taken: meta.number("taken")?,
        turns: meta.number("turns")?,
        commit: meta.maybe("commit")?,
        tries: meta.number("tries")?,
        crashes: crashes(meta)?,
        backoff: meta.maybe("backoff")?.map(Millis),
        hold: hold(meta)?,
        orphaned: meta.maybe("orphaned")?.map(Millis),
        dropped: meta.maybe("dropped")?,
        unfinished: meta.maybe("unfinished")?,
        suspended: meta.maybe("suspended")?.map(Millis),
        last_message: meta.maybe("last_message")?.map(MessageId),
        created: Millis(meta.number("created")?),
        updated: Millis(meta.number("updated")?),
    })
}

fn crashes(meta: &Fields) -> Result<Vec<Crash>, String> {
    let words = meta.text("crashes")?.unwrap_or_default().split_ascii_whitespace();
    words.map(|word| word.parse().map_err(|why| format!("`crashes`: {why}"))).collect()
}

fn hold(meta: &Fields) -> Result<Option<Hold>, String> {
    match meta.text("hold")? {
        None => Ok(None),
        Some("stopped") => Ok(Some(Hold::Stopped)),
        Some("quarantined") => {
            let word = meta.text("cause")?.unwrap_or_default();
            let cause = cause(word).ok_or_else(|| format!("`cause`: `{word}` is not known"))?;
            let reason = meta.text("reason")?.unwrap_or_default().to_owned();
            Ok(Some(Hold::Quarantined { cause, reason }))
        }
        Some(other) => Err(format!("`hold`: `{other}` is not known")),
    }
}

fn cause(word: &str) -> Option<Cause> {
    let all = [
        Cause::NoWorker,
        Cause::Capacity,
        Cause::Backoff,
        Cause::OtherPool,
        Cause::Limit,
        Cause::Unreadable,
        Cause::Poison,
    ];
    all.into_iter().find(|cause| cause.as_str() == word)
}

/// The first line of an inbox element.
#[derive(Deserialize)]
struct Header {
    n: u64,
    message: MessageId,
    time: Millis,
    #[serde(default)]
    id: Option<IdempotencyKey>,
    #[serde(default)]
    reply_to: Option<ReplyTo>,
    #[serde(default)]
    durability: Durability,
}

/// All that every version's header has.
#[derive(Deserialize)]
struct Version {
    v: u64,
}

/// An element of an inbox, as far as it can be read.
pub(super) fn mail(element: &[u8]) -> Mail {
    let Some(newline) = element.iter().position(|byte| *byte == b'\n') else {
        return Mail::Unreadable("it has no header".to_owned());
    };
    let (header, body) = (&element[..newline], &element[newline + 1..]);
    let header: Header = match read_header(header) {
        Ok(header) => header,
        Err(why) => return Mail::Unreadable(why),
    };
    let read = std::str::from_utf8(body)
        .map_err(|error| format!("the body is not UTF-8: {error}"))
        .and_then(|body| Body::parse(body).map_err(|error| error.to_string()));
    let (body, malformed) = match read {
        Ok(body) => (body, None),
        Err(why) => (Body::text(&String::from_utf8_lossy(body)), Some(why)),
    };
    let Header { n, message, time, id, reply_to, durability } = header;
    let message = Message { number: n, message, time, id, reply_to, durability, body, sealed: false };
    match malformed {
        None => Mail::Message(message),
        Some(why) => Mail::Malformed(message, why),
    }
}

fn read_header(line: &[u8]) -> Result<Header, String> {
    let Version { v } = serde_json::from_slice(line).map_err(|error| format!("its header: {error}"))?;
    if v != RECORD {
        return Err(format!("written as record version {v}, by a newer version of tenure"));
    }
    serde_json::from_slice(line).map_err(|error| format!("its header: {error}"))
}

/// The elements of an inbox.
pub(super) fn mails(values: impl IntoIterator<Item = Value>) -> Result<Vec<Mail>, String> {
    values.into_iter().map(|value| Ok(mail(&bytes(value)?))).collect()
}

/// The entries of a stream: ids and fields.
pub(super) fn stream(value: Value) -> Result<Vec<(String, Fields)>, String> {
    let Value::Array(entries) = value else { return Err(format!("not a stream: {value:?}")) };
    entries.into_iter().map(stream_entry).collect()
}

fn stream_entry(value: Value) -> Result<(String, Fields), String> {
    let Value::Array(parts) = value else { return Err(format!("not an entry: {value:?}")) };
    let [id, fields] = <[Value; 2]>::try_from(parts).map_err(|_| "an entry has two parts".to_owned())?;
    Ok((text(id)?, Fields::read(fields)?))
}

/// An entry of a history.
pub(super) fn entry(id: &str, fields: &Fields) -> Result<Entry, String> {
    Ok(Entry {
        id: id.parse::<EntryId>()?,
        kind: fields.need("kind")?,
        turn: fields.number("turn")?,
        time: Millis(fields.number("time")?),
        message: fields.message()?,
        body: fields.body("body"),
    })
}

/// An entry of `dead`.
pub(super) fn dead_letter(partition: Partition, id: &str, fields: &Fields) -> Result<DeadLetter, String> {
    Ok(DeadLetter {
        partition,
        id: id.parse::<StreamId>()?,
        session: fields.maybe("session")?,
        message: fields.message()?,
        reason: fields.text("reason")?.unwrap_or_default().to_owned(),
        tries: fields.number("tries")?,
        time: Millis(fields.number("time")?),
        reply_to: fields.maybe("reply_to")?,
        durability: fields.number("durability")?,
        body: fields.body("body"),
    })
}

/// An entry of `out`.
pub(super) fn out_reply(id: &str, fields: &Fields) -> Result<OutReply, String> {
    let payload = fields.text("payload")?.unwrap_or_default().to_owned();
    Ok(OutReply { id: id.parse()?, to: fields.need("to")?, payload })
}

/// What was published to a worker; none if this version does not know it.
pub(super) fn hint(payload: &[u8]) -> Option<Hint> {
    let (kind, rest) = payload.split_at_checked(2)?;
    let session = |name: &[u8]| std::str::from_utf8(name).ok()?.parse::<SessionId>().ok();
    match kind {
        b"w " => Some(Hint::Wake { session: session(rest)?, mail: None }),
        b"o " => Some(Hint::Offer { session: session(rest)? }),
        b"b " => Some(Hint::Buried),
        b"d " => Some(Hint::Drain),
        b"m " => {
            let newline = rest.iter().position(|byte| *byte == b'\n')?;
            let mail = Box::new(mail(&rest[newline + 1..]));
            Some(Hint::Wake { session: session(&rest[..newline])?, mail: Some(mail) })
        }
        _ => None,
    }
}

/// Reads any bytes as what Redis may hold; for fuzzing.
#[cfg(feature = "fuzzing")]
pub(crate) fn any_record(bytes: &[u8], fields: Vec<(Vec<u8>, Vec<u8>)>) {
    let fields = Fields(fields);
    _ = (mail(bytes), hint(bytes), session_record(&fields), record_of_any_layout(&fields));
    let id = String::from_utf8_lossy(bytes);
    _ = (entry(&id, &fields), dead_letter(Partition(0), &id, &fields), out_reply(&id, &fields));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEADER: &str = r#"{"v":1,"n":12,"message":"01890a5d-ac96-774b-bcce-b302099a8057","time":7,"id":"a \"b\"","reply_to":"r"}"#;

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        Fields(
            pairs.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect(),
        )
    }

    #[test]
    fn an_inbox_element_is_a_header_and_a_body_as_given() {
        let Mail::Message(read) = mail(format!("{HEADER}\n{{\"b\":\n1.50}}").as_bytes()) else { panic!() };
        assert_eq!((read.number, read.time), (12, Millis(7)));
        assert_eq!(read.id.unwrap().as_str(), "a \"b\"");
        assert_eq!(read.body.as_json(), "{\"b\":\n1.50}");
    }

    #[test]
    fn a_header_says_what_its_message_asks_for_and_members_that_are_not_known_are_passed_over() {
        let asked =
            |more: &str| match mail(format!("{}{more}}}\n{{}}", HEADER.trim_end_matches('}')).as_bytes()) {
                Mail::Message(message) => message.durability.to_string(),
                other => panic!("{other:?}"),
            };
        assert_eq!(asked(""), "memory");
        assert_eq!(asked(r#","durability":"replicas:2""#), "replicas:2");
        assert_eq!(asked(r#","of a later version":7"#), "memory");
    }

    #[test]
    fn what_cannot_be_read_says_so_and_is_kept_apart() {
        let malformed = |body: &[u8]| {
            let element = [HEADER.as_bytes(), b"\n", body].concat();
            matches!(mail(&element), Mail::Malformed(message, _) if message.number == 12)
        };
        assert!(malformed(b"{\"a\":\"\xff\"}"));
        assert!(malformed(b"[1]"));
        assert!(malformed(b""));
        for unreadable in ["", "{}", "{}\n{}", "no header\n{}", "{\"v\":2,\"new\":1}\n{}"] {
            assert!(matches!(mail(unreadable.as_bytes()), Mail::Unreadable(_)), "{unreadable}");
        }
    }

    #[test]
    fn a_record_of_another_layout_is_not_guessed_at() {
        let newer = fields(&[("v", "2"), ("pool", "default")]);
        assert!(session_record(&newer).unwrap_err().contains("layout 2"));
        assert!(session_record(&fields(&[("pool", "default")])).is_err());
        let ours = fields(&[("v", "1"), ("pool", "default"), ("hold", "paused")]);
        assert!(session_record(&ours).unwrap_err().contains("`hold`"));
    }

    #[test]
    fn absent_and_empty_are_both_none() {
        let record =
            session_record(&fields(&[("v", "1"), ("pool", "p"), ("token", ""), ("group", "")])).unwrap();
        assert_eq!((record.owner, record.group, record.epoch, record.given), (None, None, None, 0));
    }

    #[test]
    fn hints_read_back() {
        let session: SessionId = "echo/a".parse().unwrap();
        assert_eq!(hint(b"w echo/a"), Some(Hint::Wake { session: session.clone(), mail: None }));
        assert_eq!(hint(b"o echo/a"), Some(Hint::Offer { session }));
        assert_eq!((hint(b"b w-1"), hint(b"d w-1")), (Some(Hint::Buried), Some(Hint::Drain)));
        let with_mail = format!("m echo/a\n{HEADER}\n{{}}");
        assert!(matches!(hint(with_mail.as_bytes()), Some(Hint::Wake { mail: Some(_), .. })));
        assert_eq!(hint(b"x echo/a"), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), name in "[a-z_]{1,9}") {
            _ = mail(&bytes);
            _ = hint(&bytes);
            let element = [HEADER.as_bytes(), b"\n", &bytes].concat();
            prop_assert!(!matches!(mail(&element), Mail::Unreadable(_)));
            let fields = Fields(vec![(b"v".to_vec(), b"1".to_vec()), (name.into_bytes(), bytes)]);
            _ = session_record(&fields);
            _ = entry("1-1", &fields);
            _ = dead_letter(Partition(0), "1-1", &fields);
            _ = out_reply("x", &fields);
        }
    }
}
