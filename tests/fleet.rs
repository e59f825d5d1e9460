//! The whole thing: worker processes, a real server, plain clients, and what goes wrong between them.

#![allow(clippy::disallowed_methods, reason = "the clients of this test run beside it, as tasks of its own")]

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use redis::AsyncCommands;
use support::{RedisServer, WorkerProcess, eventually};
use tenure::{
    Env, SessionId,
    client::{Client, Outgoing},
    model::{Entry, Envelope, StreamId},
    store::{HistoryRange, Look, PartitionSnapshot, RedisStore, Store, redis::Options},
};

const CLIENTS: usize = 20;
const MESSAGES_PER_CLIENT: usize = 500;
const SESSIONS: usize = 500;

/// Short, so that the dead are found within a test's patience.
const LEASE: [&str; 2] = ["--lease", "2s"];

async fn store(server: &RedisServer) -> RedisStore {
    RedisStore::connect(Options::new(server.url())).await.expect("the server answers")
}

/// What one plain client sent: per session the entry's id and the body.
type Ledger = BTreeMap<String, BTreeMap<StreamId, String>>;

/// One client as a user would write it: `XADD` and nothing else.
async fn plain_client(client: redis::Client, number: usize, reply_to: String) -> Ledger {
    let mut conn = client.get_multiplexed_async_connection().await.expect("the server answers");
    let mut ledger = Ledger::new();
    for n in 0..MESSAGES_PER_CLIENT {
        let session = format!("echo/{}", (number * 7919 + n * 31) % SESSIONS);
        let body = format!("{number}:{n}");
        let fields = [("to", session.as_str()), ("body", &body), ("reply_to", &reply_to)];
        let id: String = conn.xadd("tenure:default:ingress", "*", &fields).await.expect("XADD is answered");
        ledger.entry(session).or_default().insert(id.parse().expect("an id"), body);
    }
    ledger
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_messages_survive_a_killed_worker_and_flushed_scripts_each_once_and_in_order() {
    let server = RedisServer::start();
    let mut workers: Vec<_> = (0..3).map(|_| WorkerProcess::start(&server.url(), &LEASE)).collect();
    let store = store(&server).await;

    let clients: Vec<_> = (0..CLIENTS)
        .map(|n| tokio::task::spawn(plain_client(server.client(), n, format!("replies:{n}"))))
        .collect();
    let mut conn = server.client().get_multiplexed_async_connection().await.unwrap();
    let replies = async |conn: &mut redis::aio::MultiplexedConnection| {
        let mut all = 0;
        for n in 0..CLIENTS {
            all += conn.llen::<_, usize>(format!("replies:{n}")).await.unwrap();
        }
        all
    };
    let total = CLIENTS * MESSAGES_PER_CLIENT;
    eventually("a third of the replies", Duration::from_secs(60), async || {
        replies(&mut conn.clone()).await > total / 3
    })
    .await;
    workers[1].kill();
    redis::cmd("SCRIPT").arg("FLUSH").exec_async(&mut conn).await.unwrap();

    let mut sent = Ledger::new();
    for client in clients {
        for (session, messages) in client.await.unwrap() {
            sent.entry(session).or_default().extend(messages);
        }
    }
    let session_ids: Vec<SessionId> = sent.keys().map(|session| session.parse().unwrap()).collect();
    assert_eq!(session_ids.len(), SESSIONS);
    let mut histories = BTreeMap::new();
    eventually("every message in its history", Duration::from_secs(90), async || {
        for session in &session_ids {
            if histories.contains_key(session.as_str()) {
                continue;
            }
            let entries = store.history(session, HistoryRange::Newest(0), Duration::ZERO).await.unwrap();
            if entries.len() < sent[session.as_str()].len() * 2 {
                return false;
            }
            histories.insert(session.as_str().to_owned(), entries);
        }
        true
    })
    .await;
    for (session, entries) in &histories {
        let expected: Vec<_> = sent[session].values().cloned().collect();
        assert_eq!(texts(entries, "user"), expected, "{session}: each once, in the order of the door");
        assert_eq!(texts(entries, "assistant"), expected, "{session}: each answered");
        assert!(
            entries.windows(2).all(|pair| pair[0].id < pair[1].id && pair[0].id.seq + 1 == pair[1].id.seq)
        );
    }

    eventually("every reply is delivered", Duration::from_secs(30), async || {
        replies(&mut conn.clone()).await >= total
    })
    .await;
    let mut answered = BTreeSet::new();
    for n in 0..CLIENTS {
        let all: Vec<String> = conn.lrange(format!("replies:{n}"), 0, -1).await.unwrap();
        for reply in all {
            let envelope: Envelope = serde_json::from_str(&reply).unwrap();
            let text = envelope.reply.unwrap().unwrap().as_text().unwrap();
            assert!(text.starts_with(&format!("{n}:")), "{text} is not a reply to client {n}");
            answered.insert((envelope.message.unwrap(), text));
        }
    }
    assert_eq!(answered.len(), total, "every message has its reply; a repeated one has the same name");

    eventually("nothing is left to do", Duration::from_secs(30), async || {
        let left: usize = conn.clone().xlen("tenure:default:ingress").await.unwrap();
        let snapshot = store.snapshot().await.unwrap();
        left == 0
            && snapshot
                .partitions
                .values()
                .all(|partition| partition.ready.is_empty() && partition.out.is_empty())
    })
    .await;
    for partition in store.snapshot().await.unwrap().partitions.values() {
        assert!(partition.dead.is_empty(), "{:?}", partition.dead);
        assert!(unowned_with_work(partition).is_empty());
    }
    for worker in [0, 2] {
        assert!(workers[worker].drain(Duration::from_secs(30)).success());
    }
}

fn texts(entries: &[Entry], kind: &str) -> Vec<String> {
    let of_kind = entries.iter().filter(|entry| entry.kind.as_str() == kind);
    of_kind.filter_map(|entry| entry.body.as_text()).collect()
}

fn unowned_with_work(partition: &PartitionSnapshot) -> Vec<&SessionId> {
    let left = partition.sessions.iter().filter(|(_, session)| {
        session.record.owner.is_none() && session.record.is_runnable(session.inbox.len() as u64)
    });
    left.map(|(name, _)| name).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_is_stopped_longer_than_its_lease_ends_fenced_with_nothing_written() {
    let server = RedisServer::start();
    let first = WorkerProcess::start(&server.url(), &LEASE);
    let store = store(&server).await;
    let mut conn = server.client().get_multiplexed_async_connection().await.unwrap();
    let post = async |conn: &mut redis::aio::MultiplexedConnection, n: usize| {
        let session = format!("echo/{}", n % 10);
        let fields = [("to", session), ("body", n.to_string()), ("reply_to", "r".to_owned())];
        conn.xadd::<_, _, _, _, String>("tenure:default:ingress", "*", &fields).await.unwrap();
    };
    for n in 0..100 {
        post(&mut conn, n).await;
    }
    let counting = conn.clone();
    let answered = async || counting.clone().llen::<_, usize>("r").await.unwrap();
    eventually("the first replies", Duration::from_secs(20), async || answered().await == 100).await;
    first.pause();
    for n in 100..200 {
        post(&mut conn, n).await;
    }
    let second = WorkerProcess::start(&server.url(), &LEASE);
    eventually("the other worker goes on", Duration::from_secs(30), async || answered().await == 200).await;
    first.resume();
    for n in 200..300 {
        post(&mut conn, n).await;
    }
    eventually("all replies", Duration::from_secs(30), async || answered().await >= 300).await;
    for session in 0..10 {
        let name: SessionId = format!("echo/{session}").parse().unwrap();
        let entries = store.history(&name, HistoryRange::Newest(0), Duration::ZERO).await.unwrap();
        let expected: Vec<_> = (0..300).filter(|n| n % 10 == session).map(|n| n.to_string()).collect();
        assert_eq!(texts(&entries, "user"), expected);
        assert!(entries.windows(2).all(|pair| pair[0].id < pair[1].id));
    }
    let members = store.members().await.unwrap();
    assert!(members.iter().any(|member| member.worker.as_str() == second.id()));
    assert!(
        members.iter().all(|member| member.worker.as_str() != first.id()),
        "the old incarnation is no more"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_started_again_under_the_same_name_is_another_and_takes_over_by_claims_of_its_own() {
    let server = RedisServer::start();
    let named = [LEASE[0], LEASE[1], "--name", "web"];
    let mut first = WorkerProcess::start(&server.url(), &named);
    let store = store(&server).await;
    let client = Client::new(store.clone(), Env::system());
    let ask = async |text| {
        let message = Outgoing::text("echo/a".parse().unwrap(), text);
        client.ask(message, Duration::from_secs(30)).await.expect("an answer")
    };
    let sight = async || match store.look(&"echo/a".parse().unwrap()).await.unwrap() {
        Look::Here(sight) => sight.record,
        other => panic!("{other:?}"),
    };
    ask("one").await;
    let old = sight().await;
    first.kill();
    let second = WorkerProcess::start(&server.url(), &named);
    assert_ne!(first.id(), second.id());
    ask("two").await;
    let new = sight().await;
    assert_eq!(new.owner.unwrap().worker.as_str(), second.id());
    assert_eq!(old.owner.unwrap().worker.as_str(), first.id());
    assert!(new.epoch > old.epoch && new.turns == 2);
    eventually("the old incarnation leaves within its lease", Duration::from_secs(10), async || {
        let members = store.members().await.unwrap();
        members.iter().map(|member| member.worker.as_str()).collect::<Vec<_>>() == [second.id()]
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_and_restarted_with_its_append_only_file_goes_on_where_it_was() {
    let mut server = RedisServer::builder().appendonly("always").start();
    let _workers = [WorkerProcess::start(&server.url(), &LEASE), WorkerProcess::start(&server.url(), &LEASE)];
    let post = async |client: redis::Client, range: std::ops::Range<usize>| {
        let mut conn = client.get_multiplexed_async_connection().await.unwrap();
        for n in range {
            let session = format!("echo/{}", n % 10);
            let fields = [("to", session), ("body", n.to_string())];
            conn.xadd::<_, _, _, _, String>("tenure:default:ingress", "*", &fields).await.unwrap();
        }
    };
    post(server.client(), 0..500).await;
    server.kill();
    // Longer than the lease: nobody may take that for the fleet's death.
    tokio::time::sleep(Duration::from_secs(3)).await;
    server.restart();
    post(server.client(), 500..600).await;
    let store = store(&server).await;
    for session in 0..10 {
        let name: SessionId = format!("echo/{session}").parse().unwrap();
        let expected: Vec<_> = (0..600).filter(|n| n % 10 == session).map(|n| n.to_string()).collect();
        eventually("every message in its history", Duration::from_secs(60), async || {
            let entries = store.history(&name, HistoryRange::Newest(0), Duration::ZERO).await.unwrap();
            texts(&entries, "user") == expected
        })
        .await;
    }
    for partition in store.snapshot().await.unwrap().partitions.values() {
        assert!(partition.dead.is_empty(), "{:?}", partition.dead);
        assert!(partition.sessions.values().all(|session| session.record.crashes.is_empty()));
    }
}
