//! Sessions at whose keys somebody set something else: nothing goes on there, and everything else does.

use futures_util::future::join_all;
use tenure::store::{
    Look, RedisStore, Store, StoreResult,
    redis::{Check, CheckStatus},
};

/// Sessions of each partition that are looked at.
const SESSIONS: usize = 1_000;

/// How many are looked at at once, and how many are named.
const AT_ONCE: usize = 100;
const NAMED: usize = 3;

/// Those that are found; nothing where there are none, or nobody tells.
pub(crate) async fn check(store: &RedisStore) -> Option<Check> {
    let keys = look(store).await.ok().filter(|keys| !keys.is_empty())?;
    let named = keys.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = match keys.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    Some(Check {
        check: "sessions",
        status: CheckStatus::Warn,
        found: format!("set to something else by hand: {named}{more}"),
        advice: Some("put back what was there, or give the session up: `tenure delete SESSION`"),
    })
}

async fn look(store: &RedisStore) -> StoreResult<Vec<String>> {
    let mut keys = Vec::new();
    for partition in store.partitions().all() {
        for some in store.sessions(partition, None, SESSIONS).await?.chunks(AT_ONCE) {
            for looked in join_all(some.iter().map(|session| store.look(session))).await {
                if let Look::Overwritten { key, .. } = looked? {
                    keys.push(key);
                }
            }
        }
    }
    Ok(keys)
}
