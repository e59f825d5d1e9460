//! Bytes that others wrote: odd ones survive, unreadable ones are told apart and kept.

use std::time::Duration;

use redis::AsyncCommands;
use tenure::{
    Env,
    client::Client,
    model::{AgentDeclaration, Body, Door, Group, IdempotencyKey, Millis, NewMessage, Pool, StreamId},
    store::{
        Commit, Declared, Delete, Look, Mail, Member, MemberState, Refusal, Relay, Relayed, RelayedKind,
        Sent, Store, StoreError, Tally,
    },
};

use crate::{
    desk::{BOUND, boundary, by_hand, claim, first, join, message, send, session, store_on, worker},
    support::RedisServer,
};

#[tokio::test]
async fn quotes_newlines_and_other_scripts_survive_in_every_argument() {
    let server = RedisServer::start();
    let (store, odd) = (store_on(&server).await, session("echo/\"ü\\{ö}|'"));
    let mut sent = message(&odd, 1);
    sent.id = Some("a \"key\" of \\mine, ключ 鍵".parse().unwrap());
    sent.reply_to = Some("my \"replies\"\n\t\u{1}\\ 返信".parse().unwrap());
    sent.group = Some("\"acme\"|ü".parse::<Group>().unwrap());
    sent.body = Body::parse("{\"text\":\"line\\nline \\\"q\\\" \u{7f} é\",\n \"n\": 1.50}").unwrap();
    send(&store, &sent).await;

    let claimed = claim(&store, &odd).await;
    assert_eq!(claimed.record.group, sent.group);
    let read = first(&claimed);
    assert_eq!((&read.id, &read.reply_to, &read.body), (&sent.id, &sent.reply_to, &sent.body));
    let Commit::Done { out, .. } = store.commit(&claimed.lease, &boundary(&claimed)).await.unwrap() else {
        panic!("it is written")
    };
    assert_eq!(out, [], "its list takes it");
    let list = sent.reply_to.as_ref().unwrap();
    assert!(store.take_reply(list, Duration::ZERO).await.unwrap().is_some());
}

#[tokio::test]
async fn mail_that_is_not_utf_8_is_malformed_and_mail_of_a_newer_version_unreadable() {
    let server = RedisServer::start();
    let (store, alice) = (store_on(&server).await, session("echo/alice"));
    send(&store, &message(&alice, 1)).await;
    let mut connection = by_hand(&server).await;
    let inbox = store.keys().session(&alice).inbox();
    let ours: Vec<u8> = connection.lindex(&inbox, 0).await.unwrap();
    let newline = ours.iter().position(|byte| *byte == b'\n').unwrap();
    let spoilt = [&ours[..=newline], b"{\"text\":\"\xff\xfe\"}"].concat();
    for element in [&spoilt[..], b"{\"v\":2,\"zip\":true}\n\x1f\x8b", b"\xff\xff", b""] {
        connection.rpush::<_, _, ()>(&inbox, element).await.unwrap();
    }
    let mail = claim(&store, &alice).await.mail;
    assert!(matches!(&mail[0], Mail::Message(_)));
    assert!(
        matches!(&mail[1], Mail::Malformed(message, why) if message.number == 1 && why.contains("UTF-8"))
    );
    assert!(matches!(&mail[2], Mail::Unreadable(why) if why.contains("version 2")), "{:?}", mail[2]);
    assert!(mail[3..].iter().all(|mail| matches!(mail, Mail::Unreadable(_))));
    assert_eq!(mail.len(), 5, "none is dropped");
}

#[tokio::test]
async fn a_state_that_is_not_utf_8_is_claimed_in_a_form_that_nobody_can_read() {
    let server = RedisServer::start();
    let (store, alice) = (store_on(&server).await, session("echo/alice"));
    send(&store, &message(&alice, 1)).await;
    let state = b"{\"v\":1,\"state\":\"caf\xe9\"}";
    let key = store.keys().session(&alice).state();
    by_hand(&server).await.set::<_, _, ()>(key, state).await.unwrap();
    let found = claim(&store, &alice).await.state.unwrap();
    assert!(serde_json::from_str::<serde_json::Value>(&found).is_err(), "{found}");
    assert!(found.contains("UTF-8"));
}

