//! Replies of many sessions on their last way.

use std::time::Duration;

use futures_util::{FutureExt, future::join_all};
use redis::AsyncCommands;
use tenure::{
    model::{NewMessage, ReplyTo},
    store::{Boundary, Commit, Deliverer, Done, OutReply, RedisStore, Sent, Store},
};

use crate::{
    desk::{boundary, by_hand, calls, claim, message, send, session, store_on},
    support::RedisServer,
};

fn list(name: &str) -> ReplyTo {
    name.parse().expect("a good list")
}

/// The reply of a session in its partition's `out`: `answer`, for `to`, where somebody asked again.
async fn written(store: &RedisStore, name: &str, to: &str, answer: &str) -> OutReply {
    let session = session(name);
    let first = NewMessage { id: Some("k".parse().expect("a good id")), ..message(&session, 1) };
    send(store, &first).await;
    let again = NewMessage { reply_to: Some(list(to)), message: message(&session, 2).message, ..first };
    assert!(matches!(store.send(&again).await, Ok(Sent::Repeat { .. })));
    let claimed = claim(store, &session).await;
    let end = boundary(&claimed);
    let done = end.done.clone().map(|done| Done { answer: answer.to_owned(), ..done });
    let committed =
        store.commit(&claimed.lease, &Boundary { done, ..end }).await.expect("the server answers");
    match committed {
        Commit::Done { mut out, .. } => out.remove(0),
        other => panic!("it should have been committed: {other:?}"),
    }
}

/// Takes what `to` has.
async fn taken(store: &RedisStore, to: &str) -> Vec<String> {
    let mut taken = Vec::new();
    while let Some(reply) = store.take_reply(&list(to), Duration::ZERO).await.expect("the server answers") {
        taken.push(reply);
    }
    taken
}

async fn deliver(store: &RedisStore, name: &str, reply: &OutReply) {
    let partition = store.partitions().of(&session(name));
    store.deliver(partition, std::slice::from_ref(reply), Deliverer::Duty).await.expect("the server answers");
}

#[tokio::test]
async fn what_many_sessions_deliver_while_a_call_is_under_way_is_one_more_call() {
    let server = RedisServer::start();
    let store = store_on(&server).await;
    // The server does not know the script before.
    deliver(&store, "echo/first", &written(&store, "echo/first", "first", "{}").await).await;
    let mut replies = Vec::new();
    for n in 0..24 {
        let name = format!("echo/{n}");
        let reply =
            written(&store, &name, if n % 4 == 0 { "rare" } else { "often" }, &format!("{{\"n\":{n}}}"))
                .await;
        replies.push((name, reply));
    }
    let before = calls(&server, "evalsha").await;
    join_all(replies.iter().map(|(name, reply)| deliver(&store, name, reply))).await;
    assert_eq!(calls(&server, "evalsha").await - before, 2);
    let (rare, often) = (taken(&store, "rare").await, taken(&store, "often").await);
    assert_eq!((rare.len(), often.len()), (6, 18));
    assert_eq!((rare[1].as_str(), often[0].as_str()), ("{\"n\":4}", "{\"n\":1}"));
    join_all(replies.iter().map(|(name, reply)| deliver(&store, name, reply))).await;
    assert_eq!(taken(&store, "often").await, Vec::<String>::new(), "each is delivered once");
}

#[tokio::test]
async fn who_leaves_in_the_middle_takes_no_others_reply_along() {
    let server = RedisServer::start();
    let store = store_on(&server).await;
    let (first, second) = (
        written(&store, "echo/a", "r", "{\"n\":1}").await,
        written(&store, "echo/b", "r", "{\"n\":2}").await,
    );
    let mut leaving = Box::pin(deliver(&store, "echo/a", &first));
    assert!((&mut leaving).now_or_never().is_none(), "it opened the round");
    let mut staying = Box::pin(deliver(&store, "echo/b", &second));
    assert!((&mut staying).now_or_never().is_none());
    drop(leaving);
    staying.await;
    assert_eq!(taken(&store, "r").await, ["{\"n\":1}", "{\"n\":2}"]);
    deliver(&store, "echo/a", &first).await;
    assert_eq!(taken(&store, "r").await, Vec::<String>::new());
}

#[tokio::test]
async fn a_reply_of_any_length_arrives_whole() {
    let server = RedisServer::start();
    let store = store_on(&server).await;
    for (name, length) in [("echo/short", 10), ("echo/long", 100_000)] {
        let answer = format!("{{\"text\":\"{}\"}}", "x".repeat(length));
        deliver(&store, name, &written(&store, name, "r", &answer).await).await;
        assert_eq!(taken(&store, "r").await, [answer]);
    }
}

#[tokio::test]
async fn what_was_delivered_before_leaves_its_list_as_it_was() {
    let server = RedisServer::start();
    let store = store_on(&server).await;
    let reply = written(&store, "echo/a", "r", "{\"n\":1}").await;
    deliver(&store, "echo/a", &reply).await;
    let mut by_hand = by_hand(&server).await;
    let _: () = by_hand.pexpire("r", 60_000).await.expect("it is there");
    deliver(&store, "echo/a", &reply).await;
    let (length, left): (u64, i64) =
        (by_hand.llen("r").await.expect("a list"), by_hand.pttl("r").await.expect("it ends"));
    assert!(length == 1 && left <= 60_000, "{length}, {left} ms");
    assert_eq!(taken(&store, "r").await, ["{\"n\":1}"]);
    deliver(&store, "echo/a", &reply).await;
    assert!(!by_hand.exists::<_, bool>("r").await.expect("the server answers"), "none is made for nothing");
}

#[tokio::test]
async fn who_could_not_take_a_push_back_pushes_nothing() {
    let server = RedisServer::start();
    let store = store_on(&server).await;
    let reply = written(&store, "echo/a", "r", "{}").await;
    let partition = store.partitions().of(&session("echo/a"));
    let mut conn = by_hand(&server).await;
    let mut may = async |rule: &str| {
        redis::cmd("ACL").arg(&["SETUSER", "default", rule]).exec_async(&mut conn).await.expect("it is set");
    };
    may("-rpop").await;
    let refused = store.deliver(partition, std::slice::from_ref(&reply), Deliverer::Duty).await;
    assert!(refused.expect_err("a right is missing").to_string().contains("rpop"));
    assert_eq!(taken(&store, "r").await, Vec::<String>::new());
    may("+rpop").await;
    deliver(&store, "echo/a", &reply).await;
    assert_eq!(taken(&store, "r").await, ["{}"]);
}
