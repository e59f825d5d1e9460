//! Names of keys and channels: the one file that builds them.

use super::slots::hash_tag;
use crate::{
    model::{
        AgentName, Door, IdempotencyKey, Namespace, Partition, Partitions, Pool, ReplyTo, SessionId, WorkerId,
    },
    store::Lapsed,
};

/// A namespace's keys. The table of what each holds is `lua/README.md`.
#[derive(Debug, Clone)]
pub struct Keys {
    namespace: Namespace,
    partitions: Partitions,
}

/// The keys of one partition; all in one slot.
#[derive(Debug, Clone)]
pub struct PartitionKeys {
    prefix: String,
}

/// The keys of one session, in the slot of its partition.
#[derive(Debug, Clone)]
pub struct SessionKeys<'a> {
    partition: PartitionKeys,
    session: &'a SessionId,
}

impl Keys {
    /// The keys of `namespace`, spread over `partitions`.
    pub fn new(namespace: Namespace, partitions: Partitions) -> Self {
        Self { namespace, partitions }
    }

    /// The namespace's partitions.
    pub fn partitions(&self) -> &Partitions {
        &self.partitions
    }

    /// The keys of one partition.
    pub fn partition(&self, partition: Partition) -> PartitionKeys {
        PartitionKeys { prefix: format!("tenure:{{{}}}:", self.partitions.tag(partition)) }
    }

    /// The keys of one session.
    pub fn session<'a>(&self, session: &'a SessionId) -> SessionKeys<'a> {
        SessionKeys { partition: self.partition(self.partitions.of(session)), session }
    }

    /// Hash: the namespace's settings.
    pub fn conf(&self) -> String {
        self.of_namespace("conf")
    }

    /// Hash: incarnation → how it shows itself.
    pub fn members(&self) -> String {
        self.of_namespace("members")
    }

    /// String that expires: whether a member's time is over.
    pub fn alive(&self, worker: &WorkerId) -> String {
        self.alive_named(worker.as_str())
    }

    /// The same of whoever stands among the members by that name.
    pub(super) fn alive_named(&self, name: &str) -> String {
        self.of_namespace(&format!("alive:{name}"))
    }

    /// The channel that a worker is subscribed to as long as its process lives; nothing is published there.
    pub fn life(&self, worker: &WorkerId) -> String {
        self.of_namespace(&format!("life:{worker}"))
    }

    /// Hash: agent → how it is served.
    pub fn agents(&self) -> String {
        self.of_namespace("agents")
    }

    /// Stream: a plain door. Without a hash tag: on a cluster doors lie on several masters.
    pub fn ingress(&self, door: Door) -> String {
        format!("tenure:{}:{door}", self.namespace)
    }

    fn of_namespace(&self, kind: &str) -> String {
        format!("tenure:{{{}}}:{kind}", self.namespace)
    }
}

/// What stands behind the slot tag of a key of ours: its kind, and of whom it is.
pub(super) fn kind_of(key: &str) -> Option<&str> {
    Some(key.strip_prefix("tenure:{")?.split_once("}:")?.1)
}

impl PartitionKeys {
    /// Hash: incarnation → its lease, or when it was buried.
    pub fn workers(&self) -> String {
        self.key("workers")
    }

    /// Sorted set: sessions by when their wait ends.
    pub fn timers(&self) -> String {
        self.key("timers")
    }

    /// Sorted set: all sessions, by name.
    pub fn index(&self) -> String {
        self.key("index")
    }

    /// Stream: replies to deliver.
    pub fn out(&self) -> String {
        self.key("out")
    }

    /// Stream: what was given up on.
    pub fn dead(&self) -> String {
        self.key("dead")
    }

    /// Hash: source → the last entry taken from it.
    pub fn cursor(&self) -> String {
        self.key("cursor")
    }

    /// Hash: written where nothing else is, so that a wait has something to wait for.
    pub fn mark(&self) -> String {
        self.key("mark")
    }

    /// String: who does the partition's upkeep.
    pub fn duty(&self) -> String {
        self.key("duty")
    }

    /// Sorted set: sessions that want an owner, by when they got there (eager ones of the dead a second before).
    pub fn ready(&self, pool: &Pool, agent: &AgentName) -> String {
        self.key(&format!("ready:{pool}:{agent}"))
    }

