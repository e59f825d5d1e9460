//! Names: who and what a key, a message or a worker belongs to. Each is parsed once, at the edge.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

/// Why a name was refused: what it was meant to be, and the rule it broke.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not {what}: {rule}")]
pub struct BadAddress {
    what: &'static str,
    rule: &'static str,
    given: String,
}

impl BadAddress {
    fn new(what: &'static str, rule: &'static str, given: &str) -> Self {
        let given = given.chars().take(80).flat_map(char::escape_debug).collect();
        Self { what, rule, given }
    }
}

/// A name that is a checked string: one rule each, the same conversions for all.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $ok:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = BadAddress;

            fn from_str(given: &str) -> Result<Self, BadAddress> {
                let ok: fn(&str) -> bool = $ok;
                if ok(given) { Ok(Self(given.into())) } else { Err(BadAddress::new($what, $rule, given)) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadAddress;

            fn try_from(given: String) -> Result<Self, BadAddress> {
                given.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// Names one session: `agent/key`, 3 to 256 bytes of UTF-8.
    SessionId,
    "a session",
    "write agent/key, e.g. echo/alice: 3 to 256 bytes, the agent of a-z 0-9 _ -, the key without white space",
    |given| {
        let Some((agent, key)) = given.split_once('/') else { return false };
        given.len() <= 256
            && is_agent(agent)
            && !key.is_empty()
            && !key.chars().any(|c| c.is_whitespace() || c.is_control())
    }
);

name!(
    /// The code that takes a session's turns, by the name it is registered under.
    AgentName,
    "an agent's name",
    "1 to 64 characters of a-z 0-9 _ -, beginning with a letter or digit",
    is_agent
);

name!(
    /// A fleet's own corner of one Redis.
    Namespace,
    "a namespace",
    "1 to 32 characters of A-Z a-z 0-9 _ -",
    is_label
);

name!(
    /// A set of workers that serve the same sessions.
    Pool,
    "a pool",
    "1 to 32 characters of A-Z a-z 0-9 _ -",
    is_label
);

name!(
    /// Sessions that are listed, limited and stopped together.
    Group,
    "a group",
    "1 to 128 bytes without white space or control characters",
    |given| is_token(given, 128)
);

name!(
    /// What the operator calls a worker; a restart keeps it.
    WorkerName,
    "a worker's name",
    "1 to 64 characters of A-Z a-z 0-9 . _ -",
    |given| (1..=64).contains(&given.len()) && given.bytes().all(is_worker_byte)
);

name!(
    /// One start of one worker: its name and a random part. Never reused.
    WorkerId,
    "a worker",
    "1 to 96 characters of A-Z a-z 0-9 . _ -",
    |given| (1..=96).contains(&given.len()) && given.bytes().all(is_worker_byte)
);

name!(
    /// The sender's own key for a message: the same key is the same message, for a day at least.
    IdempotencyKey,
    "an id",
    "1 to 256 bytes without control characters",
    |given| (1..=256).contains(&given.len()) && !given.chars().any(char::is_control)
);

name!(
    /// The list that a reply is pushed to.
    ReplyTo,
    "a reply_to key",
    "1 to 512 bytes, not beginning with `tenure:`",
    |given| (1..=512).contains(&given.len()) && !given.starts_with("tenure:")
);

fn is_agent(given: &str) -> bool {
    let first = given.bytes().next();
    given.len() <= 64
        && first.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        && given.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
}

fn is_label(given: &str) -> bool {
    (1..=32).contains(&given.len())
        && given.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

fn is_token(given: &str, most: usize) -> bool {
    (1..=most).contains(&given.len()) && !given.chars().any(|c| c.is_whitespace() || c.is_control())
}

fn is_worker_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-')
}

impl SessionId {
    /// The agent that takes this session's turns.
    pub fn agent(&self) -> AgentName {
        let (agent, _) = self.0.split_once('/').expect("a session id holds a slash");
        AgentName(agent.into())
    }

    /// What decides the partition: the first non-empty `{…}` of the id, else all of it.
    ///
    /// The rule is Redis Cluster's for hash tags, so that sessions can be kept together on purpose.
    fn routing_tag(&self) -> &str {
        let tagged = self.0.split_once('{').and_then(|(_, rest)| rest.split_once('}'));
        match tagged {
            Some((tag, _)) if !tag.is_empty() => tag,
            _ => &self.0,
        }
    }
}

impl Default for Namespace {
    fn default() -> Self {
        Self("default".into())
    }
}

impl Default for Pool {
    fn default() -> Self {
        Self("default".into())
    }
}

impl WorkerId {
    /// A fresh incarnation of `name`.
    pub fn incarnation(name: &WorkerName, random: u32) -> Self {
        Self(format!("{name}-{random:08x}").into())
    }

    /// The name it was started under: all but the random part.
    pub fn name(&self) -> &str {
        self.0.rsplit_once('-').map_or(&self.0, |(name, _)| name)
    }
}

/// The unit of placement: all keys of a session, and the queues that lead to it, share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Partition(pub u16);

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A namespace's partitions and the tags that put each into its own range of Redis' hash slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partitions {
    tags: Arc<[String]>,
}

/// How many hash slots Redis Cluster has.
const SLOTS: usize = 16_384;

impl Partitions {
    /// The most partitions a namespace may have.
    pub const MOST: u16 = 1024;

    /// The `count` partitions of `namespace`; a count of 0 is taken as 1.
    ///
    /// The tag of partition i is `<namespace>.` and the first of `0 1 2 …` whose slot lies in the
    /// i-th of `count` equal ranges, so that partitions spread evenly over a cluster's masters.
    pub fn new(namespace: &Namespace, count: u16) -> Self {
        let count = usize::from(count.clamp(1, Self::MOST));
        let mut tags = vec![String::new(); count];
        let mut missing = count;
        for suffix in 0_u64.. {
            let tag = format!("{namespace}.{suffix}");
            let range = usize::from(crc16(tag.as_bytes())) % SLOTS * count / SLOTS;
            if tags[range].is_empty() {
                tags[range] = tag;
                missing -= 1;
                if missing == 0 {
                    break;
                }
            }
        }
        Self { tags: tags.into() }
    }

    /// How many there are.
    pub fn count(&self) -> u16 {
        u16::try_from(self.tags.len()).expect("at most 1024 partitions")
    }

    /// All of them, in order.
    pub fn all(&self) -> impl Iterator<Item = Partition> + use<> {
        (0..self.count()).map(Partition)
    }

    /// Where `session` lives.
    pub fn of(&self, session: &SessionId) -> Partition {
        Partition(crc16(session.routing_tag().as_bytes()) % self.count())
    }

    /// The slot tag of `partition`, without braces.
    pub fn tag(&self, partition: Partition) -> &str {
        &self.tags[usize::from(partition.0)]
    }
}

/// CRC16 as Redis Cluster computes it (XMODEM: polynomial 0x1021, start 0).
pub(crate) fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc16_is_the_one_of_redis_cluster() {
        assert_eq!(crc16(b"123456789"), 0x31C3);
    }

    #[test]
    fn a_session_id_needs_an_agent_a_slash_and_a_key() {
        for good in ["echo/a", "a/b", "support/alice/2", "0-_/ü", "echo/{tenant}x"] {
            assert!(good.parse::<SessionId>().is_ok(), "{good}");
        }
        for bad in ["", "echo", "echo/", "/a", "Echo/a", "_e/a", "echo/a b", "echo/a\n", "é/a"] {
            assert!(bad.parse::<SessionId>().is_err(), "{bad}");
        }
        assert!(format!("e/{}", "x".repeat(254)).parse::<SessionId>().is_ok());
        assert!(format!("e/{}", "x".repeat(255)).parse::<SessionId>().is_err());
        assert!(format!("{}/x", "a".repeat(65)).parse::<SessionId>().is_err());
    }

    #[test]
    fn sessions_with_one_routing_tag_share_a_partition() {
        let partitions = Partitions::new(&Namespace::default(), 64);
        let of = |id: &str| partitions.of(&id.parse().unwrap());
        assert_eq!(of("echo/{acme}1"), of("other/2{acme}"));
        assert_ne!(of("echo/{}1"), of("echo/{}2"), "an empty tag is no tag");
    }

    #[test]
    fn every_partition_lies_in_its_own_equal_range_of_slots() {
        for count in [1, 3, 64, 1024] {
            let partitions = Partitions::new(&"t-1".parse().unwrap(), count);
            for partition in partitions.all() {
                let slot = usize::from(crc16(partitions.tag(partition).as_bytes())) % SLOTS;
                assert_eq!(slot * usize::from(count) / SLOTS, usize::from(partition.0));
            }
        }
    }

    #[test]
    fn partitions_share_many_sessions_evenly() {
        let partitions = Partitions::new(&Namespace::default(), 64);
        let mut hits = vec![0; 64];
        for n in 0..64_000 {
            hits[usize::from(partitions.of(&format!("echo/{n}").parse().unwrap()).0)] += 1;
        }
        assert!(hits.iter().all(|n| (700..1300).contains(n)), "{hits:?}");
    }

    #[test]
    fn a_reply_key_of_our_own_is_refused() {
        assert!("my:replies".parse::<ReplyTo>().is_ok());
        assert!("tenure:{x}:meta:echo/a".parse::<ReplyTo>().is_err());
    }
}
