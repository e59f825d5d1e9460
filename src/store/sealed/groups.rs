//! Which group the sessions belong to that this process owns: what a commit does not say, and a claim does.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::model::{Group, SessionId};

/// Kept only where some group has a key of its own. A session that was lost without a word stays until it is claimed
/// again.
#[derive(Debug, Clone, Default)]
pub(super) struct Groups(Arc<Mutex<BTreeMap<SessionId, Group>>>);

impl Groups {
    pub(super) fn claimed(&self, session: &SessionId, group: Option<&Group>) {
        match group {
            Some(group) => _ = self.known().insert(session.clone(), group.clone()),
            None => self.left(session),
        }
    }

    pub(super) fn left(&self, session: &SessionId) {
        self.known().remove(session);
    }

    pub(super) fn of(&self, session: &SessionId) -> Option<Group> {
        self.known().get(session).cloned()
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<SessionId, Group>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
