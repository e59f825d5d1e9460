//! How values on the command line are read.

use std::{fs, process};

use serde::{
    Deserialize,
    de::{IntoDeserializer, value::Error},
};
pub(crate) use tenure::model::parse_duration as duration;
use tenure::model::{Status, WorkerName};

/// A session's state.
pub(crate) fn status(given: &str) -> Result<Status, String> {
    let word: serde::de::value::StrDeserializer<'_, Error> = given.into_deserializer();
    Status::deserialize(word).map_err(|err| err.to_string())
}

/// A worker's default name: the host's and the process' id.
pub(crate) fn own_name() -> WorkerName {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let allowed = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let host: String = host.trim().chars().filter(allowed).take(48).collect();
    let host = if host.is_empty() { "worker" } else { &host };
    format!("{host}-{}", process::id()).parse().expect("at most 48 + 1 + 10 allowed characters")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_one_of_the_contracts_words() {
        assert_eq!(status("waiting"), Ok(Status::Waiting));
        assert!(status("dead").is_err_and(|why| why.contains("`quarantined`")));
    }
}
