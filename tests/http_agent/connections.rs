//! How connections are opened, kept, and lost.

use std::net::{Ipv4Addr, TcpListener};

use tenure::agents::Http;

use crate::{
    stage::Stage,
    support::http::{Act, HttpServer},
};

#[tokio::test]
async fn turns_in_a_row_go_over_one_connection() {
    let server = HttpServer::start(|_| Act::reply("hello"));
    let stage = Stage::with(&server).await;
    for session in ["web/a", "web/b", "web/a", "web/c"] {
        assert_eq!(stage.hear(session, "hello").await, "hello");
    }
    assert_eq!((server.requests().len(), server.connections()), (4, 1));
}

#[tokio::test]
async fn a_failure_that_was_read_to_its_end_does_not_cost_the_connection() {
    let server = HttpServer::start(|request| match request.number {
        0 => Act::status("500 Internal Server Error", &[], "no luck"),
        _ => Act::reply("hello"),
    });
    let stage = Stage::with(&server).await;
    assert_eq!(stage.hear("web/a", "hello").await, "hello");
    assert_eq!((server.requests().len(), server.connections()), (2, 1));
}

/// The server reads the second request of a kept connection and closes instead of an answer: as one
/// that gave up on the idle connection at the very moment.
#[tokio::test]
async fn a_kept_connection_that_breaks_is_made_up_for_within_the_same_try() {
    let server = HttpServer::start(|request| match request.number {
        0 => Act::reply("hello"),
        _ => Act::Close(Vec::new()),
    });
    let stage = Stage::with(&server).await;
    for _ in 0..3 {
        assert_eq!(stage.hear("web/a", "hello").await, "hello");
    }
    let requests = server.requests();
    assert!(requests.iter().all(|request| request.json()["try"] == 1), "no try was lost");
    let of_second = requests.iter().filter(|request| request.headers["idempotency-key"] == "web/a#2");
    assert_eq!(of_second.count(), 2, "the same request twice, under one key");
}

#[tokio::test]
async fn a_new_connection_that_breaks_is_a_failed_try() {
    let server = HttpServer::start(|_| Act::Close(Vec::new()));
    let stage = Stage::with(&server).await;
    let (reason, message) = stage.fail("web/a", "hello").await;
    assert_eq!(reason, "failed");
    assert!(message.contains("connection closed before message completed"), "{message}");
    assert_eq!(server.requests().len(), 3, "once a try");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_tried_again() {
    let server = HttpServer::start(|request| match request.connection {
        0 => Act::Close(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"reply\":".to_vec()),
        _ => Act::reply("whole"),
    });
    let stage = Stage::with(&server).await;
    assert_eq!(stage.hear("web/a", "hello").await, "whole");
}

#[tokio::test]
async fn what_is_no_http_is_tried_again_and_said() {
    let server = HttpServer::start(|_| Act::Close(b"220 mail.example ESMTP\r\n".to_vec()));
    let stage = Stage::with(&server).await;
    let (_, message) = stage.fail("web/a", "hello").await;
    assert!(message.contains("invalid HTTP"), "{message}");
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn a_refused_connection_is_tried_again_and_said_without_the_path() {
    let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let agent = Http::new(&format!("http://127.0.0.1:{nobody}/path?key=secret"), []).unwrap();
    let stage = Stage::of(agent, |policy| policy).await;
    let (reason, message) = stage.fail("web/a", "hello").await;
    assert_eq!(reason, "failed");
    let begin = format!("http://127.0.0.1:{nobody}: cannot connect: Connection refused");
    assert!(message.starts_with(&begin), "{message}");
}
