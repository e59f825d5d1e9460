//! Who else has what this store was told: replicas and a disk, as far as anybody is to believe in them.

use std::sync::atomic::Ordering;

use super::MemoryStore;
use crate::{
    model::Durability,
    store::{Lack, Reach},
};

/// As many as anybody may ask for.
pub(super) const ALL: u8 = u8::MAX;

impl MemoryStore {
    /// Sets how many replicas have what is written from now on, and what was written before. All that anybody asks for,
    /// unless set: an embedded store ends with its process, and whoever chose it chose that.
    pub fn set_replicas(&self, following: u8) {
        self.shared.following.store(following, Ordering::Relaxed);
    }

    /// Sets how many replicas there are to follow, now or later: who asks for more is told that they are lacking. All that
    /// anybody asks for, unless set.
    pub fn set_provided(&self, replicas: u8) {
        self.shared.provided.store(replicas, Ordering::Relaxed);
    }

    /// What is lacking to honour `class`.
    pub(super) fn lack_of(&self, class: Durability) -> Option<Lack> {
        let provided = self.shared.provided.load(Ordering::Relaxed);
        let lack = || Lack { found: format!("{provided} replicas follow"), advice: "ask for fewer" };
        (class.replicas > provided).then(lack)
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
