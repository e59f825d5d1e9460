//! `tenure worker` and `tenure bench`.

use std::{
    net::{Ipv4Addr, TcpListener},
    process::Stdio,
    time::Duration,
};

use serde_json::json;

use crate::{
    command::{RunningWorker, end, on, signal, tenure},
    support::{RedisServer, wait_until},
};

const SOON: Duration = Duration::from_secs(30);

#[test]
fn a_worker_hands_everything_off_at_sigterm_and_ends_with_0() {
    let server = RedisServer::start();
    for signal in ["TERM", "INT"] {
        let mut worker = RunningWorker::start(&server, &[]);
        end(on(&server, &["send", "echo/a", "hello", "--wait"])).well();
        worker.signal(signal);
        assert_eq!(worker.ended().code(), Some(0));
        let said: Vec<_> = std::iter::from_fn(|| worker.event()).collect();
        assert_eq!(
            said,
            [
                json!({"event": "draining", "worker": worker.id}),
                json!({"event": "drained", "worker": worker.id})
            ]
        );
        let view = end(on(&server, &["show", "echo/a", "--json"])).json().remove(0);
        assert_eq!((&view["status"], &view["owner"]), (&json!("passive"), &json!(null)));
    }
}

#[test]
fn a_worker_that_hangs_on_its_server_still_ends_at_the_second_signal() {
    let server = RedisServer::start();
    let mut worker = RunningWorker::start(&server, &[]);
    server.pause();
    worker.signal("TERM");
    assert_eq!(worker.event(), Some(json!({"event": "draining", "worker": worker.id})));
    worker.signal("TERM");
    assert_eq!(worker.ended().code(), Some(1));
    server.resume();
}

