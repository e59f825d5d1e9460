//! Where a benchmark writes its table.

use std::{
    fs::{self, OpenOptions},
    path::{Path, PathBuf},
};

use crate::failure::{Exit, Failure};

/// Fails if a report cannot be written there: before anything is measured, which may take an hour. Leaves nothing behind.
pub(super) fn expect_writable(file: Option<&PathBuf>) -> Result<(), Failure> {
    file.map_or(Ok(()), |file| try_out(file))
}

fn try_out(file: &Path) -> Result<(), Failure> {
    let was_there = file.exists();
    let opened = OpenOptions::new().append(true).create(true).open(file);
    let tidied = opened.and_then(|_| if was_there { Ok(()) } else { fs::remove_file(file) });
    tidied.map_err(|err| {
        let line = format!("--report {}: {err}: name a file that can be written", file.display());
        Failure::new(Exit::Usage, line)
    })
}
