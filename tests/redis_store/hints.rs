//! Hints arrive over a connection of their own, which comes back by itself.

use std::time::Duration;

use tenure::{
    model::Pool,
    store::{
        Hint, Lapsed, Listener, Mail, Offer, Store,
        redis::{RedisListener, announce_lapses},
    },
};
use tokio::time::timeout;

use crate::{
    desk::{BOUND, by_hand, claim, join, message, send, session, store_at, store_on, worker},
    proxy::Proxy,
    support::{RedisServer, eventually},
};

/// The next hint about this worker's sessions.
async fn next(listener: &mut RedisListener) -> Hint {
    loop {
        match timeout(BOUND, listener.recv()).await.expect("a hint") {
            Hint::Lapsed(_) => (),
            hint => return hint,
        }
    }
}

/// The next hint about a key that lapsed.
async fn next_lapse(listener: &mut RedisListener) -> Lapsed {
    loop {
        if let Hint::Lapsed(lapsed) = timeout(BOUND, listener.recv()).await.expect("a hint") {
            return lapsed;
        }
    }
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
async fn a_listener_leaves_a_server_that_became_a_replica_and_says_that_it_missed_something() {
    let (server, other) = (RedisServer::start(), RedisServer::start());
    let store = store_on(&server).await;
    let mut listener = store.listen(&worker()).await.unwrap();
    let mut connection = by_hand(&server).await;
    let mut follow = redis::cmd("REPLICAOF");
    follow.arg("127.0.0.1").arg(other.port()).exec_async(&mut connection).await.unwrap();
    let nobody_listens = eventually("it is left", BOUND, async || {
        let mut list = redis::cmd("CLIENT");
        let listening: String =
            list.arg("LIST").arg("TYPE").arg("pubsub").query_async(&mut connection).await.unwrap();
        listening.is_empty()
    });
    tokio::select! {
        biased;
        hint = listener.recv() => panic!("{hint:?}"),
        () = nobody_listens => (),
    }

    redis::cmd("REPLICAOF").arg("NO").arg("ONE").exec_async(&mut connection).await.unwrap();
    assert_eq!(next(&mut listener).await, Hint::Missed);
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
            if let Ok(Hint::Missed) = timeout(Duration::from_millis(1), listener.recv()).await {
                return;
            }
        }
    };
    timeout(BOUND, short_turns).await.expect("it notices");
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

/// The clients that are subscribed to something.
async fn subscribers(connection: &mut redis::aio::MultiplexedConnection) -> Vec<u64> {
    let list: String =
        redis::cmd("CLIENT").arg("LIST").arg("TYPE").arg("pubsub").query_async(connection).await.unwrap();
    let ids = list.lines().filter_map(|line| line.strip_prefix("id=")?.split(' ').next()?.parse().ok());
    ids.collect()
}

#[tokio::test]
async fn a_lifeline_holds_as_long_as_one_of_its_two_connections_does() {
    let server = RedisServer::start();
    let store = store_on(&server).await;
    let listener = store.listen(&worker()).await.unwrap();
    let mut connection = by_hand(&server).await;
    let there = async || store.vital(&[worker()]).await.unwrap().present == [true];
    // The listener is not polled, so that nothing comes back by itself.
    let both = subscribers(&mut connection).await;
    assert_eq!(both.len(), 2);
    let kill = async |id: u64| {
        let mut kill = redis::cmd("CLIENT");
        kill.arg("KILL").arg("ID").arg(id).exec_async(&mut by_hand(&server).await).await.unwrap();
    };
    kill(both[0]).await;
    assert_eq!(subscribers(&mut connection).await, both[1..]);
    assert!(there().await, "one is left");
    kill(both[1]).await;
    eventually("the last one is gone", BOUND, async || !there().await).await;
    drop(listener);
}

#[tokio::test]
async fn a_lifeline_that_broke_is_made_again() {
    let server = RedisServer::start();
    let store = store_on(&server).await;
    let mut listener = store.listen(&worker()).await.unwrap();
    let mut connection = by_hand(&server).await;
    redis::cmd("CLIENT").arg("KILL").arg("TYPE").arg("pubsub").exec_async(&mut connection).await.unwrap();
    let (mut missed, mut unheard) = (false, false);
    while !(missed && unheard) {
        match timeout(BOUND, listener.recv()).await.expect("a hint") {
            Hint::Missed => missed = true,
            Hint::Lapsed(Lapsed::Unheard) => unheard = true,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(store.vital(&[worker()]).await.unwrap().present, [true]);
    assert_eq!(subscribers(&mut connection).await.len(), 2);
}

#[tokio::test]
async fn a_restarted_server_is_another_run() {
    let mut server = RedisServer::start();
    let store = store_on(&server).await;
    let before = store.vital(&[]).await.unwrap().run;
    server.restart();
    let after = async || store.vital(&[]).await.is_ok_and(|vitals| vitals.run != before);
    eventually("it answers under another name", BOUND, after).await;
}

#[tokio::test]
async fn keys_that_lapse_are_told_where_the_server_is_set_to() {
    let server = RedisServer::builder().option("notify-keyspace-events", "Ex").start();
    let (store, alice) = (store_on(&server).await, session("echo/alice"));
    let mut listener = store.listen(&worker()).await.unwrap();
    let mut connection = by_hand(&server).await;
    let other = "w-2".parse().unwrap();
    let (own, alive) = (store.keys().session(&alice).own(), store.keys().alive(&other));
    for (key, told) in [
        ("somebody's".to_owned(), None),
        (own, Some(Lapsed::Session(alice))),
        (alive, Some(Lapsed::Worker(other))),
    ] {
        redis::cmd("SET").arg(&key).arg(1).arg("PX").arg(1).exec_async(&mut connection).await.unwrap();
        let lapsed = async || {
            let there: bool =
                redis::cmd("EXISTS").arg(&key).query_async(&mut by_hand(&server).await).await.unwrap();
            !there
        };
        // A look at a key whose time is over is what makes the server say so.
        eventually("it lapses", BOUND, lapsed).await;
        if let Some(told) = told {
            assert_eq!(next_lapse(&mut listener).await, told);
        }
    }
}

#[tokio::test]
async fn a_server_is_told_to_announce_what_lapses_and_goes_on_announcing_the_rest() {
    let server = RedisServer::builder().option("notify-keyspace-events", "Kg").start();
    let options = crate::desk::options(&server.url());
    for _ in 0..2 {
        announce_lapses(&options).await.unwrap();
        let set: (String, String) = redis::cmd("CONFIG")
            .arg("GET")
            .arg("notify-keyspace-events")
            .query_async(&mut by_hand(&server).await)
            .await
            .unwrap();
        for flag in ['K', 'g', 'E', 'x'] {
            assert!(set.1.contains(flag), "{set:?}");
        }
    }
}
