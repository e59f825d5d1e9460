//! Agents that come with tenure.

mod echo;
mod exec;
pub mod file;
mod http;
mod protocol;
mod redaction;

#[cfg(feature = "fuzzing")]
pub(crate) use self::{exec::any_lines, http::any_response};
pub use echo::Echo;
pub use exec::Exec;
pub use http::{BadHttp, Http};
