//! Agents that come with tenure.

mod echo;
mod http;
mod protocol;

pub use echo::Echo;
pub use http::{BadHttp, Http};
