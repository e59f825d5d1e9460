//! What goes to stdout: one JSON object a line, or aligned columns.

use std::io::{self, Write, stdout};

use serde::Serialize;
use tenure::model::Body;
pub(crate) use tenure::model::Timestamp as Time;

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

/// The most characters that a cell shows: a body may have a million, and a column's width is limited.
const WIDEST: usize = 300;

/// Prints rows under a header, in columns as wide as their widest cell; what a cell cannot show is in the JSON.
pub(crate) fn table<const N: usize>(header: [&str; N], rows: &[[String; N]]) -> Result<(), Failure> {
    let mut widths = header.map(str::len);
    let rows: Vec<_> = rows.iter().map(|row| row.each_ref().map(|cell| clipped(cell))).collect();
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    line(aligned(&header.map(str::to_owned), &widths))?;
    rows.iter().try_for_each(|row| line(aligned(row, &widths)))
}

/// Prints what is known of one thing, a name and a value a line.
pub(crate) fn facts(facts: &[(&str, String)]) -> Result<(), Failure> {
    let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    facts.iter().try_for_each(|(name, value)| line(format!("{name:width$}  {value}").trim_end()))
}

fn clipped(cell: &str) -> String {
    match cell.char_indices().nth(WIDEST) {
        Some((end, _)) => format!("{}…", &cell[..end]),
        None => cell.to_owned(),
    }
}

fn aligned(cells: &[String], widths: &[usize]) -> String {
    let padded = cells.iter().zip(widths).map(|(cell, &width)| format!("{cell:width$}"));
    padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
}

/// A value, or a dash where there is none.
pub(crate) fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// A body for people: its text if that is all it holds, else its JSON.
pub(crate) fn plain(body: &Body) -> String {
    text_alone(body).unwrap_or_else(|| body.as_json().to_owned())
}

/// The same for a column: on one line, and without anything that a terminal would obey.
pub(crate) fn cell(body: &Body) -> String {
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
    fn a_cell_of_any_length_is_shown_as_far_as_it_goes() {
        assert_eq!(clipped(&"ü".repeat(WIDEST)), "ü".repeat(WIDEST));
        assert_eq!(clipped(&"ü".repeat(1_000_000)).chars().count(), WIDEST + 1);
    }

    #[test]
    fn a_body_is_shown_as_its_text_only_if_it_holds_nothing_else() {
        assert_eq!(plain(&Body::text("a\nb")), "a\nb");
        let more = Body::parse(r#"{"text":"a","n":1}"#).unwrap();
        assert_eq!(plain(&more), more.as_json());
        assert_eq!(cell(&Body::text("a\u{1b}[2J")), r#"{"text":"a\u001b[2J"}"#);
    }
}
