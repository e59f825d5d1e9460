//! Servers that refuse say why, and what to do; a full one still completes what was begun.

use tenure::{
    model::{AgentDeclaration, Durability, NewMessage, ReplyTo, Resume, Settings},
    store::{
        Commit, Configured, Delete, Deliverer, Look, RedisStore, Sent, Store, StoreError,
        redis::{CheckStatus, Role, checks},
    },
};

use crate::{
    desk::{BOUND, boundary, by_hand, claim, message, options, send, session, store_on},
    support::{RedisServer, eventually},
};

async fn refusal(url: &str) -> String {
    match RedisStore::connect(options(url)).await.map(drop) {
        Err(error @ (StoreError::Refused(_) | StoreError::Forbidden(_))) => format!("{error} {error:?}"),
        other => panic!("it should have been refused: {other:?}"),
    }
}

#[tokio::test]
async fn a_replica_is_refused() {
    let primary = RedisServer::start();
    let replica = RedisServer::builder().replica_of(&primary).start();
    assert!(refusal(&replica.url()).await.contains("is a replica"));
}

#[tokio::test]
async fn a_primary_that_was_made_a_replica_is_refused_from_then_on() {
    let (server, other) = (RedisServer::start(), RedisServer::start());
    let (store, alice) = (store_on(&server).await, session("echo/alice"));
    send(&store, &message(&alice, 1)).await;
    let mut connection = by_hand(&server).await;
    redis::cmd("REPLICAOF").arg("127.0.0.1").arg(other.port()).exec_async(&mut connection).await.unwrap();
    for n in 2..5 {
        let refused = store.send(&message(&alice, n)).await.unwrap_err();
        assert!(matches!(&refused, StoreError::Refused(why) if why.contains("replica")), "{refused:?}");
    }
}

#[tokio::test]
async fn a_wrong_password_is_told_without_repeating_it() {
    let server = RedisServer::builder().requirepass("correct0horse").start();
    let address = format!("127.0.0.1:{}", server.port());
    for url in [format!("redis://:wrong0battery@{address}"), format!("redis://{address}")] {
        let refused = refusal(&url).await;
        assert!(refused.contains("password"), "{refused}");
        assert!(!refused.contains("wrong0battery"), "{refused}");
    }
    store_on(&server).await;
}

#[tokio::test]
async fn a_user_who_may_not_run_scripts_is_told_so() {
    let server = RedisServer::start();
    let mut connection = by_hand(&server).await;
    let rules = ["SETUSER", "poor", "on", "nopass", "allkeys", "allchannels", "+@all", "-@scripting"];
    redis::cmd("ACL").arg(&rules).exec_async(&mut connection).await.unwrap();
    let url = format!("redis://poor:x@127.0.0.1:{}", server.port());
    // Who only reads what needs no script may do so.
    let store = RedisStore::connect(options(&url)).await.unwrap();
    let refused = store.look(&session("echo/alice")).await.unwrap_err();
    assert!(matches!(&refused, StoreError::Forbidden(why) if why.contains("ACL SETUSER")), "{refused:?}");
    let found = checks(&options(&url), Role::Worker, &[], std::time::Duration::default).await;
    for check in ["scripting", "rights"] {
        assert!(
            found.iter().any(|found| found.check == check && found.status == CheckStatus::Fail),
            "{found:?}"
        );
    }
}

#[tokio::test]
async fn a_user_who_may_not_choose_a_database_is_told_of_the_right_and_not_of_the_number() {
    let server = RedisServer::start();
    let rules = ["SETUSER", "poor", "on", "nopass", "allkeys", "allchannels", "+@all", "-select"];
    redis::cmd("ACL").arg(&rules).exec_async(&mut by_hand(&server).await).await.unwrap();
    let url = format!("redis://poor:x@127.0.0.1:{}/3", server.port());
    let refused = RedisStore::connect(options(&url)).await.map(drop).unwrap_err();
    assert!(matches!(&refused, StoreError::Forbidden(why) if why.contains("ACL SETUSER")), "{refused:?}");
}

#[tokio::test]
async fn a_server_that_is_busy_as_a_database_is_chosen_is_told_to_be_busy() {
    let server = RedisServer::start();
    let (mut looking, mut held_up) = (by_hand(&server).await, by_hand(&server).await);
    redis::cmd("CONFIG").arg(&["SET", "lua-time-limit", "10"]).exec_async(&mut looking).await.unwrap();
    held_up.set_response_timeout(BOUND * 6);
    let mut endless = redis::cmd("EVAL");
    endless.arg("while true do end").arg(0);
    let meanwhile = async {
        let is_busy = async || {
            let pong = redis::cmd("PING").exec_async(&mut looking.clone()).await;
            pong.is_err_and(|error| error.code() == Some("BUSY"))
        };
        eventually("the script is over its time", BOUND, is_busy).await;
        let said = refusal(&format!("{}/3", server.url())).await;
        redis::cmd("SCRIPT").arg("KILL").exec_async(&mut looking.clone()).await.unwrap();
        said
    };
    let (ended, said) = tokio::join!(endless.exec_async(&mut held_up), meanwhile);
    assert!(ended.is_err(), "it was killed");
    assert!(said.contains("is busy with somebody's script"), "{said}");
    RedisStore::connect(options(&format!("{}/3", server.url()))).await.unwrap();
}

