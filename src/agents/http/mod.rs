//! An agent behind a URL: a run of a turn is one `POST` of its params, answered by its result.
//!
//! The request goes to the URL as it stands: no redirect is followed, and no proxy of the
//! environment is used. Connections are kept and used again. A run that is given up on (its time
//! limit, a lost lease) drops its request, and with it the connection.

mod answer;
mod connection;
mod exchange;
mod retry_after;
mod target;

#[cfg(feature = "fuzzing")]
pub(crate) use self::answer::any_response;
use self::exchange::Exchange;
pub(super) use self::exchange::RESERVED;
pub use self::target::BadHttp;
use super::{
    file::HttpSpec,
    protocol::{Params, State},
};
use crate::{
    model::Message,
    runtime::{Agent, AgentError, Reply, Turn},
};

/// An agent behind a URL.
#[derive(Debug)]
pub struct Http(Exchange);

impl Http {
    /// The agent at `url` (`http://…` or `https://…`), with these headers on every request.
    ///
    /// What stands in the headers and in the URL's query is a secret: it is shown nowhere. For
    /// `https`, the certificates to trust are the system's, or those of `SSL_CERT_FILE`.
    pub fn new<'h>(
        url: &str,
        headers: impl IntoIterator<Item = (&'h str, &'h str)>,
    ) -> Result<Self, BadHttp> {
        Ok(Self(Exchange::with(url.parse()?, headers)?))
    }

    /// The agent that a file declares.
    pub(super) fn of(spec: &HttpSpec) -> Result<Self, BadHttp> {
        let headers = spec.headers.iter().map(|(name, value)| (name.as_str(), value.expose()));
        Self::new(spec.url.as_str(), headers)
    }
}

impl Agent for Http {
    type State = State;

    async fn turn(&self, cx: &mut Turn<State>, message: Message) -> Result<Reply, AgentError> {
        let params = serde_json::to_vec(&Params::of(cx, &message).await?)?;
        let response = self.0.post(params, &cx.key()).await?;
        self.0.speaker().outcome(&response, cx.wall())?.apply(cx)
    }
}
