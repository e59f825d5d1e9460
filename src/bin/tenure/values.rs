//! How values on the command line are read.

use std::{fs, process, time::Duration};

use serde::{
    Deserialize,
    de::{IntoDeserializer, value::Error},
};
use tenure::model::{Status, WorkerName};

/// A duration: a whole number and `ms`, `s`, `m` or `h`.
pub(crate) fn duration(given: &str) -> Result<Duration, String> {
    let bad = || format!("`{given}` is not a duration: write 500ms, 3s or 5m");
    let digits = given.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
    let (number, unit) = given.split_at(digits);
    let number: u64 = number.parse().map_err(|_| bad())?;
    let ms_per_unit = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(bad()),
    };
    number.checked_mul(ms_per_unit).map(Duration::from_millis).ok_or_else(bad)
}

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
    fn a_duration_needs_its_unit() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("3s"), Ok(Duration::from_secs(3)));
        assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
        for bad in
            ["", "3", "s", "-3s", "1.5s", "3 s", "3d", "99999999999999999999s", "18446744073709551615s"]
        {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_status_is_one_of_the_contracts_words() {
        assert_eq!(status("waiting"), Ok(Status::Waiting));
        assert!(status("dead").is_err_and(|why| why.contains("`quarantined`")));
    }
}
