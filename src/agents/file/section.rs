//! A table of the file: its keys, what their values must be, and what is said if they are not.

use std::{ops::Range, time::Duration};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::report::Report;
use crate::model::{ShownDuration, parse_duration};

/// No duration in a file is longer: a year.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// How many letters a misspelt key may differ in from the one that was meant.
const MISSPELT_BY: usize = 2;

/// One table while it is read.
#[derive(Clone)]
pub(super) struct Section<'t> {
    /// As its header has it: `[agents.support]`.
    title: String,
    agent: Option<&'t str>,
    at: Range<usize>,
    table: &'t DeTable<'t>,
}

/// A value and where it stands.
pub(super) type Value<'t> = Spanned<DeValue<'t>>;

impl<'t> Section<'t> {
    /// The whole file.
    pub(super) fn file(table: &'t DeTable<'t>) -> Self {
        Self { title: "the file".to_owned(), agent: None, at: 0..0, table }
    }

    /// The table of one agent.
    pub(super) fn agent(name: &'t str, at: Range<usize>, table: &'t DeTable<'t>) -> Self {
        Self { title: format!("[agents.{name}]"), agent: Some(name), at, table }
    }

    /// The table that is the value of `key`, if there is one.
    pub(super) fn table(&self, key: &str, report: &mut Report<'_>) -> Option<Section<'t>> {
        let value = self.value(key)?;
        let Some(table) = value.get_ref().as_table() else {
            self.wrong(value, format!("`{key}`: expected a table, found {}", found(value.get_ref())), report);
            return None;
        };
        let title = match self.agent {
            Some(agent) => format!("[agents.{agent}.{key}]"),
            None => format!("[{key}]"),
        };
        Some(Section { title, agent: self.agent, at: value.span(), table })
    }

    /// All keys with their places and values, in the order of their names.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'t str, Range<usize>, &'t Value<'t>)> + use<'t> {
        self.table.iter().map(|(key, value)| (key.get_ref().as_ref(), key.span(), value))
    }

    pub(super) fn value(&self, key: &str) -> Option<&'t Value<'t>> {
        self.entries().find(|(name, ..)| *name == key).map(|(.., value)| value)
    }

    /// What `parse` makes of a key's value; nothing if the key is absent, or if its value is wrong, which is noted.
    pub(super) fn read<T>(
        &self,
        key: &str,
        report: &mut Report<'_>,
        parse: impl FnOnce(&'t DeValue<'t>) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.value(key)?;
        match parse(value.get_ref()) {
            Ok(read) => Some(read),
            Err(why) => {
                self.wrong(value, format!("`{key}`: {why}"), report);
                None
            }
        }
    }

    /// The same of a key that must be there; `expected` says what.
    pub(super) fn need<T>(
        &self,
        key: &str,
        expected: &str,
        report: &mut Report<'_>,
        parse: impl FnOnce(&'t DeValue<'t>) -> Result<T, String>,
    ) -> Option<T> {
        if self.value(key).is_none() {
            report.error(&self.at, self.agent, format!("{} has no `{key}`: expected {expected}", self.title));
        }
        self.read(key, report, parse)
    }

    /// The same of an entry of this table, which is the value of `table`.
    pub(super) fn entry_of<T>(
        &self,
        table: &str,
        key: &str,
        report: &mut Report<'_>,
        parse: impl FnOnce(&'t DeValue<'t>) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.value(key)?;
        let shown = key.escape_debug();
        let read = parse(value.get_ref()).map_err(|why| format!("`{table}.{shown}`: {why}"));
        read.map_err(|problem| self.wrong(value, problem, report)).ok()
    }

    /// Notes something about the table as a whole.
    pub(super) fn faulty(&self, problem: String, report: &mut Report<'_>) {
        report.error(&self.at, self.agent, problem);
    }

    /// Notes something about a value.
    pub(super) fn wrong(&self, value: &Value<'_>, problem: impl Into<String>, report: &mut Report<'_>) {
        report.error(&value.span(), self.agent, problem);
    }

    /// Notes every key that is not `known`; `elsewhere` says of some where they belong.
    pub(super) fn only(
        &self,
        known: &[&str],
        elsewhere: impl Fn(&str) -> Option<&'static str>,
        report: &mut Report<'_>,
    ) {
        for (key, at, _) in self.entries().filter(|(key, ..)| !known.contains(key)) {
            let shown = key.escape_debug();
            let problem = match elsewhere(key) {
                Some(owner) => format!("`{shown}` in {} belongs to {owner}", self.title),
                None => format!(
                    "unknown key `{shown}` in {}: expected {}{}",
                    self.title,
                    one_of(known),
                    meant(key, known)
                ),
            };
            report.error(&at, self.agent, problem);
        }
    }
}

fn one_of(known: &[&str]) -> String {
    match known {
        [only] => format!("`{only}`"),
        known => format!("one of {}", known.join(", ")),
    }
}

fn meant(key: &str, known: &[&str]) -> String {
    let near = known.iter().map(|name| (strsim::damerau_levenshtein(key, name), name));
    match near.min().filter(|(distance, _)| *distance <= MISSPELT_BY) {
        Some((_, name)) => format!(" (did you mean `{name}`?)"),
        None => String::new(),
    }
}

/// A value's type, as in "found an integer".
pub(super) fn found(value: &DeValue<'_>) -> String {
    let kind = value.type_str();
    let article = if kind.starts_with(['a', 'i']) { "an" } else { "a" };
    format!("{article} {kind}")
}

/// Text.
pub(super) fn text<'t>(value: &'t DeValue<'_>) -> Result<&'t str, String> {
    value.as_str().ok_or_else(|| format!("expected a string, found {}", found(value)))
}

/// Text that is one of something's words.
pub(super) fn word<T: std::str::FromStr<Err: ToString>>(value: &DeValue<'_>) -> Result<T, String> {
    text(value)?.parse().map_err(|err: T::Err| err.to_string())
}

/// A whole number from `least` to `most`.
pub(super) fn whole(value: &DeValue<'_>, least: u64, most: u64) -> Result<u64, String> {
    let expected = || format!("expected a whole number from {least} to {most}");
    let given = value.as_integer().ok_or_else(|| format!("{}, found {}", expected(), found(value)))?;
    let number = u64::from_str_radix(given.as_str(), given.radix()).ok();
    number
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| format!("{}, found {given}", expected()))
}

/// A duration of at least a millisecond, in quotes.
pub(super) fn duration(value: &DeValue<'_>) -> Result<Duration, String> {
    let given = value
        .as_str()
        .ok_or_else(|| format!("expected a duration in quotes, such as \"60s\", found {}", found(value)))?;
    match parse_duration(given)? {
        Duration::ZERO => Err("expected at least 1ms".to_owned()),
        longer if longer > LONGEST => Err(format!("expected at most {}", ShownDuration(LONGEST))),
        duration => Ok(duration),
    }
}
