//! Agents that come with tenure.

mod echo;
mod exec;
pub mod file;
mod http;
mod protocol;

pub use echo::Echo;
pub use exec::Exec;
pub use http::{BadHttp, Http};