#[tokio::test]
async fn a_plain_door_entry_of_any_bytes_is_given_as_it_is() {
    let server = RedisServer::start();
    let store = store_on(&server).await;
    let fields = vec![(b"to".to_vec(), b"\xff\x00\r\n".to_vec()), (b"\xfe".to_vec(), Vec::new())];
    let id = store.post(Door::MAIN, &fields).await.unwrap();
    let ingress = store.ingress(Door::MAIN, 10, Duration::ZERO).await.unwrap();
    assert_eq!((ingress.entries[0].id, &ingress.entries[0].fields), (id, &fields));
    assert_eq!(ingress.last, id);
}

#[tokio::test]
async fn a_cursor_from_before_doors_had_numbers_counts_for_the_one_without() {
    let server = RedisServer::start();
    let (store, alice) = (store_on(&server).await, session("echo/alice"));
    let partition = store.partitions().of(&alice);
    let cursor = store.keys().partition(partition).cursor();
    by_hand(&server).await.hset::<_, _, _, ()>(&cursor, "ingress", "7-1 0f").await.unwrap();
    let all: Vec<_> = store.partitions().all().collect();
    let taken = async |door| store.cursors(door, &all).await.unwrap().taken;
    assert_eq!(taken(Door::MAIN).await, [(partition, "7-1".parse().unwrap())].into());
    assert!(taken(Door::numbered(0).unwrap()).await.is_empty());
}

#[tokio::test]
async fn a_cursor_that_cannot_be_read_is_unknown_with_its_key_and_the_others_are_told() {
    let server = RedisServer::start();
    let store = store_on(&server).await;
    let all: Vec<_> = store.partitions().all().collect();
    let key = |n: usize| store.keys().partition(all[n]).cursor();
    let mut connection = by_hand(&server).await;
    connection.set::<_, _, ()>(key(0), "by hand").await.unwrap();
    connection.hset::<_, _, _, ()>(key(1), "ingress", "garbage").await.unwrap();
    connection.hset::<_, _, _, ()>(key(2), "ingress", "7-1 0f").await.unwrap();
    let cursors = store.cursors(Door::MAIN, &all).await.unwrap();
    for _ in 0..2 {
        assert!(cursors.of(all[0]).unwrap_err().to_string().contains(&key(0)), "each time it is asked for");
    }
    assert_eq!(cursors.taken, [(all[2], "7-1".parse().unwrap())].into());
    assert_eq!(cursors.unknown.keys().copied().collect::<Vec<_>>(), all[..2]);
    for (n, error) in cursors.unknown.values().enumerate() {
        assert!(error.to_string().contains(&key(n)), "{error}");
    }
}

#[tokio::test]
async fn own_deleted_by_hand_robs_nobody() {
    let server = RedisServer::start();
    let (store, alice) = (store_on(&server).await, session("echo/alice"));
    send(&store, &message(&alice, 1)).await;
    let claimed = claim(&store, &alice).await;
    let (mut connection, own) = (by_hand(&server).await, store.keys().session(&alice).own());
    connection.del::<_, ()>(&own).await.unwrap();
    let done = store.commit(&claimed.lease, &boundary(&claimed)).await.unwrap();
    assert!(matches!(done, Commit::Done { .. }));
    let token: String = connection.get(&own).await.unwrap();
    assert_eq!(token, claimed.lease.token().to_string(), "and its owner set it again");
}

