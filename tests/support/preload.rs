//! Libraries that tests preload into servers, compiled by the first test that needs one.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::NamedTempFile;

/// The library that is compiled from `source`, a file in C.
pub(super) fn library(name: &str, source: &str) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    source.hash(&mut hasher);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let library = folder.join(format!("{name}-{:016x}.so", hasher.finish()));
    if !library.exists() {
        compile(name, source, folder, &library);
    }
    library
}

/// Into a file of its own first: tests that run at once must never load half a library.
fn compile(name: &str, source: &str, folder: &Path, library: &Path) {
    fs::create_dir_all(folder).expect("cargo's folder for tests can be made");
    let input = tempfile::Builder::new().suffix(".c").tempfile_in(folder).expect("a file");
    fs::write(&input, source).expect("the source can be written");
    let output = NamedTempFile::new_in(folder).expect("a file");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
        .args([output.path(), input.path()])
        .status()
        .expect("`cc` is there: rustc links with it");
    assert!(compiled.success(), "cc cannot compile tests/support/{name}.c: {compiled}");
    output.persist(library).expect("a rename within one folder");
}
