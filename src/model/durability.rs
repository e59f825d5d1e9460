//! What a commit has reached before anything of it is released.

use std::{cmp::Ordering, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// A durability class: what has acknowledged a commit before its reply is handed out.
///
/// Ordered by what it covers: `memory < fsync < fsync+replicas:1`, while `fsync` and `replicas:1`
/// each cover something that the other does not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Durability {
    /// Whether it is on disk.
    pub fsync: bool,
    /// How many replicas have it; with `fsync`, on disk too.
    pub replicas: u8,
}

impl Durability {
    /// The script returned; what the server's own persistence loses is lost.
    pub const MEMORY: Self = Self { fsync: false, replicas: 0 };

    /// What covers both.
    pub fn with(self, other: Self) -> Self {
        Self { fsync: self.fsync || other.fsync, replicas: self.replicas.max(other.replicas) }
    }
}

impl PartialOrd for Durability {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (self.fsync.cmp(&other.fsync), self.replicas.cmp(&other.replicas)) {
            (Ordering::Equal, order) | (order, Ordering::Equal) => Some(order),
            (fsync, replicas) => (fsync == replicas).then_some(fsync),
        }
    }
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.fsync, self.replicas) {
            (false, 0) => f.write_str("memory"),
            (true, 0) => f.write_str("fsync"),
            (false, replicas) => write!(f, "replicas:{replicas}"),
            (true, replicas) => write!(f, "fsync+replicas:{replicas}"),
        }
    }
}

impl FromStr for Durability {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let read = match word {
            "memory" => Some(Self::MEMORY),
            "fsync" => Some(Self { fsync: true, replicas: 0 }),
            _ => with_replicas(word),
        };
        // One way to write each: no sign, no leading zero.
        read.filter(|read| read.to_string() == word).ok_or_else(|| {
            format!(
                "`{}` is not a durability class: write memory, replicas:N, fsync or fsync+replicas:N, N from 1 to 255",
                word.escape_debug()
            )
        })
    }
}

fn with_replicas(word: &str) -> Option<Durability> {
    let (fsync, word) = word.strip_prefix("fsync+").map_or((false, word), |rest| (true, rest));
    let replicas = word.strip_prefix("replicas:")?.parse().ok().filter(|replicas| *replicas > 0)?;
    Some(Durability { fsync, replicas })
}

impl Serialize for Durability {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Durability {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn classes() -> impl Strategy<Value = Durability> {
        (any::<bool>(), 0..4_u8).prop_map(|(fsync, replicas)| Durability { fsync, replicas })
    }

    fn class(word: &str) -> Durability {
        word.parse().unwrap()
    }

    #[test]
    fn each_class_is_written_in_one_way() {
        for word in ["memory", "replicas:1", "replicas:255", "fsync", "fsync+replicas:2"] {
            assert_eq!(class(word).to_string(), word);
        }
        for bad in [
            "",
            "Memory",
            "replicas",
            "replicas:0",
            "replicas:01",
            "replicas:+1",
            "replicas:256",
            "fsync+memory",
        ] {
            assert!(bad.parse::<Durability>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_covers_two_classes_is_not_below_either() {
        let words = ["memory", "replicas:1", "replicas:2", "fsync", "fsync+replicas:1"];
        for (one, other) in words.iter().flat_map(|one| words.iter().map(move |other| (one, other))) {
            let both = class(one).with(class(other));
            assert!(both >= class(one) && both >= class(other), "{one} and {other}: {both}");
        }
        assert_eq!(class("fsync").with(class("replicas:1")), class("fsync+replicas:1"));
    }

    proptest! {
        #[test]
        fn what_covers_both_is_the_least_that_does(one in classes(), other in classes(), third in classes()) {
            let both = one.with(other);
            prop_assert_eq!(both, other.with(one));
            prop_assert_eq!(both.with(third), one.with(other.with(third)));
            prop_assert_eq!((one.with(one), one.with(Durability::MEMORY)), (one, one));
            prop_assert!(both >= one && both >= other);
            prop_assert!(!(third >= one && third >= other) || third >= both);
            prop_assert_eq!(one >= other, both == one);
        }
    }

    #[test]
    fn a_class_is_above_another_only_if_it_covers_all_of_it() {
        assert!(class("memory") < class("replicas:1"));
        assert!(class("replicas:1") < class("replicas:2"));
        assert!(class("fsync") < class("fsync+replicas:1"));
        assert!(class("replicas:1") < class("fsync+replicas:1"));
        assert_eq!(class("fsync").partial_cmp(&class("replicas:1")), None);
        assert_eq!(class("fsync+replicas:1").partial_cmp(&class("replicas:2")), None);
    }
}
