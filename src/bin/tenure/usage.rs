//! What the parser of the command line has to say: help on stdout, a mistake in one line.

use clap::error::ErrorKind;

use crate::failure::{Exit, Failure};

/// Prints help or version; a mistake becomes a failure of one line.
pub(crate) fn answer(said: &clap::Error) -> Result<(), Failure> {
    match said.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Ok(said.print()?),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            Err(Failure::new(Exit::Usage, "no command given: see `tenure --help`"))
        }
        _ => Err(Failure::new(Exit::Usage, format!("{}: see `--help`", one_line(&said.to_string())))),
    }
}

/// The parser's first paragraph and its tips, without the usage that follows.
fn one_line(said: &str) -> String {
    let wanted = said.split("\n\nUsage:").next().unwrap_or(said);
    let wanted = wanted.split("\n\nFor more information").next().unwrap_or(wanted);
    let wanted = wanted.strip_prefix("error: ").unwrap_or(wanted);
    wanted.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_is_told_in_one_line_without_the_usage() {
        let said =
            "error: unexpected argument '--x' found\n\n  tip: a similar one exists: '--y'\n\nUsage: tenure";
        assert_eq!(one_line(said), "unexpected argument '--x' found tip: a similar one exists: '--y'");
        let missing = "error: the following required arguments were not provided:\n  <SESSION>\n\nUsage: x";
        assert_eq!(one_line(missing), "the following required arguments were not provided: <SESSION>");
    }
}
