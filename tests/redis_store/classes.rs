//! Durability classes: what is told once replicas or the disk have it, and what while they do not.

use tenure::{
    model::{Door, Durability, NewMessage, SessionId},
    store::{
        Boundary, Claim, Claimed, Commit, Look, Reach, RedisStore, Relay, Relayed, RelayedKind, Sent, Store,
        StoreResult,
        redis::{Options, Scripts},
    },
};

use crate::{
    desk::{
        BOUND, boundary, by_hand, calls, claim, claimant, join, message, options, session, store_at,
        store_on, version,
    },
    proxy::Proxy,
    support::{RedisServer, eventually, not_run},
};

/// A primary with a replica that follows it.
fn followed() -> (RedisServer, RedisServer) {
    let primary = RedisServer::builder().option("repl-diskless-sync-delay", "0").start();
    let replica = RedisServer::builder().replica_of(&primary).start();
    primary.wait_for_replicas(1);
    (primary, replica)
}

fn class(word: &str) -> Durability {
    word.parse().expect("a good class")
}

fn at(word: &str, to: &SessionId, n: u64) -> NewMessage {
    NewMessage { class: class(word), ..message(to, n) }
}

fn end_of(claimed: &Claimed) -> Boundary {
    Boundary { class: class("replicas:1"), ..boundary(claimed) }
}

#[tokio::test]
async fn a_commit_is_unknown_as_often_as_asked_while_the_replica_stands_still_and_one_turn_afterwards() {
    let (primary, replica) = followed();
    let (store, alice) = (store_on(&primary).await, session("echo/alice"));
    let wanted = NewMessage { reply_to: Some("my:replies".parse().unwrap()), ..at("replicas:1", &alice, 1) };
    assert!(matches!(store.send(&wanted).await.unwrap(), Sent::Accepted { .. }));
    let claimed = claim(&store, &alice).await;

    replica.pause();
    let first = store.commit(&claimed.lease, &end_of(&claimed)).await.unwrap();
    assert!(matches!(&first, Commit::Unknown { out } if out.len() == 1), "{first:?}");
    let list = wanted.reply_to.as_ref().expect("it wants one");
    assert_eq!(store.take_reply(list, std::time::Duration::ZERO).await.unwrap(), None, "nothing is told");
    // It finds itself there: with nothing written before it, a wait would be answered at once.
    let repeat = store.commit(&claimed.lease, &end_of(&claimed)).await.unwrap();
    assert_eq!(repeat, Commit::Unknown { out: vec![] });
    let other = store_on(&primary).await.commit(&claimed.lease, &end_of(&claimed)).await.unwrap();
    assert_eq!(other, Commit::Unknown { out: vec![] }, "also on a connection that has written nothing yet");

    replica.resume();
    eventually("the replica has it", BOUND, async || {
        let again = store.commit(&claimed.lease, &end_of(&claimed)).await.unwrap();
        matches!(again, Commit::Done { .. })
    })
    .await;
    let Commit::Done { mail, .. } = store.commit(&claimed.lease, &end_of(&claimed)).await.unwrap() else {
        panic!("a repeat is done")
    };
    assert!(mail.is_empty(), "the message was taken once");
}

#[tokio::test]
async fn a_send_and_a_claim_are_unknown_while_the_replica_stands_still_and_their_repeats_find_them() {
    let (primary, replica) = followed();
    let (store, bob) = (store_on(&primary).await, session("echo/bob"));
    let sent = at("replicas:1", &bob, 1);
    replica.pause();
    assert_eq!(store.send(&sent).await.unwrap(), Sent::Unknown);
    assert_eq!(store.send(&sent).await.unwrap(), Sent::Unknown, "the repeat writes nothing of its own");
    join(&store, store.partitions().of(&bob)).await;
    let mut claimant = claimant();
    claimant.class = class("replicas:1");
    let claimed = store.claim(&bob, &claimant, 10).await.unwrap();
    assert!(matches!(claimed, Claim::Unknown(_)), "{claimed:?}");

    replica.resume();
    eventually("the replica has the message", BOUND, async || {
        matches!(store.send(&sent).await.unwrap(), Sent::Repeat { message, .. } if message == sent.message)
    })
    .await;
    let Claim::Won(claimed) = store.claim(&bob, &claimant, 10).await.unwrap() else {
        panic!("a repeat wins")
    };
    assert_eq!(claimed.mail.len(), 1);
}