#[tokio::test]
async fn a_history_longer_than_a_page_is_read_whole_from_both_ends() {
    use tenure::store::HistoryRange;
    let server = RedisServer::start();
    let (store, alice) = (store_on(&server).await, session("echo/alice"));
    let mut fill = redis::pipe();
    for n in 1..=2_500 {
        fill.cmd("XADD").arg(store.keys().session(&alice).hist()).arg(format!("7-{n}"));
        fill.arg("kind").arg("system").arg("turn").arg(1).arg("time").arg(7).arg("body").arg("{}");
    }
    fill.exec_async(&mut by_hand(&server).await).await.unwrap();
    let seqs = async |range| -> Vec<u64> {
        let entries = store.history(&alice, range, Duration::ZERO).await.unwrap();
        entries.iter().map(|entry| entry.id.seq).collect()
    };
    assert_eq!(seqs(HistoryRange::Newest(0)).await, (1..=2_500).collect::<Vec<_>>());
    assert_eq!(seqs(HistoryRange::Newest(1_200)).await, (1_301..=2_500).collect::<Vec<_>>());
    let after = Some("7-2498".parse().unwrap());
    assert_eq!(seqs(HistoryRange::After(after, 10)).await, [2_499, 2_500]);
    assert_eq!(seqs(HistoryRange::After(None, 1_001)).await.len(), 1_001);
}

#[tokio::test]
async fn a_key_of_another_type_is_taken_for_unreadable_at_the_plain_door_and_stops_nobody() {
    let server = RedisServer::start();
    let store = store_on(&server).await;
    let [fine, spoiled, worse] = ["echo/{x}1", "echo/{x}2", "echo/{x}3"].map(session);
    let mut connection = by_hand(&server).await;
    for key in [store.keys().session(&spoiled).inbox(), store.keys().session(&worse).meta()] {
        connection.set::<_, _, ()>(key, "by hand").await.unwrap();
    }
    let partition = store.partitions().of(&fine);
    let entry = |n, to| Relayed {
        id: StreamId { millis: n, seq: 0 },
        what: RelayedKind::Message(Box::new(message(to, n))),
    };
    let batch = [entry(1, &fine), entry(2, &spoiled), entry(3, &worse), entry(4, &fine)];
    let Relay::Taken(sent) = store.relay(partition, Door::MAIN, None, &batch).await.unwrap() else {
        panic!()
    };
    assert!(matches!(sent[0], Sent::Accepted { number: 1, .. }), "{sent:?}");
    assert_eq!(sent[1..3], [Sent::Refused(Refusal::Unreadable), Sent::Refused(Refusal::Unreadable)]);
    assert!(matches!(sent[3], Sent::Accepted { number: 2, .. }), "{sent:?}");
    assert_eq!(store.dead(partition, None, 10).await.unwrap().len(), 2);
}

#[tokio::test]
async fn names_that_are_none_hold_up_no_upkeep_of_the_others() {
    let server = RedisServer::start();
    let (store, alice) = (store_on(&server).await, session("echo/alice"));
    send(&store, &message(&alice, 1)).await;
    let partition = store.partitions().of(&alice);
    join(&store, partition).await;
    let (of, pool) = (store.keys().partition(partition), Pool::default());
    let mut connection = by_hand(&server).await;
    let ready = store.keys().session(&alice).ready(&pool);
    for set in [&ready, &of.timers(), &of.index()] {
        for n in 0..40 {
            connection.zadd::<_, _, _, ()>(set, format!("Alice {n}"), 0).await.unwrap();
        }
    }
    connection.sadd::<_, _, ()>(of.held(&worker()), "no session").await.unwrap();
    connection.zadd::<_, _, _, ()>(of.timers(), alice.as_str(), 1).await.unwrap();
    let to = [("to", "tenure:x"), ("payload", "{}"), ("time", "1")];
    connection.xadd::<_, _, _, _, ()>(of.out(), "*", &to).await.unwrap();

    let queue = (pool, alice.agent());
    let found = store.survey(partition, std::slice::from_ref(&queue)).await.unwrap();
    assert_eq!(found.ready.get(&queue), Some(&vec![alice.clone()]));
    assert_eq!((found.due, found.out), (vec![alice.clone()], vec![]));
    assert_eq!(store.held(partition, &worker(), 10).await.unwrap(), []);
    assert_eq!(store.sessions(partition, None, 32).await.unwrap(), [alice]);
}

#[tokio::test]
async fn a_door_that_may_not_be_looked_at_is_no_empty_door() {
    let server = RedisServer::start();
    let store = store_on(&server).await;
    assert_eq!(store.ingress(Door::MAIN, 1, Duration::ZERO).await.unwrap().entries, []);
    let mut conn = by_hand(&server).await;
    redis::cmd("ACL").arg(&["SETUSER", "default", "-xinfo"]).exec_async(&mut conn).await.unwrap();
    let look = store.ingress(Door::MAIN, 1, Duration::ZERO).await;
    assert!(matches!(look, Err(StoreError::Forbidden(_))), "{look:?}");
}