    /// Sorted set: workers with room, by load.
    pub fn idle(&self, pool: &Pool, agent: &AgentName) -> String {
        self.key(&format!("idle:{pool}:{agent}"))
    }

    /// Set: the sessions that an incarnation owns.
    pub fn held(&self, worker: &WorkerId) -> String {
        self.key(&format!("held:{worker}"))
    }

    /// The channel of a worker's hints.
    pub fn wake(&self, worker: &WorkerId) -> String {
        format!("{}{worker}", self.wake_prefix())
    }

    /// What a worker's name is put behind for its channel.
    pub fn wake_prefix(&self) -> String {
        self.key("wake:")
    }

    /// What stands before the kind in all of the partition's keys.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    fn key(&self, kind: &str) -> String {
        format!("{}{kind}", self.prefix)
    }
}

impl SessionKeys<'_> {
    /// The keys of the session's partition.
    pub fn partition(&self) -> &PartitionKeys {
        &self.partition
    }

    /// String that expires: the token of who has the session.
    pub fn own(&self) -> String {
        self.key("own")
    }

    /// Hash: the session's record.
    pub fn meta(&self) -> String {
        self.key("meta")
    }

    /// String: the agent's state.
    pub fn state(&self) -> String {
        self.key("state")
    }

    /// Stream: the history.
    pub fn hist(&self) -> String {
        self.key("hist")
    }

    /// List: the inbox.
    pub fn inbox(&self) -> String {
        self.key("in")
    }

    /// Hash that expires: what is remembered of a sender's own key.
    pub fn ids(&self, id: &IdempotencyKey) -> String {
        // A session has no white space, so the first space ends it.
        format!("{} {id}", self.key("ids"))
    }

    /// Sorted set: where the session waits for an owner of `pool`.
    pub fn ready(&self, pool: &Pool) -> String {
        self.partition.ready(pool, &self.session.agent())
    }

    /// Sorted set: who may be offered the session in `pool`.
    pub fn idle(&self, pool: &Pool) -> String {
        self.partition.idle(pool, &self.session.agent())
    }

    fn key(&self, kind: &str) -> String {
        format!("{}{kind}:{}", self.partition.prefix, self.session)
    }
}

/// The numbers of doors, as a pattern.
pub(super) const NUMBERS: &str = "[0-7]";

/// Patterns of a namespace's keys and channels, as rules of ACL users have them.
///
/// Where a session's own name goes on like a key (`a/b}:meta:c`), its keys match patterns of other kinds too.
pub(super) struct Patterns<'a>(&'a Namespace);

impl<'a> Patterns<'a> {
    pub(super) fn of(namespace: &'a Namespace) -> Self {
        Self(namespace)
    }

    /// What belongs to the namespace as a whole.
    pub(super) fn namespace(&self, kind: &str) -> String {
        format!("tenure:{{{}}}:{kind}", self.0)
    }

    /// What belongs to any of its partitions.
    pub(super) fn partitions(&self, kind: &str) -> String {
        format!("tenure:{{{}.*}}:{kind}", self.0)
    }

    /// What guards scripts about plain doors.
    pub(super) fn guards_of_doors(&self) -> [String; 2] {
        self.doors().map(|door| guard(&door))
    }

    /// The plain doors: the one without a number, and those with one.
    pub(super) fn doors(&self) -> [String; 2] {
        let main = format!("tenure:{}:{}", self.0, Door::MAIN);
        let numbered = format!("{main}:{NUMBERS}");
        [main, numbered]
    }
}

/// How a server says which of a namespace's keys lapsed.
#[derive(Debug, Clone)]
pub(super) struct Lapses {
    database: i64,
    alive: String,
    /// What all slot tags of the namespace begin with.
    tags: String,
}

impl Lapses {
    /// Of the keys in `database`.
    pub(super) fn of(keys: &Keys, database: i64) -> Self {
        let Keys { namespace, .. } = keys;
        Self { database, alive: keys.of_namespace("alive:"), tags: format!("tenure:{{{namespace}.") }
    }

    /// Where it says so, if it is told to: `notify-keyspace-events` with `E` and `x`.
    pub(super) fn channel(&self) -> String {
        Self::channel_of(self.database)
    }