#[tokio::test]
async fn what_is_relayed_is_unknown_while_the_replica_stands_still() {
    let (primary, replica) = followed();
    let (store, carol) = (store_on(&primary).await, session("echo/carol"));
    let partition = store.partitions().of(&carol);
    let relayed = |n, word| Relayed {
        id: format!("{n}-0").parse().unwrap(),
        what: RelayedKind::Message(Box::new(at(word, &carol, n))),
    };
    let plain = store.relay(partition, Door::MAIN, None, &[relayed(1, "memory")]).await.unwrap();
    assert!(matches!(plain, Relay::Taken(_)), "{plain:?}");
    replica.pause();
    let mixed = [relayed(2, "memory"), relayed(3, "replicas:1")];
    let previous = Some("1-0".parse().unwrap());
    assert_eq!(store.relay(partition, Door::MAIN, previous, &mixed).await.unwrap(), Relay::Unknown);
    assert_eq!(store.reach(partition, class("replicas:1")).await.unwrap(), Reach::Unknown);
    replica.resume();
    eventually("the replica has it", BOUND, async || {
        store.reach(partition, class("replicas:1")).await.unwrap() == Reach::Reached
    })
    .await;
    assert_eq!(
        store.cursors(Door::MAIN, &[partition]).await.unwrap().taken[&partition],
        "3-0".parse().unwrap()
    );
}

#[tokio::test]
async fn more_replicas_than_there_are_are_never_said_to_have_it() {
    let (primary, _replica) = followed();
    let store = store_on(&primary).await;
    let partition = store.partitions().all().next().unwrap();
    for (word, reach) in [
        ("memory", Reach::Reached),
        ("replicas:1", Reach::Reached),
        ("replicas:2", Reach::Unknown),
        ("fsync", Reach::Unknown),
    ] {
        assert_eq!(store.reach(partition, class(word)).await.unwrap(), reach, "{word}, without a disk");
    }
}

#[tokio::test]
async fn what_a_server_lacks_for_a_class_is_said_at_once_and_with_the_setting_to_change() {
    let (primary, mut replica) = followed();
    let store = store_on(&primary).await;
    let partition = store.partitions().all().next().unwrap();
    let lacks = async |word: &str| store.lacks(partition, class(word)).await.unwrap();
    assert_eq!((lacks("memory").await, lacks("replicas:1").await), (None, None));
    let lack = lacks("replicas:2").await.expect("one replica follows");
    assert_eq!(
        lack.sentence(class("replicas:2")),
        "replicas:2 is asked for: 1 replicas follow: add replicas (REPLICAOF), or ask for fewer"
    );
    assert!(lacks("fsync").await.is_some(), "it has no disk");
    replica.kill();
    eventually("the replica is missed", BOUND, async || lacks("replicas:1").await.is_some()).await;
}

#[tokio::test]
async fn leases_and_messages_of_other_classes_do_not_queue_behind_a_wait() {
    let (primary, replica) = followed();
    let (store, dora) = (store_on(&primary).await, session("echo/dora"));
    join(&store, store.partitions().of(&dora)).await;
    replica.pause();
    let slow = async {
        assert_eq!(store.send(&at("replicas:1", &dora, 1)).await.unwrap(), Sent::Unknown);
    };
    let quick = async {
        for n in 2..12 {
            join(&store, store.partitions().of(&dora)).await;
            assert!(matches!(store.send(&message(&dora, n)).await.unwrap(), Sent::Accepted { .. }));
        }
    };
    tokio::select! {
        biased;
        () = slow => panic!("twenty round trips take longer than the wait"),
        () = quick => (),
    }
}

#[tokio::test]
async fn many_writes_share_one_wait() {
    let (primary, _replica) = followed();
    let store = store_on(&primary).await;
    let sessions: Vec<_> = (0..200).map(|n| session(&format!("echo/{n}"))).collect();
    let sends = sessions.iter().map(async |to| store.send(&at("replicas:1", to, 1)).await.unwrap());
    let sent = futures_util::future::join_all(sends).await;
    assert!(sent.iter().all(|sent| matches!(sent, Sent::Accepted { .. })));
    let waits = calls(&primary, "wait").await;
    assert!((1..50).contains(&waits), "{waits} waits for 200 writes");
}

#[tokio::test]
async fn a_commit_lane_loads_forgotten_scripts_and_replaces_a_connection_that_broke() {
    let (primary, _replica) = followed();
    let proxy = Proxy::to(primary.port()).await;
    let (store, eve) = (store_at(&proxy.url()).await, session("echo/eve"));
    assert!(matches!(store.send(&at("replicas:1", &eve, 1)).await.unwrap(), Sent::Accepted { .. }));
    let _: () = redis::cmd("SCRIPT").arg("FLUSH").query_async(&mut by_hand(&primary).await).await.unwrap();
    assert!(matches!(store.send(&at("replicas:1", &eve, 2)).await.unwrap(), Sent::Accepted { .. }));

    proxy.blackhole();
    let lost = store.send(&at("replicas:1", &eve, 3)).await.unwrap_err();
    assert!(lost.may_have_happened(), "{lost:?}");
    assert!(matches!(store.send(&at("replicas:1", &eve, 4)).await.unwrap(), Sent::Accepted { .. }));
}

/// Three sends to `to` in that order, of which the second and the third make one group: the first holds the lane up, for
/// nobody replicates.
fn sends_of_a_group(
    store: &RedisStore,
    to: &SessionId,
) -> [impl Future<Output = StoreResult<Sent>> + use<>; 3] {
    [1, 2, 3].map(|n| {
        let (store, message) = (store.clone(), at("replicas:1", to, n));
        async move { store.send(&message).await }
    })
}

