//! Rows in columns, and what is known of one thing: aligned by what a terminal shows.

use unicode_width::UnicodeWidthStr;

use crate::{
    colour::{self, painted},
    failure::Failure,
    output::line,
};

/// The most characters that a cell shows: a body may have a million, and nobody reads them here.
const WIDEST: usize = 300;

/// Prints rows under a header, in columns as wide as their widest cell; what a cell cannot show is in the JSON.
///
/// The columns `STATUS` and `STATE` hold words for states, and are coloured as such.
pub(crate) fn table<const N: usize>(header: [&str; N], rows: &[[String; N]]) -> Result<(), Failure> {
    let coloured = colour::on_stdout();
    lines(header, rows, coloured).iter().try_for_each(line)
}

/// Prints what is known of one thing, a name and a value a line.
pub(crate) fn facts(facts: &[(&str, String)]) -> Result<(), Failure> {
    let coloured = colour::on_stdout();
    let width = facts.iter().map(|(name, _)| name.width()).max().unwrap_or_default();
    facts.iter().try_for_each(|(name, value)| {
        let style = if *name == "status" { colour::of_state(value) } else { anstyle::Style::new() };
        let name = painted(&padded(name, width), colour::heading(), coloured);
        line(format!("{name}  {}", painted(value, style, coloured)).trim_end())
    })
}

fn lines<const N: usize>(header: [&str; N], rows: &[[String; N]], coloured: bool) -> Vec<String> {
    let rows: Vec<_> = rows.iter().map(|row| row.each_ref().map(|cell| clipped(cell))).collect();
    let mut widths = header.map(UnicodeWidthStr::width);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.width());
        }
    }
    let heading = |cell: &str, _: &str| painted(cell, colour::heading(), coloured);
    let state = |cell: &str, name: &str| match name {
        "STATUS" | "STATE" => painted(cell, colour::of_state(cell), coloured),
        _ => cell.to_owned(),
    };
    let mut lines = vec![aligned(&header.map(str::to_owned), &header, &widths, heading)];
    lines.extend(rows.iter().map(|row| aligned(row, &header, &widths, state)));
    lines
}

fn aligned(
    cells: &[String],
    names: &[&str],
    widths: &[usize],
    paint: impl Fn(&str, &str) -> String,
) -> String {
    let last = cells.len() - 1;
    let columns = cells.iter().zip(names).zip(widths).enumerate();
    let shown = columns.map(|(at, ((cell, name), &width))| match at == last {
        true => paint(cell, name),
        false => format!("{}{}", paint(cell, name), " ".repeat(width - cell.width())),
    });
    shown.collect::<Vec<_>>().join("  ").trim_end().to_owned()
}

fn padded(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width - text.width()))
}

fn clipped(cell: &str) -> String {
    match cell.char_indices().nth(WIDEST) {
        Some((end, _)) => format!("{}…", &cell[..end]),
        None => cell.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: [&str; 3]) -> [String; 3] {
        cells.map(str::to_owned)
    }

    #[test]
    fn a_cell_of_any_length_is_shown_as_far_as_it_goes() {
        assert_eq!(clipped(&"ü".repeat(WIDEST)), "ü".repeat(WIDEST));
        assert_eq!(clipped(&"ü".repeat(1_000_000)).chars().count(), WIDEST + 1);
    }

    #[test]
    fn columns_are_aligned_by_what_a_terminal_shows() {
        let rows = [row(["echo/名前", "idle", "1"]), row(["echo/e\u{301}", "waiting", "20"])];
        let table = lines(["SESSION", "STATUS", "TURNS"], &rows, false);
        assert_eq!(
            table,
            ["SESSION    STATUS   TURNS", "echo/名前  idle     1", "echo/e\u{301}     waiting  20"]
        );
    }

    #[test]
    fn colour_changes_nothing_but_colour() {
        let rows = [row(["echo/a", "idle", "1"]), row(["echo/b", "waiting", "20"])];
        let of = |coloured| lines(["SESSION", "STATUS", "TURNS"], &rows, coloured);
        assert!(of(true)[0].starts_with("\u{1b}[1mSESSION\u{1b}[0m"));
        assert!(of(true)[1].contains("\u{1b}[32midle\u{1b}[0m"));
        let stripped: Vec<_> =
            of(true).iter().map(|line| anstream::adapter::strip_str(line).to_string()).collect();
        assert_eq!(stripped, of(false));
    }
}
