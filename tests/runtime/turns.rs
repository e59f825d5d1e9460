//! A message becomes a durable turn.

use std::time::Duration;

use tenure::{
    Agent, AgentError, Body, Message, Reply, Turn, Worker,
    model::{IdempotencyKey, NewMessage, ReplyTo, TurnPolicy},
};

use crate::{flaky::Flaky, fleet::Fleet};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn a_message_becomes_a_user_and_an_assistant_entry_and_a_reply() {
    let fleet = Fleet::new(1);
    let _worker = fleet.worker("w").await;
    let envelope = fleet.ask("echo/alice", "hello").await;
    assert_eq!(envelope.reply.unwrap().unwrap(), Body::text("hello"));
    assert_eq!(envelope.turn, Some(1));
    let entries = fleet.history("echo/alice").await;
    let kinds: Vec<_> = entries.iter().map(|entry| (entry.kind.as_str(), entry.turn, entry.id.seq)).collect();
    assert_eq!(kinds, [("user", 1, 1), ("assistant", 1, 2)]);
    assert_eq!(envelope.entry, Some(entries[1].id));
    assert_eq!(entries[1].message, envelope.message);
}

#[tokio::test(start_paused = true)]
async fn messages_of_one_session_are_turns_in_the_order_they_came() {
    let fleet = Fleet::new(2);
    let _worker = fleet.worker("w").await;
    for n in 0..100 {
        fleet.send("count/a", &n.to_string()).await;
    }
    assert_eq!(fleet.ask_text("count/a", "last").await, "101");
    let expected: Vec<_> = (0..100).map(|n| n.to_string()).chain(["last".to_owned()]).collect();
    assert_eq!(fleet.texts("count/a").await, expected);
    let turns: Vec<_> = fleet.history("count/a").await.iter().map(|entry| entry.turn).collect();
    assert!(turns.is_sorted() && turns.last() == Some(&101));
}

#[tokio::test(start_paused = true)]
async fn messages_sent_before_any_worker_runs_are_taken_when_one_comes() {
    let fleet = Fleet::new(3);
    fleet.send("count/a", "early").await;
    let _worker = fleet.worker("w").await;
    fleet.until(MINUTE, async || fleet.sight("count/a").await.record.turns == 1).await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_session_leaves_memory_and_comes_back_with_its_state() {
    let fleet = Fleet::new(4);
    let worker = fleet.worker("w").await;
    assert_eq!(fleet.ask_text("count/a", "x").await, "1");
    assert_eq!(worker.load().sessions, 1);
    let waited = fleet.until(MINUTE * 2, async || worker.load().sessions == 0).await;
    assert!(waited >= Duration::from_secs(59), "only after the idle time: {waited:?}");
    assert!(fleet.sight("count/a").await.record.owner.is_none());
    let before = fleet.sight("count/a").await.record.epoch;
    assert_eq!(fleet.ask_text("count/a", "x").await, "2");
    assert!(fleet.sight("count/a").await.record.epoch > before);
}

#[tokio::test(start_paused = true)]
async fn a_long_turn_keeps_its_session_over_many_leases() {
    let fleet = Fleet::new(5);
    let _worker = fleet.worker("w").await;
    for n in 0..40 {
        fleet.send("slow/a", &n.to_string()).await;
    }
    fleet.until(MINUTE, async || fleet.sight("slow/a").await.record.turns == 40).await;
    let epochs: std::collections::BTreeSet<_> =
        fleet.history("slow/a").await.iter().map(|entry| entry.id.epoch).collect();
    assert_eq!(epochs.len(), 1, "one owner all along");
}

#[tokio::test(start_paused = true)]
async fn a_repeated_id_is_one_turn_and_gets_the_first_answer_at_its_own_key() {
    let fleet = Fleet::new(6);
    let _worker = fleet.worker("w").await;
    let id: IdempotencyKey = "order-7".parse().unwrap();
    let keys: Vec<ReplyTo> = (0..3).map(|n| format!("mine:{n}").parse().unwrap()).collect();
    for (n, key) in keys.iter().enumerate() {
        let text = format!("try {n}");
        let message = NewMessage {
            id: Some(id.clone()),
            reply_to: Some(key.clone()),
            ..fleet.message("count/a", &text)
        };
        fleet.store_send(&message).await;
        if n == 1 {
            fleet.until(MINUTE, async || fleet.sight("count/a").await.record.turns == 1).await;
        }
    }
    for key in &keys {
        let envelope = fleet.reply(key).await;
        assert_eq!(envelope.reply.unwrap().unwrap().as_text().as_deref(), Some("1"));
        assert_eq!(envelope.id.as_ref(), Some(&id));
    }
    assert_eq!(fleet.texts("count/a").await, ["try 0"]);
}

impl Fleet {
    async fn store_send(&self, message: &NewMessage) {
        use tenure::store::Store;
        self.store.send(message).await.unwrap();
    }
}

/// Replies with how long its run may still take when it begins, and on which attempt; reads its history before.
struct Curious;

impl Agent for Curious {
    type State = ();

    fn policy(&self) -> TurnPolicy {
        TurnPolicy { concurrency: 1, ..TurnPolicy::default() }
    }

    async fn turn(&self, cx: &mut Turn<()>, _: Message) -> Result<Reply, AgentError> {
        let remaining = cx.remaining();
        cx.history().await?;
        cx.sleep(Duration::from_secs(1)).await;
        Ok(Reply::text(format!("{} s, attempt {}", remaining.as_secs(), cx.attempt())))
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_has_all_its_time_though_it_waited_for_others() {
    let fleet = Fleet::new(7);
    let builder = Worker::builder(fleet.store.clone()).env(fleet.env.fork());
    let _worker = builder.agent("curious", Curious).start().await.unwrap();
    let replies = tokio::join!(fleet.ask_text("curious/a", "x"), fleet.ask_text("curious/b", "x"));
    let all = "60 s, attempt 1".to_owned();
    assert_eq!(replies, (all.clone(), all));
}

#[tokio::test(start_paused = true)]
async fn a_history_that_the_server_did_not_give_is_asked_for_again_and_fails_no_run() {
    let fleet = Fleet::new(8);
    let (store, cable) = Flaky::new(fleet.store.clone(), fleet.env.fork());
    let builder = Worker::builder(store).env(fleet.env.fork());
    let _worker = builder.agent("curious", Curious).start().await.unwrap();
    cable.lose_next("history");
    assert_eq!(fleet.ask_text("curious/a", "x").await, "60 s, attempt 1");
    assert!(cable.has_lost());
}

#[tokio::test(start_paused = true)]
async fn a_history_that_a_server_which_is_just_back_does_not_give_yet_is_asked_for_again_and_fails_no_run() {
    let fleet = Fleet::new(9);
    let (store, cable) = Flaky::new(fleet.store.clone(), fleet.env.fork());
    let builder = Worker::builder(store).env(fleet.env.fork());
    let _worker = builder.agent("curious", Curious).start().await.unwrap();
    cable.load_at_next("history");
    assert_eq!(fleet.ask_text("curious/a", "x").await, "60 s, attempt 1");
    assert!(cable.has_loaded());
}