#[tokio::test]
async fn of_a_group_whose_server_forgot_some_scripts_nothing_is_sent_again_that_ran() {
    let alone = RedisServer::start();
    let (store, eve) = (store_on(&alone).await, session("echo/eve"));
    let [first, second, third] = sends_of_a_group(&store, &eve);
    let forget_the_mark = async {
        waiting(&alone).await;
        let mut conn = by_hand(&alone).await;
        let (send, scripts) = (Scripts::embedded(), redis::cmd("SCRIPT"));
        let send = send.source("send").unwrap();
        let mut forget = redis::pipe();
        forget.atomic().add_command(scripts.clone().arg("FLUSH").to_owned());
        forget.add_command(scripts.clone().arg("LOAD").arg(send).to_owned());
        forget.exec_async(&mut conn).await.unwrap();
    };
    let (first, second, third, ()) = tokio::join!(first, second, third, forget_the_mark);
    for sent in [first, second, third] {
        assert_eq!(sent.unwrap(), Sent::Unknown);
    }
    let Look::Here(sight) = store.look(&eve).await.unwrap() else { panic!("it was sent to") };
    assert_eq!(sight.waiting, 3, "each of them once");
}

#[tokio::test]
async fn whoever_sent_for_others_may_leave_and_they_are_answered_all_the_same() {
    let alone = RedisServer::start();
    let (store, fay) = (store_on(&alone).await, session("echo/fay"));
    let [first, leader, follower] = sends_of_a_group(&store, &fay);
    let leader = async {
        // It asks in front of the other, so that it sends for both.
        tokio::select! {
            biased;
            sent = leader => panic!("the server waits for a second: {sent:?}"),
            () = eventually("both are there", BOUND, async || {
                matches!(store.look(&fay).await, Ok(Look::Here(sight)) if sight.waiting == 3)
            }) => (),
        }
    };
    let (first, (), follower) = tokio::join!(first, leader, follower);
    for sent in [first, follower] {
        assert_eq!(sent.unwrap(), Sent::Unknown, "answered, and not to be asked again");
    }
    let sent = store.send(&at("replicas:1", &fay, 4)).await.unwrap();
    assert_eq!(sent, Sent::Unknown, "the lane goes on");
}

/// Until a client of the server stands in a `WAIT`.
async fn waiting(server: &RedisServer) {
    eventually("somebody waits", BOUND, async || {
        let mut list = redis::cmd("CLIENT");
        let clients: String = list.arg("LIST").query_async(&mut by_hand(server).await).await.unwrap();
        clients.lines().any(|client| client.contains("cmd=wait") && client.contains("flags=b"))
    })
    .await;
}

#[tokio::test]
async fn what_a_disk_has_is_told_where_the_server_can_wait_for_it() {
    let primary = RedisServer::builder().option("repl-diskless-sync-delay", "0").appendonly("always").start();
    let replica = RedisServer::builder().appendonly("always").replica_of(&primary).start();
    primary.wait_for_replicas(1);
    let store = store_on(&primary).await;
    if !primary.knows_waitaof() {
        return;
    }
    let gus = session("echo/gus");
    for (n, word) in [(1, "fsync"), (2, "fsync+replicas:1")] {
        let sent = store.send(&at(word, &gus, n)).await.unwrap();
        assert!(matches!(sent, Sent::Accepted { .. }), "{word}: {sent:?}");
    }
    replica.pause();
    assert_eq!(store.send(&at("fsync+replicas:1", &gus, 3)).await.unwrap(), Sent::Unknown);
    assert!(matches!(store.send(&at("fsync", &gus, 4)).await.unwrap(), Sent::Accepted { .. }));
}

#[tokio::test]
async fn without_its_mark_a_repeat_would_be_acknowledged_by_a_replica_that_has_nothing() {
    let (primary, replica) = followed();
    if version(&mut by_hand(&primary).await).await < (7, 2) {
        not_run::note("before 7.2 a WAIT waits for reads too (TENURE_TEST_SERVER names another server)");
        return;
    }
    let sent = at("replicas:1", &session("echo/hal"), 1);
    replica.pause();
    assert_eq!(store_on(&primary).await.send(&sent).await.unwrap(), Sent::Unknown);
    let unmarked = Scripts::embedded().patched("mark", "redis.call(\"HSET\", KEYS[1], \"1\", \"1\")", "");
    let unmarked = Options { scripts: unmarked, ..options(&primary.url()) };
    let unmarked = RedisStore::connect(unmarked).await.unwrap();
    assert!(
        matches!(unmarked.send(&sent).await.unwrap(), Sent::Repeat { .. }),
        "this is what the mark is for"
    );
    assert_eq!(store_on(&primary).await.send(&sent).await.unwrap(), Sent::Unknown);
}