#[test]
fn a_worker_that_does_not_reach_its_server_still_ends_at_the_first_signal() {
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("redis://{}", silent.local_addr().unwrap());
    let mut command = tenure(&["worker", "--redis", &url, "--timeout", "5m"]);
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let _connected = silent.accept().unwrap();
    signal(&child, "TERM");
    wait_until("the worker ends", SOON, || child.try_wait().unwrap().is_some());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_workers_pool_is_found_again_after_the_server_has_lost_everything() {
    let server = RedisServer::start();
    let _worker = RunningWorker::start(&server, &["--pool", "gpu", "--lease", "1s"]);
    end(on(&server, &["send", "echo/a", "hello", "--wait"])).well();
    let mut conn = server.client().get_connection().unwrap();
    for forget in [&["FLUSHALL"][..], &["DEL", "tenure:{default}:agents"]] {
        redis::cmd(forget[0]).arg(&forget[1..]).exec(&mut conn).unwrap();
        end(on(&server, &["send", "echo/b", "hello", "--wait=30s"])).well();
        end(on(&server, &["delete", "echo/b"])).well();
    }
}

#[test]
fn a_session_whose_state_is_not_utf_8_is_quarantined_with_its_mail() {
    let server = RedisServer::start();
    let _worker = RunningWorker::start(&server, &[]);
    let mut conn = server.client().get_connection().unwrap();
    let keys = end(on(&server, &["keys", "echo/a", "--json"])).json().remove(0);
    redis::cmd("SET").arg(keys["state"].as_str()).arg(b"\xff\xfe").exec(&mut conn).unwrap();
    end(on(&server, &["send", "echo/a", "hello"])).well();
    wait_until("it is quarantined", SOON, || {
        let view = end(on(&server, &["show", "echo/a", "--json"])).json().remove(0);
        view["status"] == "quarantined" && view["cause"] == "unreadable" && view["waiting"] == 1
    });
    let kept: Vec<u8> = redis::cmd("GET").arg(keys["state"].as_str()).query(&mut conn).unwrap();
    assert_eq!(kept, b"\xff\xfe");
}

#[test]
fn a_session_that_cannot_be_read_any_more_does_not_hold_up_a_drain_and_goes_on_once_it_can() {
    let server = RedisServer::start();
    let mut conn = server.client().get_connection().unwrap();
    let keys = end(on(&server, &["keys", "echo/a", "--json"])).json().remove(0);
    let mut version = |v: &str| -> () {
        redis::cmd("HSET").arg(keys["meta"].as_str()).arg("v").arg(v).query(&mut conn).unwrap()
    };
    let mut worker = RunningWorker::start(&server, &["--lease", "1s"]);
    end(on(&server, &["send", "echo/a", "one", "--wait"])).well();
    version("2");
    #[expect(clippy::disallowed_methods, reason = "how long it takes is what is looked at")]
    let began = std::time::Instant::now();
    worker.signal("TERM");
    assert_eq!(worker.ended().code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(10), "the grace period was waited for");
    version("1");
    let _next = RunningWorker::start(&server, &["--lease", "1s"]);
    assert_eq!(end(on(&server, &["send", "echo/a", "two", "--wait"])).well(), "two\n");
}

#[test]
fn a_namespace_with_other_settings_is_refused_by_name() {
    let server = RedisServer::start();
    let mut conn = server.client().get_connection().unwrap();
    let settings = r#"{"layout":1,"partitions":8,"limits":{"body":1048576,"inbox":1000}}"#;
    redis::cmd("HSET").arg("tenure:{default}:conf").arg("settings").arg(settings).exec(&mut conn).unwrap();
    let mut worker = on(&server, &["worker"]);
    worker.env("RUST_LOG", "off");
    assert!(end(worker).badly(1).contains("partitions: 8, not 64"));
}

#[test]
fn a_benchmark_measures_turns_and_leaves_nothing_behind() {
    let server = RedisServer::start();
    let args =
        ["bench", "turns", "--sessions", "8", "--in-flight", "4", "--messages", "200", "--raw", "--json"];
    let figures = end(on(&server, &args)).json().remove(0);
    assert_eq!((&figures["bench"], &figures["messages"]), (&json!("turns"), &json!(200)));
    for figure in ["turns_per_second", "p50_ms", "p99_ms", "ratio"] {
        assert!(figures[figure].as_f64().is_some_and(|figure| figure > 0.0), "{figure}: {figures}");
    }
    assert!(figures["raw"]["turns_per_second"].as_f64().is_some_and(|figure| figure > 0.0), "{figures}");
    let mut conn = server.client().get_connection().unwrap();
    let left: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut conn).unwrap();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_benchmark_starts_a_cluster_of_its_own_and_says_what_a_turn_costs_there_and_on_one_server() {
    let nowhere = "redis://127.0.0.1:1";
    let sizes = ["--sessions", "8", "--in-flight", "4", "--messages", "200", "--rounds", "1"];
    let args = [&["--redis", nowhere, "bench", "cluster", "--json"], &sizes[..]].concat();
    let figures = end(tenure(&args)).json().remove(0);
    assert_eq!((&figures["bench"], &figures["masters"]), (&json!("cluster"), &json!(3)));
    for place in ["server", "one", "cluster"] {
        for figure in ["turns_per_second", "p99_ms", "us_per_turn", "busiest"] {
            let measured = figures[place][figure].as_f64();
            assert!(measured.is_some_and(|figure| figure > 0.0), "{place} {figure}: {figures}");
        }
    }
    let cost = |place: &str| figures[place]["us_per_turn"].as_f64().unwrap();
    let ratios = ["ratio", "ratio_to_server"].map(|ratio| figures[ratio].as_f64().unwrap());
    for (ratio, place) in ratios.into_iter().zip(["one", "server"]) {
        assert!((ratio - cost("cluster") / cost(place)).abs() < 0.01, "{figures}");
    }
    let kept = ratios.into_iter().all(|ratio| ratio <= figures["bar"].as_f64().unwrap());
    assert_eq!(figures["ok"], kept, "the bar counts for both: {figures}");
}

#[test]
fn a_benchmark_counts_every_session_of_a_worker_that_was_killed_once_and_leaves_nothing_behind() {
    let server = RedisServer::start();
    let args = ["bench", "failover", "--sessions", "40", "--survivors", "2", "--lease", "2s", "--json"];
    let figures = end(on(&server, &args)).json().remove(0);
    assert_eq!((&figures["bench"], &figures["case"]), (&json!("failover"), &json!("kill")));
    assert_eq!(figures["samples_ms"].as_array().map(Vec::len), Some(40));
    let spread = figures["spread"].as_array().unwrap().iter().filter_map(serde_json::Value::as_u64);
    assert_eq!(spread.sum::<u64>(), 40, "{figures}");
    let mut conn = server.client().get_connection().unwrap();
    let left: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut conn).unwrap();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_benchmark_measures_a_program_against_itself_alone_and_the_built_in_agent() {
    let server = RedisServer::start();
    let args = [
        "bench",
        "exec",
        "--rounds",
        "1",
        "--sessions",
        "8",
        "--in-flight",
        "4",
        "--messages",
        "200",
        "--json",
    ];
    let figures = end(on(&server, &args)).json().remove(0);
    let rates =
        [&figures["bare"], &figures["builtin"]["turns_per_second"], &figures["exec"]["turns_per_second"]];
    assert!(rates.iter().all(|rate| rate.as_f64().is_some_and(|rate| rate > 0.0)), "{figures}");
    let of = |rate: &serde_json::Value| rate.as_f64().unwrap();
    let ratio = of(rates[2]) / of(rates[0]).min(of(rates[1]));
    assert!((figures["ratio"].as_f64().unwrap() - ratio).abs() < 0.01, "{figures}");
    let mut conn = server.client().get_connection().unwrap();
    let left: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut conn).unwrap();
    assert!(left.is_empty(), "{left:?}");
}
