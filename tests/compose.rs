//! The compose file, brought up as a user would. Needs Docker; `TENURE_TEST_CONTAINERS=0` leaves it out.

mod support;

use std::time::Duration;

use redis::Commands;
use support::{compose::Compose, containers, wait_until};

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn the_compose_file_brings_up_two_workers_that_answer_and_scales_to_five() {
    if !containers::wanted() {
        return;
    }
    let compose = Compose::up();
    let mut conn = None;
    wait_until("the server answers", MINUTE, || {
        conn = compose.client().get_connection().ok();
        conn.is_some()
    });
    let mut conn = conn.expect("connected");
    let fields = [("to", "echo/compose"), ("body", "hello"), ("reply_to", "my:replies")];
    let _: String = conn.xadd("tenure:default:ingress", "*", &fields).expect("XADD is answered");
    let (_, reply): (String, String) = conn.blpop("my:replies", 60.0).expect("a reply within a minute");
    assert!(reply.contains(r#""reply":{"text":"hello"}"#), "{reply}");

    let mut members = || conn.hlen::<_, usize>("tenure:{default}:members").expect("HLEN is answered");
    wait_until("two workers", MINUTE, || members() == 2);
    compose.scale_workers(5);
    wait_until("five workers", MINUTE, || members() == 5);
    assert_eq!(compose.workers().len(), 5);
    compose.scale_workers(1);
    wait_until("four have drained and said goodbye", MINUTE, || members() == 1);
}

/// A profile's workers answer somebody who has nothing but what the profile brings.
fn a_message_is_answered(profile: &'static str, worker: &str) {
    if !containers::wanted() {
        return;
    }
    let compose = Compose::up_with(Some(profile));
    let mut said = String::new();
    wait_until("the workers are up", 2 * MINUTE, || {
        match compose.tenure(worker, &["workers", "--json"]) {
            Ok(rows) => said = rows,
            Err(why) => said = why,
        }
        said.lines().filter(|line| line.contains(r#""state":"ready""#)).count() == 2
    });
    let answer = compose.tenure(worker, &["send", "echo/compose", "hello", "--wait", "--timeout", "30s"]);
    assert_eq!(answer.as_deref().map(str::trim), Ok("hello"));
}

#[test]
fn the_profile_with_sentinels_answers_a_message() {
    a_message_is_answered("replicated", "worker-replicated");
}

#[test]
fn the_profile_with_a_cluster_answers_a_message() {
    a_message_is_answered("cluster", "worker-cluster");
}
