//! What an entry of the plain door says: a message, or why it is none. Pure.

use std::collections::BTreeMap;

use crate::{
    model::{
        AgentDeclaration, AgentName, Body, Durability, Group, IdempotencyKey, MessageId, NewMessage, Pool,
        ReplyTo, Resume, SessionId,
    },
    store::{IngressEntry, Refused, RelayedKind},
};

/// Reads an entry: a message, to be called `message`, or the reason why it is none.
pub(super) fn read(
    entry: &IngressEntry,
    message: MessageId,
    agents: &BTreeMap<AgentName, AgentDeclaration>,
) -> RelayedKind {
    let fields = Fields::of(entry);
    match fields.message() {
        Ok(Parsed { session, id, reply_to, group, resume, durability, body }) => {
            let how = agents.get(&session.agent());
            let pool = how.map_or_else(Pool::default, |how| how.pool.clone());
            let class = how.map(|how| how.durability).unwrap_or_default().with(durability);
            RelayedKind::Message(Box::new(NewMessage {
                session,
                message,
                id,
                reply_to,
                body,
                group,
                resume,
                durability,
                pool,
                class,
            }))
        }
        Err(sentence) => RelayedKind::Refuse(Box::new(Refused {
            session: fields.parse("to").ok().flatten(),
            id: fields.parse("id").ok().flatten(),
            reply_to: fields.parse("reply_to").ok().flatten(),
            durability: fields.parse("durability").ok().flatten().unwrap_or_default(),
            reason: "malformed".to_owned(),
            sentence,
            body: fields.as_body(),
        })),
    }
}

/// An entry's fields by name; of a name given twice the last counts.
struct Fields<'a>(BTreeMap<&'a [u8], &'a [u8]>);

/// A message's parts.
#[derive(Debug)]
struct Parsed {
    session: SessionId,
    id: Option<IdempotencyKey>,
    reply_to: Option<ReplyTo>,
    group: Option<Group>,
    resume: Option<Resume>,
    durability: Durability,
    body: Body,
}

impl<'a> Fields<'a> {
    const KNOWN: [&'static str; 7] = ["to", "body", "id", "reply_to", "group", "resume", "durability"];

    fn of(entry: &'a IngressEntry) -> Self {
        Self(entry.fields.iter().map(|(name, value)| (name.as_slice(), value.as_slice())).collect())
    }

    fn message(&self) -> Result<Parsed, String> {
        let unknown = self.0.keys().find(|name| !Self::KNOWN.iter().any(|known| known.as_bytes() == **name));
        if let Some(name) = unknown {
            let name = String::from_utf8_lossy(name);
            return Err(format!("`{name}` is not a field: {} are", Self::KNOWN.join(", ")));
        }
        let missing = |name| format!("the field `{name}` is missing: XADD … to SESSION body BODY");
        Ok(Parsed {
            session: self.parse("to")?.ok_or_else(|| missing("to"))?,
            id: self.parse("id")?,
            reply_to: self.parse("reply_to")?,
            group: self.parse("group")?,
            resume: self.parse("resume")?,
            durability: self.parse("durability")?.unwrap_or_default(),
            body: self.text("body")?.map(Body::from_door).ok_or_else(|| missing("body"))?,
        })
    }

    fn text(&self, name: &str) -> Result<Option<&'a str>, String> {
        let value = self.0.get(name.as_bytes()).map(|bytes| std::str::from_utf8(bytes));
        value.transpose().map_err(|_| format!("`{name}` is not UTF-8"))
    }

    fn parse<T: std::str::FromStr<Err: ToString>>(&self, name: &str) -> Result<Option<T>, String> {
        // An empty value is none: whoever fills a command from variables writes that.
        let value = self.text(name)?.filter(|value| !value.is_empty()).map(str::parse);
        value.transpose().map_err(|err: T::Err| err.to_string())
    }

