//! `tenure completions`.

use std::io::{Write, stdout};

use clap::CommandFactory;
use clap_complete::{Shell, generate};

use crate::{Cli, failure::Failure};

/// Print a script that completes commands and options in your shell
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The shell it is for
    shell: Shell,
}

const EXAMPLES: &str = "\
Examples:
  tenure completions bash > ~/.local/share/bash-completion/completions/tenure
  tenure completions zsh > \"${fpath[1]}/_tenure\"
  tenure completions fish > ~/.config/fish/completions/tenure.fish";

pub(crate) fn run(Args { shell }: Args) -> Result<(), Failure> {
    // In memory first: a reader that goes away is no reason to panic.
    let mut script = Vec::new();
    generate(shell, &mut Cli::command(), "tenure", &mut script);
    Ok(stdout().lock().write_all(&script)?)
}