    /// Where the keys of a database are told of.
    pub(super) fn channel_of(database: i64) -> String {
        format!("__keyevent@{database}__:expired")
    }

    /// Whose key it was, if it stood for somebody's time.
    pub(super) fn read(&self, key: &[u8]) -> Option<Lapsed> {
        let key = std::str::from_utf8(key).ok()?;
        if let Some(worker) = key.strip_prefix(&self.alive) {
            return worker.parse().ok().map(Lapsed::Worker);
        }
        let (_, session) = key.strip_prefix(&self.tags)?.split_once("}:own:")?;
        session.parse().ok().map(Lapsed::Session)
    }
}

/// The key beside `key`, in its slot, that never is there.
pub(super) fn guard(key: &str) -> String {
    format!("tenure:{{{}}}:moving", String::from_utf8_lossy(hash_tag(key.as_bytes())))
}

/// The mark in the partition of `key`.
pub(super) fn mark_beside(key: &[u8]) -> String {
    PartitionKeys { prefix: format!("tenure:{{{}}}:", String::from_utf8_lossy(hash_tag(key))) }.mark()
}

/// The list that a reply is pushed to: a key of the sender's own.
pub(super) fn reply_list(to: &ReplyTo) -> &str {
    to.as_str()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn all_keys_of_a_session_carry_the_slot_tag_of_its_partition() {
        let namespace = Namespace::default();
        let keys = Keys::new(namespace.clone(), Partitions::new(&namespace, 64));
        let session: SessionId = "echo/alice".parse().unwrap();
        let (of, pool) = (keys.session(&session), Pool::default());
        let tag = format!("tenure:{{{}}}:", keys.partitions().tag(keys.partitions().of(&session)));
        let id = "my id".parse().unwrap();
        for key in [of.own(), of.meta(), of.state(), of.hist(), of.inbox(), of.ids(&id), of.ready(&pool)] {
            assert!(key.starts_with(&tag), "{key}");
        }
        assert_eq!(of.meta(), format!("{tag}meta:echo/alice"));
        assert_eq!(of.ids(&id), format!("{tag}ids:echo/alice my id"));
        assert_eq!(of.ready(&pool), format!("{tag}ready:default:echo"));
        assert_eq!(keys.ingress(Door::MAIN), "tenure:default:ingress");
        let patterns = Patterns::of(&namespace);
        assert_eq!(patterns.doors(), ["tenure:default:ingress", "tenure:default:ingress:[0-7]"]);
        let doors = Door::all().map(|door| keys.ingress(door).replace(|c: char| c.is_ascii_digit(), NUMBERS));
        assert_eq!(doors.collect::<BTreeSet<_>>(), patterns.doors().into());
        assert_eq!(patterns.namespace("conf"), keys.conf());
        let (begin, end) = (format!("tenure:{{{namespace}."), "}:meta:*");
        assert_eq!(patterns.partitions("meta:*"), format!("{begin}*{end}"));
        assert!(of.meta().starts_with(&begin) && of.meta().contains(end.trim_end_matches('*')));
        assert_eq!(keys.alive(&"w-1".parse().unwrap()), "tenure:{default}:alive:w-1");
    }

    #[test]
    fn keys_that_lapse_tell_whose_time_is_over() {
        let namespace = Namespace::default();
        let keys = Keys::new(namespace.clone(), Partitions::new(&namespace, 64));
        let (worker, session): (WorkerId, SessionId) =
            ("w-1".parse().unwrap(), "echo/a}:own:b".parse().unwrap());
        let lapses = Lapses::of(&keys, 3);
        assert_eq!(lapses.channel(), "__keyevent@3__:expired");
        assert_eq!(lapses.read(keys.alive(&worker).as_bytes()), Some(Lapsed::Worker(worker)));
        let of = keys.session(&session);
        assert_eq!(lapses.read(of.own().as_bytes()), Some(Lapsed::Session(session.clone())));
        for other in [of.ids(&"k".parse().unwrap()), "tenure:{other}:alive:w-1".to_owned(), "x".to_owned()] {
            assert_eq!(lapses.read(other.as_bytes()), None, "{other}");
        }
    }
}
