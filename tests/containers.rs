//! What only a containerised Redis shows. Needs Docker; `TENURE_TEST_CONTAINERS=0` leaves it out.

mod support;

use std::time::Duration;

use redis::AsyncConnectionConfig;
use support::containers::{self, RedisContainer};

const SOON: Duration = Duration::from_millis(300);

#[tokio::test]
async fn a_containerised_redis_keeps_what_it_has_over_pause_kill_and_restart() {
    if !containers::wanted() {
        return;
    }
    let redis = RedisContainer::start_with(&["--appendfsync", "always"]).await;
    let mut conn = connect(&redis).await;
    let one: u32 = incr(&mut conn).await.expect("a running server counts");
    assert_eq!(one, 1);

    redis.pause().await;
    incr(&mut conn).await.expect_err("a paused server does not answer");
    redis.unpause().await;
    // The increment that got no answer was done all the same.
    let mut conn = connect(&redis).await;
    assert_eq!(incr(&mut conn).await.expect("it goes on"), 3);

    redis.kill().await;
    incr(&mut conn).await.expect_err("a dead server does not answer");
    redis.restart().await;
    let mut conn = connect(&redis).await;
    assert_eq!(incr(&mut conn).await.expect("it is back"), 4);
}

async fn connect(redis: &RedisContainer) -> redis::aio::MultiplexedConnection {
    let config = AsyncConnectionConfig::new().set_response_timeout(Some(SOON));
    let client = redis.client();
    let connected = client.get_multiplexed_async_connection_with_config(&config).await;
    connected.expect("the server answers")
}

async fn incr(conn: &mut redis::aio::MultiplexedConnection) -> redis::RedisResult<u32> {
    redis::cmd("INCR").arg("counter").query_async(conn).await
}
