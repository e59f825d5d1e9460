//! When and how words are coloured: on terminals, unless `NO_COLOR`, `TERM=dumb` or a pipe says no;
//! `CLICOLOR_FORCE` says yes.

use std::io::{Stderr, Stdout, stderr, stdout};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};

/// Whether what goes to stdout is coloured.
pub(crate) fn on_stdout() -> bool {
    AutoStream::<Stdout>::choice(&stdout()) != ColorChoice::Never
}

/// Whether what goes to stderr is coloured.
pub(crate) fn on_stderr() -> bool {
    AutoStream::<Stderr>::choice(&stderr()) != ColorChoice::Never
}

/// A heading's style.
pub(crate) fn heading() -> Style {
    Style::new().bold()
}

/// The style of a word for the state of something: green is well, yellow waits, red needs somebody.
pub(crate) fn of_state(word: &str) -> Style {
    match word.split(' ').next().unwrap_or_default() {
        "idle" | "ready" | "ok" => AnsiColor::Green.on_default(),
        "running" => AnsiColor::Cyan.on_default(),
        "passive" => Style::new().dimmed(),
        "waiting" | "suspended" | "paused" | "draining" | "warn" => AnsiColor::Yellow.on_default(),
        "stopped" | "quarantined" | "FAIL" => AnsiColor::Red.on_default().bold(),
        _ => Style::new(),
    }
}

/// `text` in `style`, if it is coloured at all.
pub(crate) fn painted(text: &str, style: Style, coloured: bool) -> String {
    match coloured && style != Style::new() {
        true => format!("{style}{text}{style:#}"),
        false => text.to_owned(),
    }
}