#[tokio::test]
async fn an_agent_whose_row_cannot_be_read_is_not_taken_for_one_that_nobody_declared() {
    let server = RedisServer::start();
    let store = store_on(&server).await;
    let mut conn = by_hand(&server).await;
    let _: () = conn.hset(store.keys().agents(), "echo", "{\"of\":\"tomorrow\"}").await.unwrap();
    let _: () = conn.hset(store.keys().members(), "somebody", "{\"of\":\"tomorrow\"}").await.unwrap();
    let how = AgentDeclaration {
        pool: "big".parse().unwrap(),
        resume: Default::default(),
        durability: Default::default(),
    };
    store.declare(&worker(), &"fine".parse().unwrap(), &how).await.unwrap();
    let agents = store.agents().await.unwrap();
    let of = |agent: &str| agents.of(&agent.parse().unwrap()).map(|how| how.cloned());
    let unread = of("echo").unwrap_err().to_string();
    assert!(unread.contains("`echo`") && unread.contains("tenure doctor"), "{unread}");
    assert_eq!((of("fine").unwrap(), of("nobody").unwrap()), (Some(how), None), "the others are read");
    assert_eq!(store.members().await.unwrap(), [], "of members it is left out");
    let named: Vec<_> = store.unreadable_rows().await.unwrap().into_iter().map(|(_, row)| row).collect();
    assert_eq!(named, ["echo", "somebody"]);
}

#[tokio::test]
async fn a_session_with_a_key_of_another_type_is_looked_at_with_that_key_and_deleted_with_all_that_is_left() {
    let server = RedisServer::start();
    let store = store_on(&server).await;
    let mut connection = by_hand(&server).await;
    for (n, kind) in ["meta", "in"].into_iter().enumerate() {
        let spoilt = session(&format!("echo/{kind}"));
        let (keys, pool) = (store.keys().session(&spoilt), Pool::default());
        let [meta, inbox] = [keys.meta(), keys.inbox()];
        send(&store, &message(&spoilt, n as u64)).await;
        let key = if kind == "meta" { &meta } else { &inbox };
        connection.set::<_, _, ()>(key, "by hand").await.unwrap();
        let Look::Overwritten { key: named, record } = store.look(&spoilt).await.unwrap() else { panic!() };
        assert_eq!((&named, record.is_some()), (key, kind == "in"), "with its record, where that is not it");
        let refused = store.send(&message(&spoilt, 9)).await.unwrap_err();
        assert!(refused.is_overwritten() && refused.to_string().contains(key.as_str()), "{refused}");
        assert_eq!(store.delete(&spoilt, &pool, None).await.unwrap(), Delete::Deleted);
        let left: Vec<String> = connection.keys(format!("*:echo/{kind}")).await.unwrap();
        assert_eq!(left, [""; 0], "{kind}");
        let partition = store.partitions().of(&spoilt);
        assert_eq!(store.sessions(partition, None, 10).await.unwrap(), []);
        let dead = store.dead(partition, None, 10).await.unwrap();
        assert_eq!(dead.len(), usize::from(kind == "meta"), "what could be read of its mail is kept");
        assert_eq!(store.delete(&spoilt, &pool, None).await.unwrap(), Delete::Absent);
    }
}

