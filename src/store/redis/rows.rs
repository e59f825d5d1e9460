//! The rows of the namespace's own tables, agents and members: each by itself.
//!
//! One that this version cannot read is of a newer version, or of somebody who tried something by hand. It is told of once. Of members
//! it is left out, and fails nobody who wants the others. An agent's is never taken for none: it fails who must know
//! that agent.

use std::{
    collections::{BTreeMap, BTreeSet},
    str::FromStr,
    sync::Mutex,
};

use redis::Value;
use serde::de::DeserializeOwned;
use tracing::warn;

use super::{RedisStore, records::Fields};
use crate::{
    model::{AgentDeclaration, AgentName, WorkerId},
    store::{Member, StoreError, StoreResult},
};

/// The rows that could not be read at the last look, by their table.
#[derive(Default)]
pub(super) struct Unreadable(Mutex<BTreeMap<String, BTreeSet<String>>>);

impl Unreadable {
    /// Remembers which rows of a table cannot be read now; those that were not among them at the last look.
    fn news(&self, table: &str, rows: &BTreeSet<String>) -> Vec<String> {
        let mut all = self.0.lock().expect("nobody panics with the lock held");
        let known = all.insert(table.to_owned(), rows.clone()).unwrap_or_default();
        rows.difference(&known).cloned().collect()
    }
}

impl RedisStore {
    /// What a table holds, as far as it can be read, and the names of the other rows.
    pub(super) async fn rows<K, T>(&self, table: String) -> StoreResult<Read<K, T>>
    where
        K: FromStr + Ord,
        T: DeserializeOwned,
    {
        let found = self.shared.masters.administer(&table, redis::cmd("HGETALL").arg(&table)).await?;
        self.read_rows(&table, found)
    }

    /// The same of a table that was read. Each row that cannot be is told of once.
    pub(super) fn read_rows<K, T>(&self, table: &str, found: Value) -> StoreResult<Read<K, T>>
    where
        K: FromStr + Ord,
        T: DeserializeOwned,
    {
        let (rows, unreadable) = read(found).map_err(|why| StoreError::unreadable(table, why))?;
        for row in self.shared.unreadable.news(table, &unreadable) {
            warn!(table, row, "a row cannot be read: see `tenure doctor`");
        }
        Ok((rows, unreadable))
    }

    /// The rows of agents and members that this version cannot read: each as its table's key and its field.
    pub async fn unreadable_rows(&self) -> StoreResult<Vec<(String, String)>> {
        let agents = self.rows::<AgentName, AgentDeclaration>(self.keys().agents()).await.map(drop);
        let members = self.rows::<WorkerId, Member>(self.keys().members()).await.map(drop);
        for read in [agents, members] {
            match read {
                // A table that is none has no rows: see `overwritten`.
                Ok(()) | Err(StoreError::Unreadable { .. }) => (),
                Err(error) => return Err(error),
            }
        }
        let all = self.shared.unreadable.0.lock().expect("nobody panics with the lock held");
        let rows =
            all.iter().flat_map(|(table, rows)| rows.iter().map(move |row| (table.clone(), row.clone())));
        Ok(rows.collect())
    }
}

pub(super) type Read<K, T> = (BTreeMap<K, T>, BTreeSet<String>);

/// The rows that can be read, and the names of the others.
fn read<K: FromStr + Ord, T: DeserializeOwned>(found: Value) -> Result<Read<K, T>, String> {
    let (mut rows, mut unreadable) = (BTreeMap::new(), BTreeSet::new());
    for (name, json) in Fields::read(found)?.into_pairs() {
        let row = std::str::from_utf8(&name).ok().and_then(|name| name.parse().ok());
        match (row, serde_json::from_slice(&json)) {
            (Some(name), Ok(row)) => _ = rows.insert(name, row),
            _ => _ = unreadable.insert(String::from_utf8_lossy(&name).into_owned()),
        }
    }
    Ok((rows, unreadable))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_cannot_be_read_is_told_of_once_until_it_could_be_read_again() {
        let (unreadable, rows) =
            (Unreadable::default(), |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect());
        assert_eq!(unreadable.news("members", &rows(&["a"])), ["a"]);
        assert_eq!(unreadable.news("members", &rows(&["a", "b"])), ["b"]);
        assert_eq!(unreadable.news("agents", &rows(&["a"])), ["a"], "another table");
        assert!(unreadable.news("members", &rows(&["b"])).is_empty());
        assert_eq!(unreadable.news("members", &rows(&["a", "b"])), ["a"]);
    }
}
