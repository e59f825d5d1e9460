//! Which keys a namespace's sessions are sealed with, by a few of them.

use std::{collections::BTreeMap, time::Duration};

use tenure::{
    model::{
        Entry, SessionId,
        seal::{KeyId, Keyring, Seal},
    },
    store::{
        HistoryRange, Store, StoreResult,
        redis::{Check, CheckStatus},
    },
};

/// Sessions looked at in each partition.
const SESSIONS: usize = 2;
/// Their newest entries, each of which names its key.
const ENTRIES: usize = 2;

/// What was seen: entries in clear, and entries by the key that they name.
#[derive(Default)]
struct Seen {
    clear: usize,
    by_key: BTreeMap<KeyId, usize>,
}

/// What there is to say of keys; nothing where there is none and nothing is sealed. `store` is the one without seals.
pub(crate) async fn check(store: &impl Store, keyring: &Keyring) -> Option<Check> {
    let seen = look(store).await.ok()?;
    if keyring.is_empty() && seen.by_key.is_empty() {
        return None;
    }
    let is_missing = seen.by_key.keys().any(|key| keyring.get(key).is_none());
    let (status, advice) = match is_missing {
        true => {
            (CheckStatus::Warn, Some("name the keys of this namespace with --keys-file (TENURE_KEYS_FILE)"))
        }
        false => (CheckStatus::Ok, None),
    };
    Some(Check { check: "keys", status, found: found(&seen, keyring), advice })
}

async fn look(store: &impl Store) -> StoreResult<Seen> {
    let mut seen = Seen::default();
    for partition in store.partitions().all() {
        for session in store.sessions(partition, None, SESSIONS).await? {
            newest(store, &session).await?.iter().for_each(|entry| seen.count(entry));
        }
    }
    Ok(seen)
}

async fn newest(store: &impl Store, session: &SessionId) -> StoreResult<Vec<Entry>> {
    store.history(session, HistoryRange::Newest(ENTRIES), Duration::ZERO).await
}

impl Seen {
    fn count(&mut self, entry: &Entry) {
        match Seal::read(entry.body.as_json()) {
            Some(Ok(seal)) => *self.by_key.entry(seal.key().clone()).or_default() += 1,
            Some(Err(_)) => (),
            None => self.clear += 1,
        }
    }
}

fn found(seen: &Seen, keyring: &Keyring) -> String {
    let seals = match keyring.sealing(None) {
        Some(key) => format!("{} seals", key.id()),
        None => "no key is here".to_owned(),
    };
    let known = |key: &KeyId| if keyring.get(key).is_none() { " (not here)" } else { "" };
    let by_key = seen.by_key.iter().map(|(key, entries)| format!("{entries} by {key}{}", known(key)));
    let newest: Vec<_> = by_key.chain([format!("{} in clear", seen.clear)]).collect();
    format!("{seals}; of a few newest entries {}", newest.join(", "))
}
