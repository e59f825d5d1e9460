//! Replies that go to their lists with the commit, and what servers have to say to that.

use std::time::Duration;

use redis::AsyncCommands;
use tenure::{
    model::{NewMessage, ReplyTo},
    store::{Claimed, Commit, DeadLetter, Deliverer, OutReply, RedisStore, Store, redis::Options},
};

use crate::{
    desk::{boundary, by_hand, calls, claim, message, send, session, store_on},
    support::RedisServer,
};

const NAME: &str = "echo/alice";

fn list() -> ReplyTo {
    "r".parse().expect("a good list")
}

/// A session whose first message wants its reply in a list.
async fn claimed(store: &RedisStore) -> Claimed {
    let session = session(NAME);
    send(store, &NewMessage { reply_to: Some(list()), ..message(&session, 1) }).await;
    claim(store, &session).await
}

/// Ends its turn; what there is left to hand out.
async fn ended(store: &RedisStore, claimed: &Claimed) -> Vec<OutReply> {
    match store.commit(&claimed.lease, &boundary(claimed)).await.expect("the server answers") {
        Commit::Done { out, .. } => out,
        other => panic!("it should have been committed: {other:?}"),
    }
}

#[tokio::test]
async fn the_end_of_a_turn_and_its_reply_are_one_script_and_no_entry() {
    let server = RedisServer::start();
    let store = store_on(&server).await;
    let claimed = claimed(&store).await;
    let counted = ["evalsha", "rpush", "pexpire", "xadd"];
    let mut before = Vec::new();
    for command in counted {
        before.push(calls(&server, command).await);
    }
    assert_eq!(ended(&store, &claimed).await, []);
    for (command, (before, more)) in counted.into_iter().zip(before.into_iter().zip([1, 1, 1, 0])) {
        assert_eq!(calls(&server, command).await - before, more, "{command}");
    }
    let kept: i64 = by_hand(&server).await.pttl("r").await.expect("it ends");
    assert!(kept > 0 && kept <= 3_600_000, "{kept} ms");
}

#[tokio::test]
async fn a_reply_at_once_lies_in_the_database_of_its_store() {
    let server = RedisServer::start();
    let url = format!("{}/3", server.url());
    let store = RedisStore::connect(Options::new(url)).await.expect("the server answers");
    let claimed = claimed(&store).await;
    assert_eq!(ended(&store, &claimed).await, []);
    assert!(!by_hand(&server).await.exists::<_, bool>("r").await.expect("the server answers"));
    assert!(store.take_reply(&list(), Duration::ZERO).await.expect("the server answers").is_some());
}

#[tokio::test]
async fn whose_user_may_not_touch_a_list_commits_and_finds_the_reply_in_dead() {
    let server = RedisServer::start();
    let store = store_on(&server).await;
    let claimed = claimed(&store).await;
    let mut conn = by_hand(&server).await;
    let mut may = async |rules: &[&str]| {
        let mut set = redis::cmd("ACL");
        set.arg("SETUSER").arg("default").arg(rules).exec_async(&mut conn).await.expect("it is set");
    };
    may(&["resetkeys", "~tenure:*"]).await;
    let out = ended(&store, &claimed).await;
    assert_eq!(out.iter().map(|reply| reply.to.clone()).collect::<Vec<_>>(), [list()]);
    assert_eq!(ended(&store, &claimed).await, [], "a repeat is one");
    let partition = store.partitions().of(&session(NAME));
    store.deliver(partition, &out, Deliverer::Writer).await.expect("it holds up nobody");
    let dead = store.dead(partition, None, 10).await.expect("the server answers");
    assert!(matches!(&dead[..], [DeadLetter { reason, .. }] if reason == "reply_to"), "{dead:?}");
    may(&["allkeys"]).await;
    assert_eq!(store.take_reply(&list(), Duration::ZERO).await.expect("the server answers"), None);
}

#[tokio::test]
async fn whose_user_may_not_push_at_all_commits_and_leaves_the_reply_in_out() {
    let server = RedisServer::start();
    let store = store_on(&server).await;
    let claimed = claimed(&store).await;
    let mut conn = by_hand(&server).await;
    redis::cmd("ACL").arg(&["SETUSER", "default", "-rpush"]).exec_async(&mut conn).await.expect("it is set");
    let out = ended(&store, &claimed).await;
    assert_eq!(out.len(), 1);
    assert_eq!(store.survey(store.partitions().of(&session(NAME)), &[]).await.expect("it answers").due, []);
    assert!(!conn.exists::<_, bool>("r").await.expect("the server answers"));
}
