//! In which order things happened, whatever they were called.

use std::hash::Hasher;

use super::{choice::Kind, trace::Trace};

impl Trace {
    /// A number that two traces share if in both the same actors did the same, to the same objects, in the same order:
    /// what distinguishes interleavings. Unlike the [`hash`](Self::hash) it knows nothing of seed, ids and times.
    pub fn order(&self) -> u64 {
        // Its keys are fixed: the same in every process.
        let mut hasher = std::hash::DefaultHasher::new();
        for event in self.events.iter().filter(|event| event.choice.kind != Kind::Time) {
            let choice = event.choice;
            std::hash::Hash::hash(&(choice.actor, choice.kind, choice.object), &mut hasher);
        }
        hasher.finish()
    }
}