    /// All of it, for `dead`.
    fn as_body(&self) -> Body {
        let fields: BTreeMap<_, _> = self
            .0
            .iter()
            .map(|(name, value)| (String::from_utf8_lossy(name), String::from_utf8_lossy(value)))
            .collect();
        Body::of(&fields).expect("an object")
    }
}

/// Reads an entry of any fields; for fuzzing. What is refused is refused with a sentence, and kept as a body.
#[cfg(feature = "fuzzing")]
pub(crate) fn any_entry(fields: Vec<(Vec<u8>, Vec<u8>)>) {
    let entry = IngressEntry { id: crate::model::StreamId { millis: 1, seq: 0 }, fields };
    let read = read(&entry, MessageId(uuid::Uuid::nil()), &BTreeMap::new());
    if let RelayedKind::Refuse(refused) = read {
        assert!(!refused.sentence.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::StreamId;

    fn entry(fields: &[(&str, &[u8])]) -> IngressEntry {
        let fields = fields.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.to_vec()));
        IngressEntry { id: StreamId { millis: 1, seq: 0 }, fields: fields.collect() }
    }

    /// What an entry that asks for `asked` reaches if its agent declares `declared`.
    fn class(declared: &str, asked: &str) -> (String, String) {
        let entry = entry(&[("to", b"echo/a"), ("body", b"x"), ("durability", asked.as_bytes())]);
        let durability = declared.parse().unwrap();
        let how = AgentDeclaration { pool: Pool::default(), resume: Resume::Lazy, durability };
        let agents = [("echo".parse().unwrap(), how)].into();
        let RelayedKind::Message(message) = read(&entry, MessageId(uuid::Uuid::nil()), &agents) else {
            panic!("a message")
        };
        (message.class.to_string(), message.durability.to_string())
    }

    #[test]
    fn an_entry_may_ask_for_more_than_its_agent_and_never_for_less() {
        let read = |class: &str, asked: &str| (class.to_owned(), asked.to_owned());
        assert_eq!(class("memory", ""), read("memory", "memory"));
        assert_eq!(class("memory", "replicas:1"), read("replicas:1", "replicas:1"));
        assert_eq!(class("replicas:2", "memory"), read("replicas:2", "memory"));
        assert_eq!(class("replicas:2", "fsync"), read("fsync+replicas:2", "fsync"));
    }

    #[test]
    fn text_and_objects_are_bodies_and_a_missing_or_unknown_field_is_named() {
        let text = entry(&[("to", b"echo/a"), ("body", b"hello")]);
        let parsed = Fields::of(&text).message().unwrap();
        assert_eq!(parsed.body.as_text().as_deref(), Some("hello"));
        let empty =
            entry(&[("to", b"echo/a"), ("body", b"x"), ("id", b""), ("group", b""), ("reply_to", b"")]);
        let parsed = Fields::of(&empty).message().unwrap();
        assert!(parsed.id.is_none() && parsed.group.is_none() && parsed.reply_to.is_none());
        for (fields, named) in [
            (vec![("body", b"x".as_slice())], "`to` is missing"),
            (vec![("to", b"echo/a".as_slice())], "`body` is missing"),
            (vec![("to", b"echo"), ("body", b"x")], "`echo` is not a session"),
            (vec![("to", b"echo/a"), ("body", b"x"), ("reply", b"k")], "`reply` is not a field"),
            (vec![("to", b"echo/a"), ("body", &[0xff])], "`body` is not UTF-8"),
            (vec![("to", b"echo/a"), ("body", b"x"), ("resume", b"never")], "`never` is not a resume"),
            (
                vec![("to", b"echo/a"), ("body", b"x"), ("durability", b"disk")],
                "`disk` is not a durability class",
            ),
            (vec![("to", b"echo/a"), ("body", b"x"), ("reply_to", b"tenure:x")], "is not a reply_to"),
        ] {
            let entry = entry(&fields);
            let why = Fields::of(&entry).message().unwrap_err();
            assert!(why.contains(named), "{why}");
        }
    }
}
