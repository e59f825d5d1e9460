//! An agent behind a URL, against servers that behave and servers that do not.

mod answers;
mod connections;
mod examples;
mod limits;
mod processes;
mod stage;
#[path = "../support/mod.rs"]
mod support;
