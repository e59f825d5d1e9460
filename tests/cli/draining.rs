//! `tenure drain`.

use serde_json::json;

use crate::{
    command::{RunningWorker, end, on},
    support::{RedisServer, wait_until},
};

/// How long a worker may take to be seen by others.
const SOON: std::time::Duration = std::time::Duration::from_secs(30);

#[test]
fn a_worker_drains_by_its_name_from_anywhere_and_ends_well() {
    let server = RedisServer::start();
    let mut worker = RunningWorker::start(&server, &["--name", "web-1"]);
    let other = RunningWorker::start(&server, &["--name", "web-2"]);
    end(on(&server, &["send", "echo/a", "one", "--wait"])).well();
    let drained = end(on(&server, &["drain", "web-1", "--wait", "--json"])).json();
    assert_eq!(drained, [json!({"worker": worker.id, "state": "gone"})]);
    assert_eq!(worker.ended().code(), Some(0));
    assert_eq!(end(on(&server, &["send", "echo/a", "two", "--wait"])).well(), "two\n");
    let left = end(on(&server, &["workers", "--json"])).json();
    assert_eq!(left.iter().map(|one| &one["worker"]).collect::<Vec<_>>(), [&json!(other.id)]);
}

#[test]
fn a_worker_drains_by_its_incarnation_without_waiting_for_it() {
    let server = RedisServer::start();
    let mut worker = RunningWorker::start(&server, &[]);
    let id = worker.id.clone();
    assert_eq!(end(on(&server, &["drain", &id])).well(), format!("{id} draining\n"));
    assert_eq!(worker.ended().code(), Some(0));
}

#[test]
fn who_is_not_there_cannot_drain_and_who_does_not_hear_is_said_to_be_cut_off() {
    let server = RedisServer::start();
    assert!(end(on(&server, &["drain", "web-1"])).badly(3).contains("tenure workers"));
    end(on(&server, &["drain", ""])).badly(2);
    let worker = RunningWorker::start(&server, &["--name", "web-1"]);
    worker.signal("KILL");
    // It is alone, so that its entry stays for a lease.
    wait_until("the server notices", SOON, || end(on(&server, &["drain", "web-1"])).code == 5);
}
