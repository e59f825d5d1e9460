//! What is asked, and what an answer leads to.

use serde_json::json;
use tenure::agents::Http;

use crate::{
    stage::Stage,
    support::http::{Act, HttpServer},
};

#[tokio::test]
async fn a_turn_is_one_post_of_its_params_and_its_result_comes_back_whole() {
    let server = HttpServer::start(|request| {
        let n = request.json()["state"]["n"].as_u64().unwrap_or(0) + 1;
        let append = json!([{ "kind": "tool_call", "body": { "name": "look" } }]);
        let body = json!({ "reply": { "n": n }, "state": { "n": n }, "append": append });
        Act::status("200 OK", &[], &body.to_string())
    });
    let agent = Http::new(&server.url(), [("authorization", "Bearer abc"), ("x-shop", "7")]).unwrap();
    let stage = Stage::of(agent, |policy| policy).await;
    stage.ask("web/ann", "one").await.unwrap();
    let answer = stage.ask("web/ann", "two").await.unwrap();
    assert_eq!(answer.reply.unwrap().as_json(), r#"{"n":2}"#);

    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    let [first, second] = &requests[..] else { unreachable!() };
    assert_eq!(first.line, "POST /turn HTTP/1.1");
    let params = second.json();
    assert_eq!(
        (&params["session"], &params["turn"], &params["try"]),
        (&json!("web/ann"), &json!(2), &json!(1))
    );
    assert_eq!(params["message"]["body"], json!({ "text": "two" }));
    assert_eq!(params["state"], json!({ "n": 1 }));
    let kinds: Vec<_> = params["history"].as_array().unwrap().iter().map(|entry| &entry["kind"]).collect();
    assert_eq!(kinds, ["user", "tool_call", "assistant"]);
    for (name, value) in [
        ("content-type", "application/json"),
        ("accept", "application/json"),
        ("user-agent", concat!("tenure/", env!("CARGO_PKG_VERSION"))),
        ("idempotency-key", params["key"].as_str().unwrap()),
        ("authorization", "Bearer abc"),
        ("x-shop", "7"),
    ] {
        assert_eq!(second.headers[name], value, "{name}");
    }
    assert_eq!(stage.history("web/ann").await.len(), 6);
}

#[tokio::test]
async fn every_try_of_a_turn_carries_the_same_key_also_in_other_letters() {
    let server = HttpServer::start(|request| match request.json()["try"].as_u64() {
        Some(3) => Act::reply("at last"),
        _ => Act::status("503 Service Unavailable", &[], "later"),
    });
    let stage = Stage::with(&server).await;
    assert_eq!(stage.hear("web/jürgen", "hello").await, "at last");
    let keys: Vec<_> = server.requests().iter().map(|r| r.headers["idempotency-key"].clone()).collect();
    assert_eq!(keys, ["web/jürgen#1"; 3]);
}

#[tokio::test]
async fn no_content_and_an_empty_body_are_turns_without_a_reply() {
    let server = HttpServer::start(|request| match request.number % 2 {
        0 => Act::Answer(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()),
        _ => Act::status("200 OK", &[], ""),
    });
    let stage = Stage::with(&server).await;
    for _ in 0..2 {
        assert_eq!(stage.ask("web/a", "hello").await.unwrap().reply, None);
    }
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn garbage_is_tried_again_and_an_agents_own_no_is_not() {
    let server = HttpServer::start(|request| match request.json()["message"]["body"]["text"].as_str() {
        Some("garbage") => Act::status("200 OK", &[], "<html>\n<b>hello</b>"),
        _ => Act::status("503 Service Unavailable", &[], r#"{"message":"sold out","data":{"retry":false}}"#),
    });
    let stage = Stage::with(&server).await;
    let (reason, message) = stage.fail("web/a", "garbage").await;
    assert_eq!(reason, "failed");
    assert!(message.contains("http 200") && message.contains("<html> <b>hello</b>"), "{message}");
    assert_eq!(server.requests().len(), 3);
    let (_, message) = stage.fail("web/a", "no").await;
    assert_eq!(message, format!("http://127.0.0.1:{}: http 503: sold out", server.port()));
    assert_eq!(server.requests().len(), 4);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = HttpServer::start(|_| Act::reply("hello"));
    let to = format!("{}?token=t0ken", elsewhere.url());
    let server = HttpServer::start(move |_| Act::status("307 Temporary Redirect", &[("location", &to)], ""));
    let stage = Stage::with(&server).await;
    let (_, message) = stage.fail("web/a", "hello").await;
    assert!(message.contains(&format!("redirects to http://127.0.0.1:{},", elsewhere.port())), "{message}");
    assert!(!message.contains("t0ken"), "{message}");
    assert_eq!((server.requests().len(), elsewhere.connections()), (1, 0));
}

#[tokio::test]
async fn a_server_that_quotes_a_header_or_the_query_does_not_make_it_public() {
    let server = HttpServer::start(|request| {
        let said = format!("who is {}? and what is {}?", request.headers["authorization"], request.line);
        Act::status("401 Unauthorized", &[], &said)
    });
    let url = format!("{}?key=qu3ry-secret", server.url());
    let agent = Http::new(&url, [("authorization", "Bearer h3ader-secret")]).unwrap();
    let stage = Stage::of(agent, |policy| policy).await;
    let (_, message) = stage.fail("web/a", "hello").await;
    assert!(message.contains("who is [secret]?") && !message.contains("-secret"), "{message}");
    let history = format!("{:?}", stage.history("web/a").await);
    assert!(history.contains("who is") && !history.contains("-secret"), "{history}");
}
