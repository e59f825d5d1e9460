//! The fixture that most tests stand on, `support::RedisServer`, keeps its promises.

mod support;

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use redis::{Commands, RedisResult};
use support::{Clock, RedisServer, wait_until};

const SOON: Duration = Duration::from_millis(200);
const AT_MOST: Duration = Duration::from_secs(20);

#[test]
fn a_started_server_answers_at_once() {
    let server = RedisServer::start();
    let mut conn = server.client().get_connection().unwrap();
    assert_eq!(redis::cmd("PING").query::<String>(&mut conn).unwrap(), "PONG");
}

#[test]
fn servers_side_by_side_share_nothing() {
    let servers: Vec<_> = (0..5).map(|_| RedisServer::start()).collect();
    for server in &servers {
        let mut conn = server.client().get_connection().unwrap();
        assert_eq!(conn.incr::<_, _, u32>("counter", 1).unwrap(), 1);
    }
}

#[test]
fn a_dropped_server_is_gone() {
    let server = RedisServer::start();
    let port = server.port();
    drop(server);
    assert!(!listens(port));
}

#[test]
fn a_paused_server_answers_nothing_until_it_is_resumed() {
    let server = RedisServer::start();
    let mut conn = server.client().get_connection().unwrap();
    conn.set_read_timeout(Some(SOON)).unwrap();

    server.pause();
    let unanswered: RedisResult<u32> = conn.incr("counter", 1);
    assert!(unanswered.unwrap_err().is_timeout());

    server.resume();
    let mut conn = server.client().get_connection().unwrap();
    let both: u32 = conn.incr("counter", 1).unwrap();
    assert_eq!(both, 2, "what was sent while it was paused is done after it");
}

#[test]
fn an_appendonly_server_keeps_its_port_and_data_over_kill_and_restart() {
    let mut server = RedisServer::builder().appendonly("always").start();
    let url = server.url();
    let () = server.client().get_connection().unwrap().set("k", "v").unwrap();

    server.kill();
    assert!(!listens(server.port()));
    server.restart();
    assert_eq!(server.url(), url);
    let kept: String = server.client().get_connection().unwrap().get("k").unwrap();
    assert_eq!(kept, "v");
}

#[test]
fn a_paused_server_can_be_killed_and_stopped() {
    let mut server = RedisServer::start();
    server.pause();
    server.kill();
    server.restart();
    server.pause();
    server.stop();
    assert!(!listens(server.port()));
}

#[test]
fn a_server_with_a_password_refuses_clients_without_it() {
    let server = RedisServer::builder().requirepass("sesame").start();
    let () = server.client().get_connection().unwrap().set("k", "v").unwrap();
    let bare = redis::Client::open(format!("redis://127.0.0.1:{}", server.port())).unwrap();
    let refused: RedisResult<String> = bare.get_connection().unwrap().get("k");
    assert_eq!(refused.unwrap_err().code(), Some("NOAUTH"));
}

#[test]
fn a_full_server_refuses_writes() {
    let server = RedisServer::builder().maxmemory("1mb").start();
    let mut conn = server.client().get_connection().unwrap();
    let refused: RedisResult<()> = (0..64).try_for_each(|i| conn.set(format!("k{i}"), "x".repeat(100_000)));
    assert_eq!(refused.unwrap_err().code(), Some("OOM"));
}

#[test]
fn a_replica_follows_its_primary_and_refuses_writes() {
    let primary = RedisServer::builder().requirepass("p").option("repl-diskless-sync-delay", "0").start();
    let replica = RedisServer::builder().replica_of(&primary).start();
    let () = primary.client().get_connection().unwrap().set("k", "v").unwrap();
    let mut conn = replica.client().get_connection().unwrap();
    wait_until("the replica has the key", AT_MOST, || {
        conn.get::<_, Option<String>>("k").is_ok_and(|value| value.as_deref() == Some("v"))
    });
    let refused: RedisResult<()> = conn.set("k", "w");
    assert_eq!(refused.unwrap_err().code(), Some("READONLY"));
}

