//! `tenure health`: asks a worker's health door, for places that have no other client of HTTP.

mod door;
mod metrics;

use std::{net::SocketAddr, time::Duration};

use http_body_util::BodyExt;
use hyper::{Request, StatusCode, client::conn::http1::handshake, header::HOST};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::{net::TcpStream, time::timeout};

pub(crate) use self::door::Door;
use crate::{
    failure::{Exit, Failure},
    global::Global,
    output,
};

/// Ask a worker whether it is ready
///
/// Exit code 0 if it is, 5 if it is not or does not answer: what a container's health check wants. The
/// worker has to run with --health.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Where the worker answers, as its --health says
    #[arg(env = "TENURE_HEALTH", default_value = "127.0.0.1:8080", value_name = "ADDRESS", value_parser = address)]
    address: SocketAddr,
}

const EXAMPLES: &str = "\
Examples:
  tenure health 127.0.0.1:8080
  tenure health --timeout 1s --json | jq -r .state";

/// An address to listen at, or to ask.
pub(crate) fn address(given: &str) -> Result<SocketAddr, String> {
    given.parse().map_err(|_| format!("`{given}` is not an address: write 127.0.0.1:8080 or 0.0.0.0:8080"))
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report {
    ready: bool,
    state: String,
}

pub(crate) async fn run(Args { address }: Args, global: &Global) -> Result<(), Failure> {
    let address = reachable(address);
    let (status, state) = match timeout(global.timeout, ask(address)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(cause)) => return Err(silent(address, &cause.to_string())),
        Err(_) => return Err(silent(address, &late(global.timeout))),
    };
    let ready = status == StatusCode::OK;
    match global.json {
        true => output::json(&Report { ready, state: state.clone() })?,
        false => output::line(&state)?,
    }
    if ready { Ok(()) } else { Err(not_ready(&state)) }
}

/// A worker that listens everywhere is asked here.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

async fn ask(address: SocketAddr) -> Result<(StatusCode, String), Box<dyn std::error::Error>> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
    let request = Request::get("/readyz").header(HOST, address.to_string()).body(String::new())?;
    let answer = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        Ok::<_, hyper::Error>((status, String::from_utf8_lossy(&body).trim().to_owned()))
    };
    tokio::pin!(connection, answer);
    let answered = tokio::select! {
        biased;
        answered = &mut answer => answered,
        // The last of it may have come together with its end.
        ended = connection => { ended?; answer.await }
    };
    Ok(answered?)
}

fn silent(address: SocketAddr, cause: &str) -> Failure {
    let line = format!("nobody answers at {address}: {cause}: start the worker with --health {address}");
    Failure::new(Exit::Unavailable, line)
}

fn late(waited: Duration) -> String {
    format!("no answer within {waited:?}")
}

fn not_ready(state: &str) -> Failure {
    let line = match state {
        "starting" => "the worker is starting: ask again in a moment, or see its log",
        "draining" | "ended" => "the worker is ending: it takes no sessions any more; start another",
        _ => {
            "the worker is cut off from Redis: it goes on by itself once it is answered; see `tenure doctor`"
        }
    };
    Failure::new(Exit::Unavailable, line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_listens_everywhere_is_asked_at_the_loopback() {
        let asked = |given: &str| reachable(address(given).unwrap()).to_string();
        assert_eq!(asked("0.0.0.0:80"), "127.0.0.1:80");
        assert_eq!(asked("[::]:80"), "[::1]:80");
        assert_eq!(asked("10.0.0.1:80"), "10.0.0.1:80");
        assert!(address("localhost").is_err_and(|why| why.contains("127.0.0.1:8080")));
    }
}
