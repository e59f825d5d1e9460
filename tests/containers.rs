//! What only a containerised Redis shows. Needs Docker; `TENURE_TEST_CONTAINERS=0` leaves it out.

mod support;

use std::time::Duration;

use redis::{AsyncCommands, AsyncConnectionConfig};
use support::{
    RedisServer, WorkerProcess,
    containers::{self, RedisContainer},
    eventually, wait_until,
    worker_container::WorkerContainer,
};
use tenure::{
    model::{Entry, EntryKind},
    store::{HistoryRange, RedisStore, Store, redis::Options},
};

const SOON: Duration = Duration::from_millis(300);

#[tokio::test]
async fn a_containerised_redis_keeps_what_it_has_over_pause_kill_and_restart() {
    if !containers::wanted() {
        return;
    }
    let redis = RedisContainer::start_with(&["--appendfsync", "always"]).await;
    let mut conn = connect(&redis, SOON).await;
    let one: u32 = incr(&mut conn).await.expect("a running server counts");
    assert_eq!(one, 1);

    redis.pause().await;
    incr(&mut conn).await.expect_err("a paused server does not answer");
    redis.unpause().await;
    // The increment that got no answer was done all the same.
    let mut conn = connect(&redis, SOON).await;
    assert_eq!(incr(&mut conn).await.expect("it goes on"), 3);

    redis.kill().await;
    incr(&mut conn).await.expect_err("a dead server does not answer");
    redis.restart().await;
    let mut conn = connect(&redis, SOON).await;
    assert_eq!(incr(&mut conn).await.expect("it is back"), 4);
}

async fn connect(redis: &RedisContainer, patience: Duration) -> redis::aio::MultiplexedConnection {
    let config = AsyncConnectionConfig::new().set_response_timeout(Some(patience));
    let client = redis.client();
    let connected = client.get_multiplexed_async_connection_with_config(&config).await;
    connected.expect("the server answers")
}