#[test]
fn a_held_clock_stands_still_and_every_move_is_seen_by_the_next_command() {
    let server = RedisServer::builder().clock_ms(Clock::START_MS).start();
    let mut conn = server.client().get_connection().unwrap();
    let mut time = || {
        let (seconds, micros): (u64, u64) = redis::cmd("TIME").query(&mut conn).unwrap();
        assert_eq!(micros % 1_000, 0);
        seconds * 1_000 + micros / 1_000
    };
    for step in 0..500 {
        let now = Clock::START_MS + step * 7_919;
        server.clock().set_ms(now);
        assert_eq!((time(), time()), (now, now));
    }
    server.clock().advance(Duration::from_millis(1));
    assert_eq!(time(), Clock::START_MS + 499 * 7_919 + 1);
    server.clock().set_ms(Clock::START_MS);
    assert_eq!(time(), Clock::START_MS, "also back");
}

#[test]
fn scripts_and_expiry_follow_a_held_clock() {
    let server = RedisServer::builder().clock_ms(Clock::START_MS).start();
    let mut conn = server.client().get_connection().unwrap();
    let look = redis::Script::new(
        "local t = redis.call('TIME')
         return {t[1] * 1000 + t[2] / 1000, redis.call('PTTL', KEYS[1])}",
    );
    let () = conn.pset_ex("lease", "mine", 10_000).unwrap();
    for (after, ttl) in [(0, 10_000), (9_999, 1), (10_000, 0), (10_001, -2)] {
        server.clock().set_ms(Clock::START_MS + after);
        let seen: (u64, i64) = look.key("lease").invoke(&mut conn).unwrap();
        assert_eq!(seen, (Clock::START_MS + after, ttl));
    }
    let id: String = redis::cmd("XADD").arg("s").arg("*").arg("k").arg("v").query(&mut conn).unwrap();
    assert_eq!(id, format!("{}-0", Clock::START_MS + 10_001));
}

#[test]
fn a_held_clock_stays_held_over_a_restart() {
    let mut server = RedisServer::builder().clock_ms(Clock::START_MS).appendonly("always").start();
    let () = server.client().get_connection().unwrap().pset_ex("lease", "mine", 1_000).unwrap();
    server.kill();
    server.clock().advance(Duration::from_millis(999));
    server.restart();
    let mut conn = server.client().get_connection().unwrap();
    assert_eq!(conn.pttl::<_, i64>("lease").unwrap(), 1);
    server.clock().advance(Duration::from_millis(2));
    assert!(!conn.exists::<_, bool>("lease").unwrap());
}

/// Names the test that is started as a process of its own.
const DOOMED: &str = "TENURE_TEST_DOOMED";

#[test]
fn a_server_ends_with_the_process_that_started_it_even_by_sigkill() {
    let mut doomed = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_process_that_is_killed", "--ignored", "--nocapture"])
        .env(DOOMED, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(doomed.stdout.take().unwrap()).lines();
    let port = lines
        .map_while(Result::ok)
        .find_map(|line| line.split_once("port ")?.1.parse().ok())
        .expect("it prints the port of its server");
    let outlived_its_thread = listens(port);

    doomed.kill().unwrap();
    doomed.wait().unwrap();
    assert!(outlived_its_thread);
    wait_until("the server is gone too", AT_MOST, || !listens(port));
}

#[test]
#[ignore = "the other half of the test above, which starts it"]
fn the_process_that_is_killed() {
    if std::env::var_os(DOOMED).is_none() {
        return;
    }
    // From a thread that ends at once: the kernel's promise must not be tied to it.
    let server = std::thread::spawn(RedisServer::start).join().unwrap();
    println!("\nport {}", server.port());
    loop {
        std::thread::park();
    }
}

fn listens(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}
