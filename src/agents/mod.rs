//! Agents that come with tenure.

mod echo;
mod protocol;

pub use echo::Echo;
