//! What a power cut leaves of a server's append-only file.
//!
//! What a killed process had written is there, synchronised or not: the kernel lives on. So a library in the server
//! (`synced.c`) notes how much was on the disk, and the rest is cut off.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::preload;

/// The note of one server.
#[derive(Debug)]
pub(super) struct Synced {
    path: PathBuf,
}

impl Synced {
    pub(super) fn new(folder: &Path) -> Self {
        let path = folder.join("synced");
        fs::write(&path, 0_i64.to_ne_bytes()).expect("the folder can be written");
        Self { path }
    }

    pub(super) fn hand_to(&self, server: &mut Command) {
        let library = preload::library("synced", include_str!("synced.c"));
        server.env("LD_PRELOAD", library).env("TENURE_TEST_SYNCED", &self.path);
    }

    /// Cuts the append-only file in `folder` after what was on the disk; how much that takes away.
    pub(super) fn cut(&self, folder: &Path) -> u64 {
        let note = fs::read(&self.path).expect("the note is there");
        let size = i64::from_ne_bytes(note.try_into().expect("one number"));
        let size = u64::try_from(size).expect("no file is smaller than nothing");
        let file = File::options().write(true).open(log(folder)).expect("it can be written");
        let all = file.metadata().expect("it is a file").len();
        assert!(0 < size && size <= all, "{size} bytes of {all} were on the disk");
        file.set_len(size).expect("it can be cut");
        all - size
    }
}

/// The one file that the server appends to.
fn log(folder: &Path) -> PathBuf {
    let files = fs::read_dir(folder.join("appendonlydir")).expect("the server keeps a file");
    let mut files = files.map(|file| file.expect("it can be read").path());
    let is_log = |file: &PathBuf| file.to_string_lossy().ends_with(".incr.aof");
    files.find(is_log).expect("the server has appended something")
}
