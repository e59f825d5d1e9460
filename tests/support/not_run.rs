//! Tests that cannot run here are counted, so that nobody takes them for tests that passed.

use std::fs::OpenOptions;
use std::io::Write;
use std::thread;

/// Prints why this test is not run, or not on the server that was asked for, and counts it in the file `TENURE_TEST_NOT_RUN`,
/// where there is one: a line each, the test and the reason.
pub fn note(why: &str) {
    let test = thread::current().name().unwrap_or("a test").to_owned();
    println!("not run: {test}: {why}");
    if let Ok(list) = std::env::var("TENURE_TEST_NOT_RUN") {
        let list = OpenOptions::new().append(true).create(true).open(list);
        writeln!(list.expect("the list can be opened"), "{test}: {why}").expect("and written");
    }
}

/// Ends the test for a reason that is known and no fault of what is tested. Without nextest, where all tests of a binary share one
/// process, it fails by that.
pub fn end(why: &str) -> ! {
    if std::env::var_os("NEXTEST").is_none() {
        panic!("{why}");
    }
    note(why);
    std::process::exit(0);
}
