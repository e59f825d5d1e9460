//! Connections that break are replaced, and nobody waits for ever.

use std::time::Duration;

use tenure::store::{Look, RedisStore, Store, StoreError};

use crate::{
    desk::{BOUND, join, message, options, send, session, store_at, store_on},
    proxy::Proxy,
    support::{RedisServer, eventually},
};

#[tokio::test]
async fn a_half_open_connection_times_out_once_and_is_replaced() {
    let server = RedisServer::start();
    let proxy = Proxy::to(server.port()).await;
    let (store, alice) = (store_at(&proxy.url()).await, session("echo/alice"));
    send(&store, &message(&alice, 1)).await;

    proxy.blackhole();
    let lost = store.send(&message(&alice, 2)).await.unwrap_err();
    assert!(lost.may_have_happened(), "{lost:?}");
    send(&store, &message(&alice, 3)).await;
}

#[tokio::test]
async fn all_who_waited_on_a_half_open_connection_share_one_new_one() {
    let server = RedisServer::start();
    let proxy = Proxy::to(server.port()).await;
    let store = store_at(&proxy.url()).await;
    join(&store, store.partitions().all().next().unwrap()).await;
    let look = || futures_util::future::join_all((0..50).map(|n| look_at(&store, n)));
    assert!(look().await.into_iter().all(|found| found.is_ok()));

    proxy.blackhole();
    assert!(look().await.into_iter().all(|found| found.is_err()), "the connection swallows all of it");
    let before = proxy.accepted();
    assert!(look().await.into_iter().all(|found| found.is_ok()));
    assert_eq!(proxy.accepted() - before, 1, "one attempt, shared");
}

async fn look_at(store: &RedisStore, n: u64) -> Result<Look, StoreError> {
    store.look(&session(&format!("echo/{n}"))).await
}

#[tokio::test]
async fn a_blocking_read_on_a_half_open_connection_ends() {
    let server = RedisServer::start();
    let proxy = Proxy::to(server.port()).await;
    let store = store_at(&proxy.url()).await;
    let replies = "my:replies".parse().unwrap();
    let wait = Duration::from_millis(200);
    assert_eq!(store.take_reply(&replies, wait).await.unwrap(), None);

    proxy.blackhole();
    assert!(store.take_reply(&replies, wait).await.is_err());
    assert_eq!(store.take_reply(&replies, wait).await.unwrap(), None);
}

#[tokio::test]
async fn administration_outlives_half_open_connections_too() {
    let server = RedisServer::start();
    let proxy = Proxy::to(server.port()).await;
    let store = store_at(&proxy.url()).await;
    let ask = || futures_util::future::join_all((0..8).map(|_| store.agents()));
    assert!(ask().await.into_iter().all(|agents| agents.is_ok()));
    proxy.blackhole();
    let asked = tokio::time::timeout(BOUND, ask()).await.expect("nobody waits for ever");
    assert!(asked.iter().any(|agents| agents.is_err()), "some had a connection that swallows all");
    eventually("it answers again", BOUND, async || store.agents().await.is_ok()).await;
}

#[tokio::test]
async fn a_restarted_server_is_found_again_by_every_lane() {
    let mut server = RedisServer::builder().appendonly("always").start();
    let (store, alice) = (store_on(&server).await, session("echo/alice"));
    send(&store, &message(&alice, 1)).await;
    let first = store.server().await.unwrap();
    server.restart();
    eventually("the store answers again", BOUND, async || {
        let partition = store.partitions().of(&alice);
        store.look(&alice).await.is_ok()
            && store.send(&message(&alice, 2)).await.is_ok()
            && store.survey(partition, &[]).await.is_ok()
            && store.sessions(partition, None, 10).await.is_ok_and(|sessions| sessions == [alice.clone()])
    })
    .await;
    let Look::Here(sight) = store.look(&alice).await.unwrap() else { panic!("it was accepted") };
    assert_eq!(sight.waiting, 2);
    assert_ne!(store.server().await.unwrap().run_id, first.run_id, "another run, and the lane tells");
}

#[tokio::test]
async fn without_a_server_a_command_fails_in_time() {
    let mut server = RedisServer::start();
    let store = store_on(&server).await;
    server.kill();
    for _ in 0..3 {
        let asked = tokio::time::timeout(BOUND, store.look(&session("echo/alice"))).await;
        assert!(matches!(asked, Ok(Err(StoreError::Unavailable(_)))), "{asked:?}");
    }
    let refused = RedisStore::connect(options(&server.url())).await.map(drop).unwrap_err();
    let StoreError::Unavailable(source) = &refused else { panic!("{refused:?}") };
    assert!(source.to_string().contains(&format!("127.0.0.1:{}", server.port())), "{source}");
}

#[tokio::test]
async fn a_server_that_stands_still_is_unavailable_until_it_goes_on() {
    let server = RedisServer::start();
    let (store, alice) = (store_on(&server).await, session("echo/alice"));
    send(&store, &message(&alice, 1)).await;
    server.pause();
    assert!(store.look(&alice).await.unwrap_err().may_have_happened());
    server.resume();
    eventually("the store answers again", BOUND, async || store.look(&alice).await.is_ok()).await;
}
