//! What fails, fails alone: a run, a message, a state.

use std::time::Duration;

use tenure::{
    Agent, AgentError, Message, Reply, Turn, Worker,
    model::{Cause, Hold, Partition},
    store::Store,
};

use crate::fleet::Fleet;

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn a_panic_fails_its_turn_and_nothing_else() {
    let fleet = Fleet::new(1);
    let worker = fleet.worker("w").await;
    let error = fleet.ask("moody/a", "panic").await.error.unwrap();
    assert_eq!(error.reason, "panicked");
    assert!(error.message.contains("told to"));
    assert_eq!(fleet.ask_text("moody/a", "fine").await, "fine");
    assert_eq!(fleet.ask_text("echo/b", "fine").await, "fine");
    assert_eq!(worker.load().sessions, 2);
}

#[tokio::test(start_paused = true)]
async fn a_failed_run_is_tried_again_after_its_backoff_and_leaves_no_trace() {
    let fleet = Fleet::new(2);
    let _worker = fleet.worker("w").await;
    let start = fleet.env.now();
    assert_eq!(fleet.ask_text("moody/a", "fail once").await, "fail once");
    let took = fleet.env.now().since(start);
    assert!(took >= Duration::from_millis(100) && took < Duration::from_millis(400), "{took:?}");
    let record = fleet.sight("moody/a").await.record;
    assert_eq!((record.turns, record.tries), (1, 0));
    assert_eq!(fleet.history("moody/a").await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_keeps_failing_goes_to_dead_and_those_behind_it_go_on() {
    let fleet = Fleet::new(3);
    let _worker = fleet.worker("w").await;
    let error = fleet.ask("moody/a", "fail").await.error.unwrap();
    assert_eq!((error.reason.as_str(), error.message.as_str()), ("failed", "told to fail"));
    assert_eq!(fleet.ask_text("moody/a", "next").await, "next");
    let kinds: Vec<_> = fleet.history("moody/a").await.iter().map(|entry| entry.kind.as_str()).collect();
    assert_eq!(kinds, ["user", "event", "user", "assistant"]);
    let dead = all_dead(&fleet).await;
    assert_eq!(dead, [("failed".to_owned(), 3, "fail".to_owned())]);
}

/// Is busy for two minutes, once.
struct Busy;

impl Agent for Busy {
    type State = ();

    async fn turn(&self, cx: &mut Turn<()>, message: Message) -> Result<Reply, AgentError> {
        match cx.attempt() {
            1 => Err(AgentError::new("busy").retry_after(Duration::from_secs(120))),
            _ => Ok(Reply::body(message.body)),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_asks_for_time_is_tried_again_after_it_though_its_session_left_memory_meanwhile() {
    let fleet = Fleet::new(9);
    let worker =
        Worker::builder(fleet.store.clone()).env(fleet.env.fork()).agent("busy", Busy).start().await.unwrap();
    let start = fleet.env.now();
    let answer = fleet.ask("busy/a", "hello");
    let left = async {
        fleet.env.sleep(Duration::from_secs(100)).await;
        assert_eq!(worker.load().sessions, 0, "idle for longer than its worker's idle time");
    };
    let (envelope, ()) = tokio::join!(answer, left);
    assert!(envelope.error.is_none(), "{envelope:?}");
    let took = fleet.env.now().since(start);
    assert!(took >= Duration::from_secs(120) && took < Duration::from_secs(122), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_not_tried_again() {
    let fleet = Fleet::new(4);
    let _worker = fleet.worker("w").await;
    fleet.ask("moody/a", "refuse").await.error.unwrap();
    assert_eq!(all_dead(&fleet).await, [("failed".to_owned(), 1, "refuse".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_hangs_is_ended_by_its_time_limit() {
    let fleet = Fleet::new(5);
    let _worker = fleet.worker("w").await;
    let error = fleet.ask("moody/a", "hang").await.error.unwrap();
    assert_eq!(error.reason, "timeout");
}

#[tokio::test(start_paused = true)]
async fn a_wait_for_the_next_try_survives_the_worker_that_began_it() {
    let fleet = Fleet::new(6);
    let first = fleet.worker("first").await;
    fleet.send("moody/a", "fail").await;
    fleet.until(MINUTE, async || fleet.sight("moody/a").await.record.tries == 1).await;
    first.drain().await;
    let _second = fleet.worker("second").await;
    fleet.until(MINUTE, async || fleet.sight("moody/a").await.record.turns == 1).await;
    assert_eq!(all_dead(&fleet).await, [("failed".to_owned(), 3, "fail".to_owned())]);
}

/// The same agent name with another idea of its state.
struct Changed;

impl Agent for Changed {
    type State = Vec<u8>;

    async fn turn(&self, _: &mut Turn<Vec<u8>>, _: Message) -> Result<Reply, AgentError> {
        Ok(Reply::none())
    }
}

#[tokio::test(start_paused = true)]
async fn a_state_that_does_not_fit_is_set_aside_and_not_overwritten() {
    let fleet = Fleet::new(7);
    let first = fleet.worker("first").await;
    fleet.ask("count/a", "x").await;
    first.drain().await;
    let _second = Worker::builder(fleet.store.clone())
        .env(fleet.env.fork())
        .agent("count", Changed)
        .start()
        .await
        .unwrap();
    fleet.send("count/a", "y").await;
    fleet.until(MINUTE, async || fleet.sight("count/a").await.record.owner.is_none()).await;
    fleet.until(MINUTE, async || fleet.sight("count/a").await.record.hold.is_some()).await;
    let sight = fleet.sight("count/a").await;
    let Some(Hold::Quarantined { cause: Cause::Unreadable, reason }) = &sight.record.hold else {
        panic!("{:?}", sight.record.hold)
    };
    assert!(reason.contains("state"), "{reason}");
    assert_eq!(sight.waiting, 1, "its mail is kept");
    let snapshot = fleet.store.snapshot();
    let session = "count/a".parse().unwrap();
    let partition = fleet.store.partitions().of(&session);
    let state = snapshot.partitions[&partition].sessions[&session].state.clone().unwrap();
    assert!(state.contains('1'), "{state}");
}

/// A state that cannot be written without a panic.
#[derive(Default, serde::Deserialize)]
struct Booby;

impl serde::Serialize for Booby {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        panic!("cannot be written")
    }
}

struct Trapped;

impl Agent for Trapped {
    type State = Booby;

    async fn turn(&self, _: &mut Turn<Booby>, _: Message) -> Result<Reply, AgentError> {
        Ok(Reply::none())
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_an_agents_state_fails_its_turn_too() {
    let fleet = Fleet::new(8);
    let _worker = Worker::builder(fleet.store.clone())
        .env(fleet.env.fork())
        .agent("trapped", Trapped)
        .start()
        .await
        .unwrap();
    let error = fleet.ask("trapped/a", "x").await.error.unwrap();
    assert_eq!(error.reason, "panicked");
}

async fn all_dead(fleet: &Fleet) -> Vec<(String, u32, String)> {
    let mut dead = Vec::new();
    for partition in (0..64).map(Partition) {
        for letter in fleet.store.dead(partition, None, 100).await.unwrap() {
            dead.push((letter.reason, letter.tries, letter.body.as_text().unwrap_or_default()));
        }
    }
    dead
}
