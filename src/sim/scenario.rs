//! Built-in simulations, each named after what must hold.

use super::{scenarios, simulation::Simulation};

/// A built-in simulation of tenure itself: what it is about, and what must hold in every run of it.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// Its name, which says what must hold.
    pub name: &'static str,
    /// What happens in it.
    pub about: &'static str,
    /// What must hold, besides what [always must](super::invariants).
    pub holds: &'static str,
    pub(super) made: fn(u64) -> Simulation,
}

impl Scenario {
    /// All of them, in the order in which they are listed.
    pub fn all() -> &'static [Self] {
        scenarios::ALL
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        Self::all().iter().find(|scenario| scenario.name == name)
    }

    /// What `seed` makes of it.
    pub fn simulation(&self, seed: u64) -> Simulation {
        (self.made)(seed)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_scenario_has_a_name_of_its_own_and_says_what_it_is_about() {
        let names: BTreeSet<_> = Scenario::all().iter().map(|scenario| scenario.name).collect();
        assert_eq!(names.len(), Scenario::all().len());
        for Scenario { name, about, holds, .. } in Scenario::all() {
            assert!(name.chars().all(|letter| letter.is_ascii_lowercase() || letter == '-'), "{name}");
            assert!(!about.is_empty() && !holds.is_empty(), "{name}");
            assert_eq!(Scenario::named(name).map(|found| found.name), Some(*name));
        }
    }
}