#[tokio::test]
async fn who_gives_up_a_session_with_a_key_of_another_type_takes_it_out_of_its_pool_and_from_its_owner() {
    let server = RedisServer::start();
    let store = store_on(&server).await;
    let client = Client::new(store.clone(), Env::system());
    let mut connection = by_hand(&server).await;
    let big: Pool = "big".parse().unwrap();
    let how =
        AgentDeclaration { pool: big.clone(), resume: Default::default(), durability: Default::default() };
    store.declare(&worker(), &"placed".parse().unwrap(), &how).await.unwrap();
    // The record of the one tells its pool; of the other only how its agent is served does.
    for (spoilt, kind) in [(session("echo/a"), "in"), (session("placed/a"), "meta")] {
        let keys = store.keys().session(&spoilt);
        send(&store, &NewMessage { pool: big.clone(), ..message(&spoilt, 1) }).await;
        let waits = async || -> Option<f64> {
            connection.clone().zscore(keys.ready(&big), spoilt.as_str()).await.unwrap()
        };
        assert!(waits().await.is_some());
        let key = if kind == "meta" { keys.meta() } else { keys.inbox() };
        connection.clone().set::<_, _, ()>(key, "by hand").await.unwrap();
        client.delete(&spoilt).await.unwrap();
        assert_eq!(waits().await, None, "{kind}");
    }
    let owned = session("echo/b");
    send(&store, &message(&owned, 2)).await;
    claim(&store, &owned).await;
    let partition = store.partitions().of(&owned);
    assert_eq!(store.held(partition, &worker(), 10).await.unwrap(), std::slice::from_ref(&owned));
    connection.set::<_, _, ()>(store.keys().session(&owned).inbox(), "by hand").await.unwrap();
    let shown = client.session(&owned).await.unwrap();
    assert_eq!((shown.owner, shown.pool), (Some(worker()), Some(Pool::default())));
    client.delete(&owned).await.unwrap();
    assert_eq!(store.held(partition, &worker(), 10).await.unwrap(), []);
}

#[tokio::test]
async fn a_session_whose_id_somebody_wrote_over_is_deleted_and_its_message_given_up_on_once() {
    let server = RedisServer::start();
    let store = store_on(&server).await;
    let mut connection = by_hand(&server).await;
    let spoilt = session("echo/a");
    let id: IdempotencyKey = "order-7".parse().unwrap();
    send(&store, &NewMessage { id: Some(id.clone()), ..message(&spoilt, 1) }).await;
    connection.set::<_, _, ()>(store.keys().session(&spoilt).ids(&id), "by hand").await.unwrap();
    assert_eq!(store.delete(&spoilt, &Pool::default(), None).await.unwrap(), Delete::Deleted);
    let partition = store.partitions().of(&spoilt);
    assert_eq!(store.dead(partition, None, 10).await.unwrap().len(), 1);
    assert_eq!(store.delete(&spoilt, &Pool::default(), None).await.unwrap(), Delete::Absent);
}

#[tokio::test]
async fn a_member_is_announced_and_an_agent_declared_whatever_others_wrote_among_the_members() {
    let server = RedisServer::start();
    let store = store_on(&server).await;
    let mut connection = by_hand(&server).await;
    let members = store.keys().members();
    let serves = r#"{"pool":"a","agents":["echo"]}"#;
    for (row, value) in [("No Name", serves), ("odd-0000000f", serves), ("older-0000000e", "garbage")] {
        connection.hset::<_, _, _, ()>(&members, row, value).await.unwrap();
    }
    connection.hset::<_, _, _, ()>(&members, b"\xff\xfe", "garbage").await.unwrap();
    let in_pool = |pool: &str| AgentDeclaration {
        pool: pool.parse().unwrap(),
        resume: Default::default(),
        durability: Default::default(),
    };
    let echo = "echo".parse().unwrap();
    for pool in ["a", "b"] {
        let declared = store.declare(&worker(), &echo, &in_pool(pool)).await.unwrap();
        assert!(matches!(declared, Declared::Known(_)), "none of those is alive: {declared:?}");
    }
    let member = Member {
        worker: worker(),
        pool: Pool::default(),
        agents: vec![echo],
        full: Default::default(),
        sessions: 0,
        running: 0,
        capacity: 1,
        since: Millis(1),
        state: MemberState::Ready,
        tally: Tally::default(),
    };
    store.announce(&member, BOUND).await.unwrap();
    assert_eq!(store.members().await.unwrap(), [member]);
    let named: Vec<_> = store.unreadable_rows().await.unwrap().into_iter().map(|(_, row)| row).collect();
    assert_eq!(named, ["No Name", "\u{fffd}\u{fffd}"], "those that were names of the dead are forgotten");
}
