//! What goes to stdout: one JSON object a line, or text for people.

use std::io::{self, IsTerminal, Write, stdout};

use serde::Serialize;
pub(crate) use tenure::model::Timestamp as Time;
use tenure::model::{Body, seal::Unopened};

use crate::failure::Failure;

/// Prints one line.
pub(crate) fn line(text: impl AsRef<str>) -> Result<(), Failure> {
    let mut out = stdout().lock();
    writeln!(out, "{}", text.as_ref())?;
    Ok(out.flush()?)
}

/// Prints one JSON object on a line of its own.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Failure> {
    line(serde_json::to_string(value).map_err(io::Error::from)?)
}

/// A value, or a dash where there is none.
pub(crate) fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// A body for people: its text if that is all it holds, else its JSON.
pub(crate) fn plain(body: &Body) -> String {
    text_alone(body).unwrap_or_else(|| body.as_json().to_owned())
}

/// The same for somebody who may sit at a terminal: there, without anything that it would obey.
pub(crate) fn shown(body: &Body) -> String {
    let text = plain(body);
    match stdout().is_terminal() {
        true => text.chars().map(|c| if is_command(c) { '\u{fffd}' } else { c }).collect(),
        false => text,
    }
}

fn is_command(c: char) -> bool {
    c.is_control() && !matches!(c, '\n' | '\t')
}

/// The same for a column: on one line, and without anything that a terminal would obey. Of one that could not be
/// opened, why.
pub(crate) fn cell(body: &Body) -> String {
    if let Some(why) = Unopened::read(body.as_json()) {
        return format!("({why})");
    }
    match text_alone(body) {
        Some(text) if !text.chars().any(char::is_control) => text,
        _ => body.as_json().chars().map(|c| if c.is_control() { ' ' } else { c }).collect(),
    }
}

fn text_alone(body: &Body) -> Option<String> {
    let members: serde_json::Map<String, serde_json::Value> = body.decode().ok()?;
    if members.len() == 1 { body.as_text() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_shown_as_its_text_only_if_it_holds_nothing_else() {
        assert_eq!(plain(&Body::text("a\nb")), "a\nb");
        let more = Body::parse(r#"{"text":"a","n":1}"#).unwrap();
        assert_eq!(plain(&more), more.as_json());
        assert_eq!(cell(&Body::text("a\u{1b}[2J")), r#"{"text":"a\u001b[2J"}"#);
    }
}