#[tokio::test]
async fn a_full_server_refuses_new_work_and_completes_old() {
    let server = RedisServer::builder().maxmemory("64mb").start();
    let (store, alice) = (store_on(&server).await, session("echo/alice"));
    let replies = "my:replies".parse().unwrap();
    let mut first = message(&alice, 1);
    first.reply_to = Some(replies);
    first.id = Some("k".parse().unwrap());
    send(&store, &first).await;
    let again: ReplyTo = "their:replies".parse().unwrap();
    let asked =
        NewMessage { reply_to: Some(again.clone()), message: message(&alice, 9).message, ..first.clone() };
    assert!(matches!(store.send(&asked).await.unwrap(), Sent::Repeat { .. }));
    let mut connection = by_hand(&server).await;
    redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg("1mb").exec_async(&mut connection).await.unwrap();

    let refused = store.send(&message(&alice, 2)).await.unwrap_err();
    assert!(matches!(refused, StoreError::OutOfMemory), "{refused:?}");
    let claimed = claim(&store, &alice).await;
    let Commit::Done { out, .. } = store.commit(&claimed.lease, &boundary(&claimed)).await.unwrap() else {
        panic!("it is written")
    };
    let partition = store.partitions().of(&alice);
    store.deliver(partition, &out, Deliverer::Duty).await.unwrap();
    for list in [&first.reply_to.unwrap(), &again] {
        let reply = store.take_reply(list, std::time::Duration::ZERO).await.unwrap();
        assert_eq!(reply.as_deref(), Some("{\"reply\":null}"), "{list}");
    }

    // What an operator needs to find out, and to make room; and a worker that has to start again.
    assert!(matches!(store.look(&alice).await.unwrap(), Look::Here(_)));
    assert_eq!(store.configure(&Settings::default()).await.unwrap(), Configured::Agreed);
    let how = AgentDeclaration {
        pool: "default".parse().unwrap(),
        resume: Resume::Lazy,
        durability: Durability::MEMORY,
    };
    store.declare(&"w".parse().unwrap(), &alice.agent(), &how).await.unwrap();
    let bob = session("echo/bob");
    assert_eq!(store.delete(&bob, &how.pool, None).await.unwrap(), Delete::Absent);

    redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg("64mb").exec_async(&mut connection).await.unwrap();
    send(&store, &message(&alice, 2)).await;
}

#[tokio::test]
async fn a_namespace_of_a_newer_layout_is_left_alone() {
    let server = RedisServer::start();
    let mut connection = by_hand(&server).await;
    let newer = r#"{"layout":2,"partitions":64,"limits":{"body":1,"inbox":1}}"#;
    redis::cmd("HSET")
        .arg("tenure:{default}:conf")
        .arg("settings")
        .arg(newer)
        .exec_async(&mut connection)
        .await
        .unwrap();
    let refused = RedisStore::connect(options(&server.url())).await.map(drop).unwrap_err();
    assert!(
        matches!(&refused, StoreError::Unreadable { why, .. } if why.contains("layout 2")),
        "{refused:?}"
    );
    let found = checks(&options(&server.url()), Role::Worker, &[], std::time::Duration::default).await;
    assert!(found.iter().any(|check| check.check == "layout" && check.status == CheckStatus::Fail));
}

#[tokio::test]
async fn the_doctor_tells_what_is_wrong_and_what_to_do() {
    let primary = RedisServer::start();
    let poor = RedisServer::builder().replica_of(&primary).option("maxmemory-policy", "allkeys-lru").start();
    let status = async |server: &RedisServer| {
        let found = checks(&options(&server.url()), Role::Worker, &[], std::time::Duration::default).await;
        assert!(
            found.iter().all(|check| check.advice.is_some() == (check.status != CheckStatus::Ok)),
            "{found:?}"
        );
        let failed = found.into_iter().filter(|check| check.status == CheckStatus::Fail);
        failed.map(|check| check.check).collect::<Vec<_>>()
    };
    assert_eq!(status(&poor).await, ["role", "eviction"]);
    assert_eq!(status(&primary).await, <[&str; 0]>::default());
    let mut gone = RedisServer::start();
    gone.kill();
    assert_eq!(status(&gone).await, ["connection"]);
}

#[tokio::test]
async fn a_repeat_after_an_answer_that_was_lost_converges() {
    let server = RedisServer::start();
    let (store, alice) = (store_on(&server).await, session("echo/alice"));
    let hello = message(&alice, 1);
    send(&store, &hello).await;
    let again = store.send(&hello).await.unwrap();
    assert_eq!(again, Sent::Repeat { message: hello.message, answer: None });
}
