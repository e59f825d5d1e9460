//! Hints arrive over a connection of their own, which comes back by itself.

use std::time::Duration;

use tenure::{
    model::Pool,
    store::{Hint, Listener, Mail, Offer, Store, redis::RedisListener},
};
use tokio::time::timeout;

use crate::{
    desk::{BOUND, by_hand, claim, join, message, send, session, store_at, store_on, worker},
    proxy::Proxy,
    support::RedisServer,
};

async fn next(listener: &mut RedisListener) -> Hint {
    timeout(BOUND, listener.recv()).await.expect("a hint")
}

#[tokio::test]
async fn a_wake_carries_the_message_and_an_offer_the_session() {
    let server = RedisServer::start();
    let (store, alice) = (store_on(&server).await, session("echo/alice"));
    let mut listener = store.listen(&worker()).await.unwrap();
    join(&store, store.partitions().of(&alice)).await;
    send(&store, &message(&alice, 1)).await;
    assert_eq!(next(&mut listener).await, Hint::Offer { session: alice.clone() });

    let claimed = claim(&store, &alice).await;
    let boundary = crate::desk::boundary(&claimed);
    store.commit(&claimed.lease, &boundary).await.unwrap();
    send(&store, &message(&alice, 2)).await;
    let Hint::Wake { session, mail: Some(mail) } = next(&mut listener).await else {
        panic!("a wake with mail")
    };
    assert_eq!(session, alice);
    assert!(matches!(*mail, Mail::Message(message) if message.number == 2));
}

#[tokio::test]
async fn hints_come_from_every_partition() {
    let server = RedisServer::start();
    let store = store_on(&server).await;
    let mut listener = store.listen(&worker()).await.unwrap();
    for partition in store.partitions().all() {
        let mut names = (0..).map(|n| session(&format!("echo/{n}")));
        let here = names.find(|name| store.partitions().of(name) == partition).unwrap();
        join(&store, partition).await;
        send(&store, &message(&here, 1)).await;
        assert_eq!(next(&mut listener).await, Hint::Offer { session: here });
    }
}

#[tokio::test]
async fn a_listener_whose_connection_is_closed_comes_back_and_says_that_it_missed_something() {
    let server = RedisServer::start();
    let (store, alice) = (store_on(&server).await, session("echo/alice"));
    let mut listener = store.listen(&worker()).await.unwrap();
    let mut connection = by_hand(&server).await;
    redis::cmd("CLIENT").arg("KILL").arg("TYPE").arg("pubsub").exec_async(&mut connection).await.unwrap();
    assert_eq!(next(&mut listener).await, Hint::Missed);

    join(&store, store.partitions().of(&alice)).await;
    send(&store, &message(&alice, 1)).await;
    assert_eq!(next(&mut listener).await, Hint::Offer { session: alice });
}

#[tokio::test]
async fn a_listener_that_is_polled_in_short_turns_notices_a_half_open_connection_too() {
    let server = RedisServer::start();
    let proxy = Proxy::to(server.port()).await;
    let store = store_at(&proxy.url()).await;
    let mut listener = store.listen(&worker()).await.unwrap();
    proxy.blackhole();
    let short_turns = async {
        loop {
            // The future is dropped every time: nothing may hang on it.
            if let Ok(hint) = timeout(Duration::from_millis(1), listener.recv()).await {
                return hint;
            }
        }
    };
    assert_eq!(timeout(BOUND, short_turns).await.expect("it notices"), Hint::Missed);
}

#[tokio::test]
async fn an_offer_is_made_to_somebody_who_hears_it() {
    let server = RedisServer::start();
    let (store, alice) = (store_on(&server).await, session("echo/alice"));
    join(&store, store.partitions().of(&alice)).await;
    send(&store, &message(&alice, 1)).await;
    let offer = async || store.offer(&alice, &Pool::default(), None).await.unwrap();
    assert_eq!(offer().await, Offer::Nobody, "it joined and does not listen");
    let _listener = store.listen(&worker()).await.unwrap();
    join(&store, store.partitions().of(&alice)).await;
    assert_eq!(offer().await, Offer::Told(worker()));
}

#[tokio::test]
async fn a_listener_that_is_too_slow_is_told_that_it_missed_something() {
    let server = RedisServer::start();
    let store = store_on(&server).await;
    let mut listener = store.listen(&worker()).await.unwrap();
    let channel = store.keys().partition(store.partitions().all().next().unwrap()).wake(&worker());
    let mut flood = redis::pipe();
    for _ in 0..12_000 {
        flood.cmd("SPUBLISH").arg(&channel).arg("w echo/alice");
    }
    flood.exec_async(&mut by_hand(&server).await).await.unwrap();
    let mut heard = 0;
    while next(&mut listener).await != Hint::Missed {
        heard += 1;
    }
    assert!(heard < 12_000, "all {heard} were kept");
}
