//! The plain doors: streams to which any client may add messages.

use std::fmt;

use super::{Partition, Partitions};

/// A plain door: the stream `ingress`, or one of those beside it, `ingress:0` and so on. Any of them will do: each keeps the
/// order of its own entries, and on a cluster they lie on several masters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Door(Option<u8>);

impl Door {
    /// The one without a number.
    pub const MAIN: Self = Self(None);

    /// How many have numbers, where there are as many partitions.
    pub const NUMBERED: u8 = 8;

    /// The one of this number, from 0; none where there can be no such door.
    pub fn numbered(number: u8) -> Option<Self> {
        (number < Self::NUMBERED).then_some(Self(Some(number)))
    }

    /// All that any namespace has.
    pub fn all() -> impl Iterator<Item = Self> {
        std::iter::once(Self::MAIN).chain((0..Self::NUMBERED).map(|number| Self(Some(number))))
    }

    /// The partition whose duty includes relaying from it.
    pub fn partition(self) -> Partition {
        Partition(self.0.unwrap_or(0).into())
    }
}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("ingress"),
            Some(number) => write!(f, "ingress:{number}"),
        }
    }
}

impl Partitions {
    /// The plain doors that are relayed: one without a number, and a numbered one for each partition, but not more than
    /// [`Door::NUMBERED`] of these.
    pub fn doors(&self) -> impl Iterator<Item = Door> + use<> {
        let count = self.count();
        Door::all().filter(move |door| door.partition().0 < count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Namespace, crc16};

    #[test]
    fn a_namespace_has_a_door_without_a_number_and_at_most_eight_with_one() {
        let doors = |partitions| {
            let partitions = Partitions::new(&Namespace::default(), partitions);
            partitions.doors().map(|door| (door.to_string(), door.partition().0)).collect::<Vec<_>>()
        };
        let named = |(name, partition): (&str, u16)| (name.to_owned(), partition);
        assert_eq!(doors(2), [("ingress", 0), ("ingress:0", 0), ("ingress:1", 1)].map(named));
        assert_eq!(doors(64).len(), 9);
        assert_eq!(doors(64).last(), Some(&("ingress:7".to_owned(), 7)));
        assert_eq!(Door::numbered(7).map(|door| door.to_string()).as_deref(), Some("ingress:7"));
        assert_eq!(Door::numbered(8), None);
    }

    #[test]
    fn two_numbered_doors_of_any_namespace_lie_in_each_quarter_of_the_slots() {
        for namespace in ["default", "a", "prod-eu", "0"] {
            let quarter =
                |door: Door| crc16(format!("tenure:{namespace}:{door}").as_bytes()) % 16_384 / 4_096;
            let mut quarters: Vec<_> = Door::all().skip(1).map(quarter).collect();
            quarters.sort_unstable();
            assert_eq!(quarters, [0, 0, 1, 1, 2, 2, 3, 3], "{namespace}");
        }
    }
}
