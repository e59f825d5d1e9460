//! `tenure demo`: what it shows is what happened.

use serde_json::{Value, json};

use crate::{
    command::{Ended, end, on, tenure},
    support::RedisServer,
};

fn events<'e>(shown: &'e [Value], kind: &str) -> Vec<&'e Value> {
    shown.iter().filter(|line| line["event"] == kind).collect()
}

/// Asserts that one worker was killed in its work, and that its sessions went on elsewhere with nothing lost.
fn assert_goes_on(ended: Ended) {
    let shown = ended.json();
    let killed = events(&shown, "killed");
    assert_eq!((events(&shown, "ready").len(), killed.len()), (3, 1), "{shown:#?}");
    let (dead, since) = (&killed[0]["worker"], killed[0]["at_ms"].as_u64().unwrap());
    let taken: Vec<_> = events(&shown, "taken_over");
    assert!(taken.iter().any(|line| line["session"] == killed[0]["session"]), "{shown:#?}");
    assert!(taken.iter().all(|line| line["worker"] != *dead), "{shown:#?}");
    for reply in events(&shown, "replied") {
        assert_eq!(reply["reply"], reply["turn"].to_string(), "it counted on");
        // What was committed before the kill may be told a moment after it.
        assert!(reply["worker"] != *dead || reply["at_ms"].as_u64().unwrap() < since + 500, "{reply}");
    }
    let summary = shown.last().expect("a summary");
    let counts = ["accepted", "answered", "lost", "repeated"].map(|name| summary[name].clone());
    assert_eq!(counts, [json!(16), json!(16), json!(0), json!(0)]);
}

#[test]
fn an_embedded_fleet_loses_a_worker_and_nothing_else() {
    assert_goes_on(end(tenure(&["demo", "--json"])));
}

#[test]
fn a_fleet_of_processes_loses_one_to_kill_9_and_leaves_nothing_behind() {
    let server = RedisServer::start();
    assert_goes_on(end(on(&server, &["demo", "--json"])));
    let mut conn = server.client().get_connection().unwrap();
    let mut left: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut conn).unwrap();
    // The replies' lists of clients go by themselves, within the hour.
    left.retain(|key| !key.starts_with("reply:"));
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn the_timeline_for_people_ends_with_what_came_of_it() {
    let shown = end(tenure(&["demo", "--sessions", "2", "--messages", "3"])).well();
    for words in ["ready", "claimed", "killed in the middle of turn", "taken over after"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    assert!(shown.contains("\n6 messages accepted, 6 answered, 0 lost, 0 repeated\n"), "{shown}");
    end(tenure(&["demo", "--sessions", "0"])).badly(2);
    end(tenure(&["demo", "--lease", "1ms"])).badly(2);
}
