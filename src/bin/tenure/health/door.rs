//! Where a worker tells how it is, by HTTP: `/readyz`, `/healthz` and `/metrics`.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use hyper::{
    Request, Response, StatusCode, body::Incoming, header::CONTENT_TYPE, server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tenure::{Env, Readiness, WorkerHandle};
use tokio::net::{TcpListener, TcpStream};
use tracing::debug;

use super::metrics;
use crate::failure::{Exit, Failure};

/// How many may ask at once; further ones wait their turn.
const AT_ONCE: usize = 64;
/// How long one may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(5);
/// After a connection could not be taken, as when the process has too many files open.
const PAUSE: Duration = Duration::from_millis(100);

/// A door that tells how a worker is, from before it starts until after it has ended.
pub(crate) struct Door {
    listener: Option<TcpListener>,
    worker: OnceLock<Arc<WorkerHandle>>,
}

impl Door {
    /// Opens it at `address`; without one there is no door.
    pub(crate) async fn open(address: Option<SocketAddr>) -> Result<Self, Failure> {
        let listener = match address {
            Some(address) => Some(TcpListener::bind(address).await.map_err(|err| {
                Failure::new(Exit::Failed, format!("--health: {address}: {err}: name another address"))
            })?),
            None => None,
        };
        Ok(Self { listener, worker: OnceLock::new() })
    }

    /// From now on it tells how `worker` is.
    pub(crate) fn tells_of(&self, worker: Arc<WorkerHandle>) {
        // A process has one worker.
        let _ = self.worker.set(worker);
    }

    /// Answers everybody, for ever.
    pub(crate) async fn answer(&self) -> Infallible {
        let Some(listener) = &self.listener else { return std::future::pending().await };
        let env = Env::system();
        let mut asking = FuturesUnordered::new();
        loop {
            tokio::select! {
                biased;
                Some(()) = asking.next() => (),
                taken = listener.accept(), if asking.len() < AT_ONCE => match taken {
                    Ok((stream, _)) => asking.push(self.answer_one(stream)),
                    Err(_) => env.sleep(PAUSE).await,
                },
            }
        }
    }

    async fn answer_one(&self, stream: TcpStream) {
        let service = service_fn(async |asked: Request<Incoming>| {
            Ok::<_, Infallible>(self.respond(asked.uri().path()))
        });
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(PATIENCE).keep_alive(false);
        if let Err(err) = http.serve_connection(TokioIo::new(stream), service).await {
            debug!(error = %err, "somebody asked for our health and left");
        }
    }

    fn respond(&self, path: &str) -> Response<String> {
        match path {
            "/readyz" => match self.worker.get().map(|worker| worker.readiness()) {
                Some(Readiness::Ready) => said(StatusCode::OK, "ready"),
                Some(other) => said(StatusCode::SERVICE_UNAVAILABLE, other.as_str()),
                None => said(StatusCode::SERVICE_UNAVAILABLE, "starting"),
            },
            "/healthz" => said(StatusCode::OK, "ok"),
            "/metrics" => match self.worker.get() {
                Some(worker) => {
                    text(StatusCode::OK, metrics::page(worker.readiness(), worker.load(), &worker.tally()))
                }
                None => said(StatusCode::SERVICE_UNAVAILABLE, "starting"),
            },
            _ => said(StatusCode::NOT_FOUND, "ask for /readyz, /healthz or /metrics"),
        }
    }
}

fn said(status: StatusCode, word: &str) -> Response<String> {
    text(status, format!("{word}\n"))
}

fn text(status: StatusCode, page: String) -> Response<String> {
    let mut response = Response::new(page);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, "text/plain".parse().expect("a good value"));
    response
}
