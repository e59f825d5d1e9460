//! Scripts that the server forgot are loaded again, also in a batch.

use std::time::Duration;

use tenure::{
    model::ReplyTo,
    store::{Deliverer, OutReply, Store},
};

use crate::{
    desk::{boundary, by_hand, claim, message, send, session, store_on},
    support::RedisServer,
};

async fn flush_scripts(server: &RedisServer) {
    redis::cmd("SCRIPT").arg("FLUSH").exec_async(&mut by_hand(server).await).await.unwrap();
}

#[tokio::test]
async fn a_forgotten_script_is_loaded_and_called_again() {
    let server = RedisServer::start();
    let (store, alice) = (store_on(&server).await, session("echo/alice"));
    flush_scripts(&server).await;
    send(&store, &message(&alice, 1)).await;
    flush_scripts(&server).await;
    let claimed = claim(&store, &alice).await;
    flush_scripts(&server).await;
    store.commit(&claimed.lease, &boundary(&claimed)).await.unwrap();
}

#[tokio::test]
async fn many_calls_at_once_survive_a_flush() {
    let server = RedisServer::start();
    let store = store_on(&server).await;
    let names: Vec<_> = (0..200).map(|n| session(&format!("echo/{n}"))).collect();
    let sends = names.iter().enumerate().map(|(n, to)| {
        let (store, to) = (&store, message(to, n as u64));
        async move { send(store, &to).await }
    });
    tokio::join!(futures_util::future::join_all(sends), flush_scripts(&server));
    for name in &names {
        let tenure::store::Look::Here(sight) = store.look(name).await.unwrap() else { panic!("{name}") };
        assert_eq!(sight.waiting, 1, "{name}");
    }
}

#[tokio::test]
async fn a_batch_whose_script_was_forgotten_is_done_whole_and_in_order() {
    let server = RedisServer::start();
    let (store, list) = (store_on(&server).await, "my:replies".parse::<ReplyTo>().unwrap());
    let partition = store.partitions().all().next().unwrap();
    // More than one script delivers at once.
    let mut connection = by_hand(&server).await;
    let mut replies = Vec::new();
    for n in 0..250 {
        let (mut add, payload) = (redis::cmd("XADD"), format!("{{\"n\":{n}}}"));
        add.arg(store.keys().partition(partition).out()).arg("*").arg("to").arg(list.as_str());
        add.arg("payload").arg(&payload).arg("time").arg(1);
        let id: String = add.query_async(&mut connection).await.unwrap();
        replies.push(OutReply { id: id.parse().unwrap(), to: list.clone(), payload });
    }
    flush_scripts(&server).await;
    store.deliver(partition, &replies, Deliverer::Duty).await.unwrap();
    store.deliver(partition, &replies, Deliverer::Duty).await.unwrap();
    for n in 0..250 {
        let taken = store.take_reply(&list, Duration::ZERO).await.unwrap();
        assert_eq!(taken, Some(format!("{{\"n\":{n}}}")));
    }
    assert_eq!(store.take_reply(&list, Duration::ZERO).await.unwrap(), None, "none twice");
}
