//! Which of a few hundred events come before which: a relation as a table of bits.

/// A relation between events that are named by numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Relation {
    events: usize,
    words: usize,
    bits: Vec<u64>,
}

impl Relation {
    /// Nothing comes before anything.
    pub(super) fn empty(events: usize) -> Self {
        let words = events.div_ceil(64);
        Self { events, words, bits: vec![0; events * words] }
    }

    /// Says that `first` comes before `second`; true if that is new.
    pub(super) fn add(&mut self, first: usize, second: usize) -> bool {
        let word = &mut self.bits[first * self.words + second / 64];
        let old = *word;
        *word |= 1 << (second % 64);
        old != *word
    }

    /// Whether `first` comes before `second`.
    pub(super) fn has(&self, first: usize, second: usize) -> bool {
        self.bits[first * self.words + second / 64] >> (second % 64) & 1 == 1
    }

    /// Adds what follows from what it says: if a is before b and b before c, then a is before c (Warshall 1962).
    pub(super) fn close(&mut self) {
        for middle in 0..self.events {
            let after = self.bits[middle * self.words..][..self.words].to_vec();
            for first in 0..self.events {
                if self.has(first, middle) {
                    let row = &mut self.bits[first * self.words..][..self.words];
                    row.iter_mut().zip(&after).for_each(|(word, more)| *word |= more);
                }
            }
        }
    }

    /// An event that comes before itself, if there is one; to be asked of a closed relation.
    pub(super) fn cycle(&self) -> Option<usize> {
        (0..self.events).find(|&event| self.has(event, event))
    }

    /// Only what it says about events that `keep` accepts.
    pub(super) fn restricted_to(&self, keep: impl Fn(usize) -> bool) -> Self {
        let mut part = Self::empty(self.events);
        for first in (0..self.events).filter(|&event| keep(event)) {
            for second in (0..self.events).filter(|&event| keep(event) && self.has(first, event)) {
                part.add(first, second);
            }
        }
        part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_relation_knows_what_follows() {
        let mut relation = Relation::empty(70);
        assert!((0..69).all(|event| relation.add(event, event + 1)));
        assert!(!relation.add(0, 1) && !relation.has(0, 69));
        relation.close();
        assert!(relation.has(0, 69) && !relation.has(69, 0));
        assert_eq!(relation.cycle(), None);
        relation.add(69, 3);
        relation.close();
        assert_eq!(relation.cycle(), Some(3));
        assert!(relation.restricted_to(|event| event < 60).has(3, 3));
    }
}
