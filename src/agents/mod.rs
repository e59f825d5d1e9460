//! Agents that come with tenure.

mod echo;
pub mod file;
mod http;
mod protocol;

pub use echo::Echo;
pub use http::{BadHttp, Http};
