//! Agents that come with tenure.

mod echo;
mod exec;
pub mod file;
mod protocol;

pub use echo::Echo;
pub use exec::Exec;
