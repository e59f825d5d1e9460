//! The simplest strategies.

use rand::{Rng, SeedableRng, rngs::StdRng};

use super::choice::{Choice, Strategy};

/// Picks any, all being equally likely.
pub(super) struct Any(StdRng);

impl Any {
    pub(super) fn seeded(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }
}

impl Strategy for Any {
    fn name(&self) -> &'static str {
        "random"
    }

    fn pick(&mut self, enabled: &[Choice]) -> usize {
        self.0.random_range(0..enabled.len())
    }
}

/// Picks what was picked before.
pub(super) struct Again(pub(super) std::vec::IntoIter<u64>);

impl Strategy for Again {
    fn name(&self) -> &'static str {
        "replay"
    }

    fn pick(&mut self, enabled: &[Choice]) -> usize {
        let wanted = self.0.next().unwrap_or_default();
        enabled.binary_search_by_key(&wanted, |choice| choice.id).unwrap_or(0)
    }
}
