//! Connections to an agent: how they are opened, and what tells a kept one from a new one.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use hyper::{
    Uri,
    rt::{Read, ReadBufCursor, Write},
};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::{
    client::legacy::connect::{Connected, Connection, HttpConnector},
    rt::TokioIo,
};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use tokio::net::TcpStream;
use tower_service::Service;

use super::target::{BadHttp, Target};

/// Opens connections, each within a time limit.
#[derive(Clone)]
pub(super) struct Connector(HttpsConnector<HttpConnector>);

impl Connector {
    /// For a connection and its TLS handshake.
    const WITHIN: Duration = Duration::from_secs(10);

    /// What opens connections to `target`.
    pub(super) fn to(target: &Target) -> Result<Self, BadHttp> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let roots = if target.is_encrypted() { trusted()? } else { RootCertStore::empty() };
        let tls = ClientConfig::builder_with_provider(ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .expect("ring knows the versions of TLS that rustls begins with")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let https = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1();
        Ok(Self(https.wrap_connector(tcp)))
    }
}

/// The certificates of the system, or those of `SSL_CERT_FILE` and `SSL_CERT_DIR`.
fn trusted() -> Result<RootCertStore, BadHttp> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why = found.errors.first().map(|err| format!(" ({err})")).unwrap_or_default();
        let line = format!(
            "no certificates to trust for https{why}: install the system's (ca-certificates), or name a PEM file in SSL_CERT_FILE"
        );
        return Err(BadHttp(line));
    }
    Ok(roots)
}

type Opening<T> = Pin<Box<dyn Future<Output = Result<T, Box<dyn std::error::Error + Send + Sync>>> + Send>>;

impl Service<Uri> for Connector {
    type Response = Opened;
    type Error = Box<dyn std::error::Error + Send + Sync>;
    type Future = Opening<Opened>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let opening = self.0.call(uri);
        Box::pin(async move {
            let opened = tokio::time::timeout(Self::WITHIN, opening).await;
            let late = |_| io::Error::new(io::ErrorKind::TimedOut, "no connection within 10 s");
            Ok(Opened { stream: opened.map_err(late)??, uses: Uses::default() })
        })
    }
}

/// Whether a connection has carried an answer: one that has may have been closed by the server
/// since, and a failure on it says nothing of the request.
#[derive(Debug, Clone, Default)]
pub(super) struct Uses(Arc<AtomicBool>);

impl Uses {
    pub(super) fn answered(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_answered(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// An open connection.
pub(super) struct Opened {
    stream: MaybeHttpsStream<TokioIo<TcpStream>>,
    uses: Uses,
}

impl Connection for Opened {
    fn connected(&self) -> Connected {
        self.stream.connected().extra(self.uses.clone())
    }
}

impl Read for Opened {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl Write for Opened {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
