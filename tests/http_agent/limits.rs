//! How long, how much, how often.

use std::time::Duration;

use tenure::{agents::Http, client::Outgoing, model::TurnPolicy};

use crate::{
    stage::{PATIENCE, Stage},
    support::{
        eventually,
        http::{Act, HttpServer},
    },
};

/// Asks a server that never comes to an end of its answer.
async fn stalls(bytes: &'static [u8]) {
    let server = HttpServer::start(|_| Act::Stall(bytes.to_vec()));
    let short = |policy| TurnPolicy { tries: 2, timeout: Duration::from_secs(1), ..policy };
    let stage = Stage::of(Http::new(&server.url(), []).unwrap(), short).await;
    let (reason, _) = stage.fail("web/a", "hello").await;
    assert_eq!(reason, "timeout");
    assert_eq!(server.requests().len(), 2);
    eventually("both requests are abandoned", PATIENCE, async || server.abandoned() == 2).await;
}

#[tokio::test]
async fn headers_that_do_not_come_end_the_try_and_its_request() {
    stalls(b"").await;
    stalls(b"HTTP/1.1 200 OK\r\ncontent-le").await;
}

#[tokio::test]
async fn a_body_that_does_not_come_ends_the_try_and_its_request() {
    stalls(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"reply\":").await;
}

#[tokio::test]
async fn a_worker_that_ends_leaves_no_request_behind() {
    let server = HttpServer::start(|_| Act::Stall(Vec::new()));
    let stage = Stage::with(&server).await;
    stage.client.send(Outgoing::text("web/a".parse().unwrap(), "hello")).await.unwrap();
    eventually("the turn runs", PATIENCE, async || server.requests().len() == 1).await;
    stage.worker.kill().await;
    eventually("its request is abandoned", PATIENCE, async || server.abandoned() == 1).await;
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off_and_given_up_on() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 10000000\r\n\r\n".to_vec();
    let server = HttpServer::start(move |_| Act::Stall([head.clone(), vec![b' '; 9 << 20]].concat()));
    let stage = Stage::with(&server).await;
    let (reason, message) = stage.fail("web/a", "hello").await;
    assert_eq!(reason, "failed");
    assert!(message.ends_with("http 200: the answer is larger than 8 MiB"), "{message}");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_long_failure_is_not_read_to_its_end_and_quoted_in_short() {
    let head = b"HTTP/1.1 503 Service Unavailable\r\n\r\n".to_vec();
    let server = HttpServer::start(move |_| Act::Stall([head.clone(), vec![b'x'; 1 << 20]].concat()));
    let stage = Stage::with(&server).await;
    let (_, message) = stage.fail("web/a", "hello").await;
    assert!(message.ends_with("x…") && message.len() < 300, "{message}");
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn the_next_try_is_not_made_before_the_server_wants_it() {
    for retry_after in ["1", "Thu, 01 Jan 2026 00:00:11 GMT"] {
        let server = HttpServer::start(move |request| match request.json()["try"].as_u64() {
            Some(1) => {
                let date = ("date", "Thu, 01 Jan 2026 00:00:10 GMT");
                Act::status("429 Too Many Requests", &[("retry-after", retry_after), date], "")
            }
            _ => Act::reply("now"),
        });
        let stage = Stage::with(&server).await;
        let env = tenure::Env::system();
        let began = env.now();
        assert_eq!(stage.hear("web/a", "hello").await, "now");
        let took = env.now().since(began);
        assert!(took >= Duration::from_secs(1) && took < PATIENCE, "{retry_after}: {took:?}");
    }
}
