//! Who else has what this store was told: replicas and a disk, as far as anybody is to believe in them.

use std::sync::atomic::Ordering;

use super::MemoryStore;
use crate::{model::Durability, store::Reach};

/// As many as anybody may ask for.
pub(super) const ALL: u8 = u8::MAX;

impl MemoryStore {
    /// Sets how many replicas have what is written from now on, and what was written before. All that anybody asks for,
    /// unless set: an embedded store ends with its process, and whoever chose it chose that.
    pub fn set_replicas(&self, following: u8) {
        self.shared.following.store(following, Ordering::Relaxed);
    }

    /// Whether what is written now reaches `class`.
    pub(super) fn reaches(&self, class: Durability) -> Reach {
        if class.replicas <= self.shared.following.load(Ordering::Relaxed) {
            Reach::Reached
        } else {
            Reach::Unknown
        }
    }
}
