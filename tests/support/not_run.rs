//! Tests that cannot run here are counted, so that nobody takes them for tests that passed.

use std::fs::OpenOptions;
use std::io::Write;
use std::thread;

/// Prints why this test is not run, and counts it in the file `TENURE_TEST_NOT_RUN`, where there is one.
pub(super) fn note(why: &str) {
    let test = thread::current().name().unwrap_or("a test").to_owned();
    println!("not run: {test}: {why}");
    if let Ok(list) = std::env::var("TENURE_TEST_NOT_RUN") {
        let list = OpenOptions::new().append(true).create(true).open(list);
        writeln!(list.expect("the list can be opened"), "{test}").expect("and written");
    }
}
