//! Keys at which somebody set something else. Where they are a session's, nothing goes on there, and everything else does.

use futures_util::future::join_all;
use tenure::store::{
    Look, RedisStore, Store, StoreError, StoreResult,
    redis::{Check, CheckStatus, Role},
};

/// Sessions of each partition that are looked at.
const SESSIONS: usize = 1_000;

/// How many are looked at at once, and how many are named.
const AT_ONCE: usize = 100;
const NAMED: usize = 3;

/// Sessions of which that is so; nothing where there are none, or nobody tells.
pub(crate) async fn check(store: &RedisStore) -> Option<Check> {
    let keys = look(store).await.ok().filter(|keys| !keys.is_empty())?;
    Some(Check {
        check: "sessions",
        status: CheckStatus::Warn,
        found: format!("set to something else by hand: {}", first_of(&keys)),
        advice: Some("put back what was there, or give the session up: `tenure delete SESSION`"),
    })
}

/// The namespace's keys and the partitions' own, by which sessions are found and kept.
pub(crate) async fn keys(store: &RedisStore, role: Role) -> Option<Check> {
    // Others may not look at most of them, and the server would log each try.
    if !matches!(role, Role::Worker | Role::Observer) {
        return None;
    }
    let found = store.overwritten().await.ok().filter(|found| !found.is_empty())?;
    let keys: Vec<_> = found.iter().map(|found| format!("{} is {}", found.key, found.types())).collect();
    Some(Check {
        check: "keys",
        status: CheckStatus::Fail,
        found: format!("set to something else by hand: {}", first_of(&keys)),
        advice: Some(
            "put back what was there, or RENAME it out of the way: it is made anew then, without what it held",
        ),
    })
}

/// The first of them, and how many more there are.
fn first_of(named: &[String]) -> String {
    let first = named.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    match named.len().saturating_sub(NAMED) {
        0 => first,
        more => format!("{first}, and {more} more"),
    }
}

async fn look(store: &RedisStore) -> StoreResult<Vec<String>> {
    let mut keys = Vec::new();
    for partition in store.partitions().all() {
        let sessions = match store.sessions(partition, None, SESSIONS).await {
            // An index that is none is told of by itself.
            Err(StoreError::Unreadable { .. }) => continue,
            sessions => sessions?,
        };
        for some in sessions.chunks(AT_ONCE) {
            for looked in join_all(some.iter().map(|session| store.look(session))).await {
                if let Look::Overwritten { key, .. } = looked? {
                    keys.push(key);
                }
            }
        }
    }
    Ok(keys)
}
