//! The lists that replies are pushed to: keys of their senders' own.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use crate::{
    model::{Millis, ReplyTo},
    store::{StoreError, StoreResult},
};

/// How long a reply waits to be taken, after the last push to its key.
const REPLY_KEPT: Duration = Duration::from_secs(60 * 60);

/// All of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Replies(BTreeMap<ReplyTo, ReplyKey>);

/// What stands at a key that replies are pushed to.
#[derive(Debug, Clone)]
enum ReplyKey {
    /// A list of replies, and when it expires.
    List(VecDeque<String>, Millis),
    /// Something else of somebody else's: it takes no push.
    Foreign,
}

impl Replies {
    /// Pushes a reply to its key; whether the key took it.
    pub(super) fn push(&mut self, to: &ReplyTo, payload: &str, now: Millis) -> bool {
        let key = self.0.entry(to.clone()).or_insert(ReplyKey::List(VecDeque::new(), now));
        let ReplyKey::List(replies, until) = key else { return false };
        if now > *until {
            replies.clear();
        }
        replies.push_back(payload.to_owned());
        *until = now.plus(REPLY_KEPT);
        true
    }

    /// Takes the oldest reply at `key`.
    pub(super) fn take(&mut self, key: &ReplyTo, now: Millis) -> StoreResult<Option<String>> {
        match self.0.get_mut(key) {
            Some(ReplyKey::List(replies, until)) if now <= *until => Ok(replies.pop_front()),
            Some(ReplyKey::Foreign) => Err(StoreError::Refused(format!("`{key}` is not a list"))),
            Some(ReplyKey::List(..)) | None => Ok(None),
        }
    }

    /// Makes `key` something that takes no push.
    pub(super) fn occupy(&mut self, key: &ReplyTo) {
        self.0.insert(key.clone(), ReplyKey::Foreign);
    }

    /// Forgets for good what lapsed.
    pub(super) fn forget_lapsed(&mut self, now: Millis) {
        self.0.retain(|_, key| match key {
            ReplyKey::List(_, until) => now <= *until,
            ReplyKey::Foreign => true,
        });
    }
}
