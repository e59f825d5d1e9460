//! How values on the command line are read.

use std::{fs, process};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde::{
    Deserialize,
    de::{IntoDeserializer, value::Error},
};
pub(crate) use tenure::model::parse_duration as duration;
use tenure::{
    model::{Status, WorkerId, WorkerName},
    store::redis::Role,
};

/// A session's state.
pub(crate) fn status(given: &str) -> Result<Status, String> {
    let word: serde::de::value::StrDeserializer<'_, Error> = given.into_deserializer();
    Status::deserialize(word).map_err(|err| err.to_string())
}

/// What a program is to a namespace, by its word.
pub(crate) fn role() -> impl TypedValueParser<Value = Role> {
    let words = ROLES.map(Role::as_str);
    PossibleValuesParser::new(words).map(|word| {
        let role = ROLES.into_iter().find(|role| role.as_str() == word);
        role.expect("the parser knows no other words")
    })
}

const ROLES: [Role; 4] = [Role::Worker, Role::Client, Role::Sender, Role::Observer];

/// A user's name, which stands between spaces in a command.
pub(crate) fn user(given: &str) -> Result<String, String> {
    a_word(given).ok_or_else(|| "a user's name has no white space and no quotes".to_owned())
}

/// A pattern of keys that are not tenure's own, which stands between spaces in a command.
pub(crate) fn reply_lists(given: &str) -> Result<String, String> {
    let own = given.starts_with("tenure:");
    let pattern = a_word(given).filter(|_| !own);
    pattern.ok_or_else(|| {
        "a pattern has no white space and no quotes, and does not begin with tenure:".to_owned()
    })
}

fn a_word(given: &str) -> Option<String> {
    let bad = |c: char| c.is_whitespace() || c.is_control() || c == '"' || c == '\'';
    (!given.is_empty() && !given.contains(bad)).then(|| given.to_owned())
}

/// A worker, by its incarnation or its name.
pub(crate) fn worker(given: &str) -> Result<String, String> {
    let incarnation = given.parse::<WorkerId>().map(drop);
    let name = given.parse::<WorkerName>().map(drop);
    incarnation.or(name).map(|()| given.to_owned()).map_err(|err| err.to_string())
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

    #[test]
    fn what_stands_in_a_command_is_one_word() {
        assert!(user("shop").is_ok() && user("a b").is_err() && user("").is_err() && user("a'").is_err());
        assert!(reply_lists("my:*").is_ok() && reply_lists("tenure:*").is_err());
    }
}
