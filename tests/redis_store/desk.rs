//! Short words for a store on a server of the test's own.
#![allow(dead_code, reason = "every test binary takes what it needs")]

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use tenure::{
    model::{Body, Epoch, Message, MessageId, NewMessage, Nonce, Partition, Pool, SessionId, WorkerId},
    store::{
        Boundary, Claim, Claimant, Claimed, Done, DutyWish, Mail, Overdue, Presence, Purpose, RedisStore,
        Sent, StateChange, Store, Suspect, redis::Options,
    },
};
use uuid::Uuid;

use crate::support::RedisServer;

/// How long a test waits for what should come at once.
pub const BOUND: Duration = Duration::from_secs(20);

/// A store that gives up on an answer sooner than usual.
pub async fn store_at(url: &str) -> RedisStore {
    RedisStore::connect(options(url)).await.expect("the server answers")
}

pub fn options(url: &str) -> Options {
    Options { timeout: Duration::from_secs(1), ..Options::new(url) }
}

pub async fn store_on(server: &RedisServer) -> RedisStore {
    store_at(&server.url()).await
}

/// A connection of the test's own, past the store.
pub async fn by_hand(server: &RedisServer) -> MultiplexedConnection {
    server.client().get_multiplexed_async_connection().await.expect("the server answers")
}

pub fn session(name: &str) -> SessionId {
    name.parse().expect("a good session")
}

pub fn worker() -> WorkerId {
    "w-1".parse().expect("a good worker")
}

/// A message named after `n`.
pub fn message(to: &SessionId, n: u64) -> NewMessage {
    NewMessage {
        session: to.clone(),
        message: MessageId(Uuid::from_u64_pair(0x0190_0000_0000_7000, 0x8000_0000_0000_0000 + n)),
        id: None,
        reply_to: None,
        body: Body::text("hello"),
        group: None,
        resume: None,
        pool: Pool::default(),
        durability: Default::default(),
        class: Default::default(),
    }
}

pub async fn send(store: &RedisStore, message: &NewMessage) {
    let sent = store.send(message).await.expect("the server answers");
    assert!(matches!(sent, Sent::Accepted { .. }), "{sent:?}");
}

/// Makes [`worker`] known in a partition.
pub async fn join(store: &RedisStore, partition: Partition) {
    let presence = Presence {
        worker: worker(),
        lease: Duration::from_secs(60),
        pool: Pool::default(),
        agents: vec!["echo".parse().expect("a good agent")],
        full: Default::default(),
        load: Some(0),
        duty: DutyWish::Leave,
    };
    store.join(partition, &presence).await.expect("the server answers");
}

/// Claims a session for [`worker`].
pub async fn claim(store: &RedisStore, session: &SessionId) -> Claimed {
    join(store, store.partitions().of(session)).await;
    match store.claim(session, &claimant(), 10).await.expect("the server answers") {
        Claim::Won(claimed) => *claimed,
        other => panic!("it should have been won: {other:?}"),
    }
}

/// [`worker`], as it asks for a session.
pub fn claimant() -> Claimant {
    Claimant {
        worker: worker(),
        pool: Pool::default(),
        nonce: Nonce(1),
        own_ttl: Duration::from_secs(60),
        seen: Epoch(0),
        overdue: Overdue::Bury,
        suspect: Suspect::Take,
        purpose: Purpose::Run,
        class: Default::default(),
    }
}

/// What the server is, by the first two numbers of its version.
pub async fn version(conn: &mut MultiplexedConnection) -> (u32, u32) {
    let info: String = redis::cmd("INFO").arg("server").query_async(conn).await.expect("the server answers");
    let version = info.lines().find_map(|line| line.strip_prefix("redis_version:")).expect("it says so");
    let mut numbers = version.split('.').map(|number| number.trim().parse().expect("a number"));
    (numbers.next().expect("the first"), numbers.next().expect("the second"))
}

/// The first message of a claim.
pub fn first(claimed: &Claimed) -> &Message {
    match claimed.mail.first() {
        Some(Mail::Message(message)) => message,
        other => panic!("a message that can be read: {other:?}"),
    }
}

/// What ends the turn of a claim's first message.
pub fn boundary(claimed: &Claimed) -> Boundary {
    let message = first(claimed);
    Boundary {
        commit: format!("commit of {}", message.message),
        after: claimed.record.seq,
        turn: claimed.record.turns + 1,
        turns: claimed.record.turns + 1,
        entries: Vec::new(),
        state: StateChange::Keep,
        boundaries: 0,
        of: None,
        done: Some(Done {
            number: message.number,
            message: message.message,
            id: message.id.clone(),
            reply_to: message.reply_to.clone(),
            answer: "{\"reply\":null}".to_owned(),
            sealed: message.sealed,
            dead: None,
        }),
        unfinished: None,
        tries: 0,
        backoff: None,
        quarantine: None,
        own_ttl: Duration::from_secs(60),
        page: 10,
        class: Default::default(),
    }
}

/// How often a command was run.
pub async fn calls(server: &RedisServer, command: &str) -> u64 {
    let mut ask = redis::cmd("INFO");
    let info: String = ask.arg("commandstats").query_async(&mut by_hand(server).await).await.unwrap();
    let line = info.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
    line.map_or(0, |rest| rest.split(',').next().unwrap().parse().unwrap())
}