async fn incr(conn: &mut redis::aio::MultiplexedConnection) -> redis::RedisResult<u32> {
    redis::cmd("INCR").arg("counter").query_async(conn).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_goes_on_when_its_containerised_redis_is_paused_killed_and_restarted() {
    if !containers::wanted() {
        return;
    }
    let redis = RedisContainer::start_with(&["--appendfsync", "always"]).await;
    let lease = ["--lease", "2s"];
    let _workers = [WorkerProcess::start(&redis.url(), &lease), WorkerProcess::start(&redis.url(), &lease)];
    post(&redis, 0..300).await;
    redis.pause().await;
    // Longer than the lease: the server's absence is not the fleet's death.
    tokio::time::sleep(Duration::from_secs(3)).await;
    redis.unpause().await;
    post(&redis, 300..600).await;
    redis.kill().await;
    redis.restart().await;
    post(&redis, 600..900).await;

    let store = RedisStore::connect(Options::new(redis.url())).await.expect("the server answers");
    for session in 0..9 {
        let name = format!("echo/{session}").parse().expect("a session");
        let expected: Vec<_> = (0..900).filter(|n| n % 9 == session).map(|n| n.to_string()).collect();
        eventually("every message in its history, once and in order", Duration::from_secs(60), async || {
            let entries =
                store.history(&name, HistoryRange::Newest(0), Duration::ZERO).await.expect("an answer");
            let user = entries.iter().filter(|entry| entry.kind == EntryKind::User);
            user.filter_map(|entry| entry.body.as_text()).collect::<Vec<_>>() == expected
        })
        .await;
    }
    for partition in store.snapshot().await.expect("an answer").partitions.values() {
        assert!(partition.dead.is_empty(), "{:?}", partition.dead);
        assert!(partition.sessions.values().all(|session| session.record.crashes.is_empty()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_cut_off_from_its_network_loses_its_sessions_within_the_lease_and_comes_back_as_another() {
    if !containers::wanted() {
        return;
    }
    let redis = RedisContainer::start_with(&["--appendfsync", "always"]).await;
    let (url, lease) = (redis.url_in_network().await, Duration::from_secs(2));
    let store = RedisStore::connect(Options::new(redis.url())).await.expect("the server answers");
    let cut = WorkerContainer::start_in_network(&url, &["--lease", "2s"]);
    post(&redis, 0..9).await;
    eventually("the first worker owns all sessions", Duration::from_secs(30), async || {
        all_have_turns(&store, 1).await
    })
    .await;
    let _other = WorkerContainer::start_in_network(&url, &["--lease", "2s"]);
    eventually("there are two workers", Duration::from_secs(30), async || members_of(&store).await == 2)
        .await;

    cut.disconnect();
    post(&redis, 9..18).await;
    eventually("its sessions go on elsewhere", lease + Duration::from_secs(1), async || {
        all_have_turns(&store, 2).await
    })
    .await;
    eventually("it is off the list", lease * 3, async || members_of(&store).await == 1).await;
    assert!(cut.is_running(), "{}", cut.logs());

    cut.reconnect();
    eventually("it is told, and is a worker again", Duration::from_secs(60), async || {
        cut.logs().contains(r#""event":"lost""#) && members_of(&store).await == 2
    })
    .await;
    post(&redis, 18..27).await;
    eventually("all goes on", Duration::from_secs(30), async || all_have_turns(&store, 3).await).await;
    for session in 0..9 {
        let entries = history_of(&store, session).await;
        assert!(
            entries.windows(2).all(|pair| pair[0].id < pair[1].id && pair[0].id.seq + 1 == pair[1].id.seq)
        );
        assert!(entries[1].id.epoch < entries[2].id.epoch, "another owner wrote the second turn");
    }
}

async fn history_of(store: &RedisStore, session: usize) -> Vec<Entry> {
    let name = format!("echo/{session}").parse().expect("a session");
    store.history(&name, HistoryRange::Newest(0), Duration::ZERO).await.expect("an answer")
}

/// Whether each of the nine sessions took exactly so many messages.
async fn all_have_turns(store: &RedisStore, turns: usize) -> bool {
    for session in 0..9 {
        if history_of(store, session).await.len() != 2 * turns {
            return false;
        }
    }
    true
}

async fn members_of(store: &RedisStore) -> usize {
    store.members().await.expect("an answer").len()
}

/// Numbers as messages to nine sessions in turn, by the plain door.
async fn post(redis: &RedisContainer, numbers: std::ops::Range<usize>) {
    // A server that has just been started again, on a busy machine, may be slow.
    let mut conn = connect(redis, Duration::from_secs(30)).await;
    for n in numbers {
        let fields = [("to", format!("echo/{}", n % 9)), ("body", n.to_string())];
        let _: String = conn.xadd("tenure:default:ingress", "*", &fields).await.expect("XADD is answered");
    }
}

#[test]
fn the_image_runs_without_root_is_healthy_once_it_is_ready_and_drains_when_it_is_stopped() {
    if !containers::wanted() {
        return;
    }
    let server = RedisServer::start();
    let worker = WorkerContainer::start(&server.url());
    assert_ne!(worker.user_id(), 0, "it runs as root");
    wait_until("it is healthy", Duration::from_secs(60), || worker.health() == "healthy");
    assert_eq!(members(&server), 1);

    let ended = worker.stop();
    assert_eq!(ended, 0, "{}", worker.logs());
    assert!(worker.logs().contains("drained"), "{}", worker.logs());
    assert_eq!(members(&server), 0, "it said goodbye");
}

#[test]
fn the_image_is_not_healthy_while_it_cannot_reach_its_server() {
    if !containers::wanted() {
        return;
    }
    let server = RedisServer::start();
    let worker = WorkerContainer::start(&server.url());
    wait_until("it is healthy", Duration::from_secs(60), || worker.health() == "healthy");
    server.pause();
    // Its lease, and three checks in a row.
    wait_until("it is unhealthy", Duration::from_secs(120), || worker.health() == "unhealthy");
    server.resume();
    wait_until("it is healthy again", Duration::from_secs(60), || worker.health() == "healthy");
}

fn members(server: &RedisServer) -> usize {
    let mut conn = server.client().get_connection().expect("the server answers");
    redis::Commands::hlen(&mut conn, "tenure:{default}:members").expect("HLEN is answered")
}
