//! Plain doors while a master is away: what belongs to the others goes on.

use std::time::Duration;

use tenure::{
    SessionId,
    client::Client,
    model::{Door, EntryKind},
    store::{HistoryRange, RedisStore, Store},
};

use crate::{
    BOUND, WORKER, client, slot,
    support::{RedisCluster, WorkerProcess, eventually},
};

const MASTERS: usize = 3;

/// The master that has a key in the beginning.
fn master_of(key: &str) -> usize {
    RedisCluster::master_of(slot(key), MASTERS)
}

fn session_on(client: &Client<RedisStore>, is_wanted: impl Fn(usize) -> bool) -> SessionId {
    let names = (0..).map(|n| format!("echo/s{n}").parse::<SessionId>().expect("a good session"));
    let mut names =
        names.filter(|session| is_wanted(master_of(&client.store().keys().session(session).meta())));
    names.next().expect("sessions are spread")
}

async fn post(client: &Client<RedisStore>, session: &SessionId, text: &str) {
    let fields = [("to", session.as_str()), ("body", text)];
    let fields = fields.map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()));
    client.store().post(Door::MAIN, &fields).await.expect("the door's master answers");
}

/// Waits until a session was told just this.
async fn is_told(client: &Client<RedisStore>, session: &SessionId, wanted: &[&str]) {
    let told = async || {
        let history = client.store().history(session, HistoryRange::Newest(0), Duration::ZERO).await;
        let history = history.unwrap_or_default();
        let user = history.iter().filter(|entry| entry.kind == EntryKind::User);
        user.filter_map(|entry| entry.body.as_text()).collect::<Vec<_>>()
    };
    eventually(&format!("{session} is told {wanted:?}"), BOUND, async || told().await == wanted).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_master_is_away_a_door_goes_on_with_the_entries_of_the_others() {
    let options = [("cluster-require-full-coverage", "no"), ("appendonly", "yes"), ("appendfsync", "always")];
    let mut cluster = RedisCluster::start_with(MASTERS, 0, &options);
    let url = cluster.url();
    let _worker = WorkerProcess::start(&url, &WORKER);
    let client = client(&url).await;
    let keys = client.store().keys();
    // Neither the door's own, nor that of what belongs to the namespace.
    let needed = [keys.ingress(Door::MAIN), keys.conf()].map(|key| master_of(&key));
    let away = (0..MASTERS).find(|master| !needed.contains(master)).expect("there are three");
    let (waits, goes_on) = (session_on(&client, |at| at == away), session_on(&client, |at| at != away));
    for session in [&waits, &goes_on] {
        post(&client, session, "1").await;
        is_told(&client, session, &["1"]).await;
    }
    cluster.node_mut(away).kill();
    let mut said = vec!["1"];
    for text in ["2", "3", "4"] {
        said.push(text);
        for session in [&waits, &goes_on] {
            post(&client, session, text).await;
        }
        is_told(&client, &goes_on, &said).await;
    }
    let left =
        async || client.store().ingress(Door::MAIN, 100, Duration::ZERO).await.map(|read| read.entries.len());
    eventually("the others are gone from the door", BOUND, async || matches!(left().await, Ok(3))).await;
    cluster.node_mut(away).restart();
    is_told(&client, &waits, &said).await;
    eventually("nothing is left at the door", BOUND, async || matches!(left().await, Ok(0))).await;
    is_told(&client, &goes_on, &said).await;
}
