//! One request and its answer.

use std::{fmt, time::Duration};

use http_body_util::{BodyExt, Full};
use hyper::{
    HeaderMap, Request, StatusCode,
    body::{Bytes, Incoming},
    header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT},
    http::Extensions,
};
use hyper_util::{
    client::legacy::{Client, Error, connect::capture_connection},
    rt::{TokioExecutor, TokioTimer},
};
use tracing::debug;

use super::{
    answer::Speaker,
    connection::{Connector, Uses},
    redaction::Redaction,
    target::{BadHttp, Target},
};
use crate::runtime::AgentError;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const OURSELVES: HeaderValue = HeaderValue::from_static(concat!("tenure/", env!("CARGO_PKG_VERSION")));

/// What an agent's headers may not say: it is tenure's to say.
const RESERVED: [&str; 12] = [
    "connection",
    "content-length",
    "content-type",
    "expect",
    "host",
    "idempotency-key",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// An answer, with as much of its body as is read.
pub(super) struct Response {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    /// Whether that is all of it.
    pub(super) whole: bool,
}

/// What carries the requests of one agent: its address, its headers, its connections.
pub(super) struct Exchange {
    target: Target,
    headers: HeaderMap,
    redaction: Redaction,
    kept: Client<Connector, Full<Bytes>>,
    fresh: Client<Connector, Full<Bytes>>,
}

impl Exchange {
    /// The largest request: a history of large entries may be larger.
    const MOST_SENT: usize = 64 << 20;
    /// The largest answer.
    pub(super) const MOST_READ: usize = 8 << 20;
    /// How much of the body is read where the status tells of a failure.
    const MOST_OF_A_FAILURE: usize = 64 << 10;
    /// Parts of a path that are this long may be secret.
    const LONG_PART: usize = 16;
    /// A connection that nobody used for this long is closed.
    const IDLE: Duration = Duration::from_secs(30);

    pub(super) fn with<'h>(
        target: Target,
        headers: impl IntoIterator<Item = (&'h str, &'h str)>,
    ) -> Result<Self, BadHttp> {
        let connector = Connector::to(&target)?;
        let headers = every_request(headers)?;
        let secret = headers.values().filter(|value| value.is_sensitive());
        let values = secret.filter_map(|value| str::from_utf8(value.as_bytes()).ok());
        let long = target.uri().path().split('/').filter(|part| part.len() >= Self::LONG_PART);
        let redaction = Redaction::of(values.chain(target.uri().query()).chain(long));
        let mut client = Client::builder(TokioExecutor::new());
        client.pool_timer(TokioTimer::new()).pool_idle_timeout(Self::IDLE);
        let kept = client.build(connector.clone());
        let fresh = client.pool_max_idle_per_host(0).build(connector);
        Ok(Self { target, headers, redaction, kept, fresh })
    }

    /// Whoever answers here.
    pub(super) fn speaker(&self) -> Speaker<'_> {
        Speaker { target: &self.target, redaction: &self.redaction }
    }

    /// What the agent answered to `body`, whatever its status.
    pub(super) async fn post(&self, body: Vec<u8>, key: &str) -> Result<Response, AgentError> {
        if body.len() > Self::MOST_SENT {
            let line = format!("the turn's params take {} bytes: lower the agent's `history`", body.len());
            return Err(AgentError::permanent(line));
        }
        let key = HeaderValue::from_bytes(key.as_bytes()).expect("a session's name has no control character");
        let body = Bytes::from(body);
        match self.send(&self.kept, body.clone(), &key).await {
            Err(failed) if failed.was_stale => {
                debug!(origin = %self.target, error = failed.why, "asking again on a new connection");
                self.send(&self.fresh, body, &key).await
            }
            answered => answered,
        }
        .map_err(|Failed { why, .. }| AgentError::new(format!("{}: {why}", self.target)))
    }

    async fn send(
        &self,
        client: &Client<Connector, Full<Bytes>>,
        body: Bytes,
        key: &HeaderValue,
    ) -> Result<Response, Failed> {
        let mut request =
            Request::post(self.target.uri()).body(Full::new(body)).expect("its parts are checked");
        *request.headers_mut() = self.headers.clone();
        request.headers_mut().insert(IDEMPOTENCY_KEY, key.clone());
        let connection = capture_connection(&mut request);
        let answered = client.request(request).await;
        let uses = connection.connection_metadata().as_ref().and_then(|connected| {
            let mut extras = Extensions::new();
            connected.get_extras(&mut extras);
            extras.remove::<Uses>()
        });
        match answered {
            Ok(response) => {
                uses.iter().for_each(Uses::answered);
                read(response).await.map_err(|why| Failed { why, was_stale: false })
            }
            Err(err) => Err(Failed {
                was_stale: !err.is_connect() && uses.is_some_and(|uses| uses.has_answered()),
                why: explain(&err),
            }),
        }
    }
}

/// Why there is no answer.
struct Failed {
    why: String,
    /// It came over a connection that had been kept: the request may be well on a new one.
    was_stale: bool,
}

/// The headers that every request has: ours, then the agent's, which are secret.
fn every_request<'h>(headers: impl IntoIterator<Item = (&'h str, &'h str)>) -> Result<HeaderMap, BadHttp> {
    let mut all = HeaderMap::from_iter([(ACCEPT, JSON), (CONTENT_TYPE, JSON), (USER_AGENT, OURSELVES)]);
    for (name, value) in headers {
        if RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(name)) {
            return Err(BadHttp(format!("the header `{name}` is tenure's own: take it out of `headers`")));
        }
        let bad = |what| BadHttp(format!("the header `{name}`: its {what} a header cannot have"));
        let header: HeaderName = name.parse().map_err(|_| bad("name is one that"))?;
        let mut value =
            HeaderValue::from_bytes(value.as_bytes()).map_err(|_| bad("value has a character that"))?;
        value.set_sensitive(true);
        all.insert(header, value);
    }
    Ok(all)
}

/// Reads an answer to its end, or as far as its status is worth.
async fn read(response: hyper::Response<Incoming>) -> Result<Response, String> {
    let (parts, mut incoming) = response.into_parts();
    let is_answer = parts.status.is_success();
    let most = if is_answer { Exchange::MOST_READ } else { Exchange::MOST_OF_A_FAILURE };
    let mut body = Vec::new();
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|err| format!("the answer broke off: {}", deepest(&err)))?;
        body.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
        if body.len() > most {
            body.truncate(most);
            return Ok(Response { status: parts.status, headers: parts.headers, body, whole: false });
        }
    }
    Ok(Response { status: parts.status, headers: parts.headers, body, whole: true })
}

/// What went wrong, for people.
fn explain(err: &Error) -> String {
    let why = deepest(err);
    if why.ends_with("UnknownIssuer") {
        return format!("{why}: name a PEM file with the authority that signed it in SSL_CERT_FILE");
    }
    if err.is_connect() { format!("cannot connect: {why}") } else { why }
}

/// The innermost cause: those around it only say that there is one.
fn deepest(err: &(dyn std::error::Error + 'static)) -> String {
    // An `io::Error` passes over the error that it holds.
    let held = err.downcast_ref::<std::io::Error>().and_then(|err| err.get_ref());
    match held.map(|held| held as _).or_else(|| err.source()) {
        Some(inner) => deepest(inner),
        None => err.to_string(),
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("target", &self.target).finish_non_exhaustive()
    }
}
