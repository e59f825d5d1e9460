//! Agents that come with tenure.

mod echo;
pub mod file;
mod protocol;

pub use echo::Echo;
