//! Why a child cannot be talked to.

/// What is wrong, as it is told to people.
#[derive(Debug)]
pub(super) enum Fault {
    /// It closed a pipe. Perhaps it is ending by itself, and its status says more.
    HungUp(String),
    /// It has to be ended.
    Unbearable(String),
}
