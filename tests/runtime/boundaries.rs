//! Boundaries in the middle of a turn: what is durable there, and how the turn goes on.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::FutureExt;
use tenure::{
    Agent, AgentError, Body, Message, Reply, Turn, Worker, WorkerHandle,
    model::{EntryKind, NewMessage, Resume, Status, TurnPolicy, WorkerConfig},
    store::{Ground, MemoryStore, Proceed, Store, memory::SessionSight},
};

use crate::{flaky::Flaky, fleet::Fleet};

const MINUTE: Duration = Duration::from_secs(60);
const STEP: Duration = Duration::from_secs(1);

/// Three steps of a second, with a boundary after each; does in its last step as it is told: `fail`, `hang`, `drop`.
#[derive(Clone, Default)]
struct Stepper {
    /// Each step that was begun: the worker that runs it, the step, and the attempt.
    begun: Arc<Mutex<Vec<(String, u64, u32)>>>,
    worker: String,
}

impl Agent for Stepper {
    type State = Vec<u64>;

    fn policy(&self) -> TurnPolicy {
        TurnPolicy { tries: 3, ..TurnPolicy::default() }
    }

    async fn turn(&self, cx: &mut Turn<Vec<u64>>, message: Message) -> Result<Reply, AgentError> {
        if cx.boundaries() == 0 {
            cx.state_mut().clear();
        }
        for step in cx.boundaries()..3 {
            self.begun.lock().unwrap().push((self.worker.clone(), step, cx.attempt()));
            cx.sleep(STEP).await;
            match message.body.as_text().as_deref() {
                Some("fail") if step == 2 => return Err(AgentError::new("told to fail")),
                Some("hang") if step == 2 && cx.attempt() == 1 => std::future::pending().await,
                Some("drop") if step == 2 && cx.attempt() == 1 => {
                    cx.append(EntryKind::ToolCall, Body::text("lost"))?;
                    assert!(cx.boundary().now_or_never().is_none(), "it takes a moment");
                    return Ok(Reply::text("too early"));
                }
                _ => (),
            }
            cx.state_mut().push(step);
            cx.append(EntryKind::ToolCall, Body::text(&step.to_string()))?;
            cx.boundary().await?;
        }
        Ok(Reply::text(format!("{:?}", cx.state())))
    }
}

impl Stepper {
    async fn on(&self, fleet: &Fleet, name: &str) -> WorkerHandle {
        self.with(fleet, WorkerConfig::named(name.parse().unwrap())).await
    }

    async fn with(&self, fleet: &Fleet, config: WorkerConfig) -> WorkerHandle {
        let stepper = Self { worker: config.name.to_string(), ..self.clone() };
        let builder = Worker::builder(fleet.store.clone()).env(fleet.env.fork()).config(config);
        builder.agent("steps", stepper).start().await.unwrap()
    }

    /// The steps that were begun, in order.
    fn steps(&self) -> Vec<u64> {
        self.begun.lock().unwrap().iter().map(|(_, step, _)| *step).collect()
    }
}

impl Fleet {
    async fn send_as(&self, resume: Resume) {
        let message = NewMessage { resume: Some(resume), ..self.message("steps/a", "go") };
        self.store.send(&message).await.unwrap();
    }

    async fn until_boundaries(&self, wanted: u64) {
        let made = async || {
            let unfinished = self.sight("steps/a").await.record.unfinished;
            unfinished.is_some_and(|unfinished| unfinished.boundaries >= wanted)
        };
        self.until(MINUTE, made).await;
    }

    async fn until_turns(&self, wanted: u64) {
        self.until(MINUTE * 5, async || self.sight("steps/a").await.record.turns == wanted).await;
    }

    /// The kinds of the session's entries.
    async fn kinds(&self) -> Vec<&'static str> {
        self.history("steps/a").await.iter().map(|entry| entry.kind.as_str()).collect()
    }

    async fn status(&self) -> Status {
        let sight = self.sight("steps/a").await;
        sight.record.status(sight.waiting, None).0
    }
}

const WHOLE: [&str; 5] = ["user", "tool_call", "tool_call", "tool_call", "assistant"];

#[tokio::test(start_paused = true)]
async fn what_a_boundary_made_durable_is_seen_while_the_turn_goes_on() {
    let fleet = Fleet::new(1);
    let _worker = Stepper::default().on(&fleet, "w").await;
    fleet.send("steps/a", "go").await;
    fleet.until_boundaries(1).await;
    let sight = fleet.sight("steps/a").await;
    assert_eq!((sight.waiting, sight.record.turns, sight.record.seq), (1, 0, 2));
    assert_eq!(fleet.kinds().await, WHOLE[..2]);
    fleet.until_turns(1).await;
    let sight = fleet.sight("steps/a").await;
    assert_eq!((sight.waiting, sight.record.unfinished), (0, None));
    assert_eq!(fleet.kinds().await, WHOLE);
    assert!(fleet.history("steps/a").await.iter().all(|entry| entry.turn == 1));
    assert_eq!(fleet.ask_text("steps/a", "again").await, "[0, 1, 2]");
}

#[tokio::test(start_paused = true)]
async fn an_eager_turn_goes_on_by_itself_from_its_last_boundary() {
    let fleet = Fleet::new(2);
    let steps = Stepper::default();
    let first = steps.on(&fleet, "first").await;
    fleet.send_as(Resume::Eager).await;
    fleet.until_boundaries(1).await;
    fleet.env.sleep(STEP / 2).await;
    first.kill().await;
    let _second = steps.on(&fleet, "second").await;
    fleet.until_turns(1).await;
    assert_eq!(steps.steps(), [0, 1, 1, 2], "only what was under way is begun again");
    assert_eq!(fleet.kinds().await, WHOLE);
    let history = fleet.history("steps/a").await;
    assert!(history[1].id.epoch < history[2].id.epoch, "another owner");
    assert_eq!(history[4].body, Body::text("[0, 1, 2]"));
}

#[tokio::test(start_paused = true)]
async fn a_lazy_turn_waits_for_a_word() {
    let fleet = Fleet::new(3);
    let steps = Stepper::default();
    let first = steps.on(&fleet, "first").await;
    fleet.send("steps/a", "go").await;
    fleet.until_boundaries(2).await;
    first.kill().await;
    let _second = steps.on(&fleet, "second").await;
    fleet.until(MINUTE, async || fleet.status().await == Status::Suspended).await;
    fleet.env.sleep(MINUTE * 30).await;
    assert_eq!((fleet.status().await, fleet.kinds().await.len()), (Status::Suspended, 3));
    let session = "steps/a".parse().unwrap();
    let told = fleet.store.proceed(&session, &Default::default()).await.unwrap();
    assert_eq!(told, Proceed::Going);
    fleet.until_turns(1).await;
    assert_eq!(fleet.kinds().await, WHOLE);
}

#[tokio::test(start_paused = true)]
async fn a_message_lets_a_lazy_turn_go_on_and_comes_after_it() {
    let fleet = Fleet::new(4);
    let steps = Stepper::default();
    let first = steps.on(&fleet, "first").await;
    fleet.send("steps/a", "go").await;
    fleet.until_boundaries(2).await;
    first.kill().await;
    let _second = steps.on(&fleet, "second").await;
    fleet.until(MINUTE, async || fleet.status().await == Status::Suspended).await;
    fleet.send("steps/a", "next").await;
    fleet.until_turns(2).await;
    assert_eq!(fleet.kinds().await, [WHOLE, WHOLE].concat());
    assert_eq!(fleet.texts("steps/a").await, ["go", "next"]);
}

#[tokio::test(start_paused = true)]
async fn a_lazy_message_without_a_boundary_goes_on_by_itself() {
    let fleet = Fleet::new(5);
    let steps = Stepper::default();
    let first = steps.on(&fleet, "first").await;
    fleet.send("steps/a", "go").await;
    fleet.until(MINUTE, async || first.load().running == 1).await;
    first.kill().await;
    let _second = steps.on(&fleet, "second").await;
    fleet.until_turns(1).await;
    assert_eq!(steps.steps(), [0, 0, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_failed_run_is_tried_again_from_its_last_boundary_and_given_up_on_in_the_end() {
    let fleet = Fleet::new(6);
    let steps = Stepper::default();
    let _worker = steps.on(&fleet, "w").await;
    let error = fleet.ask("steps/a", "fail").await.error.unwrap();
    assert_eq!(error.message, "told to fail");
    let begun: Vec<_> =
        steps.begun.lock().unwrap().iter().map(|(_, step, attempt)| (*step, *attempt)).collect();
    assert_eq!(begun, [(0, 1), (1, 1), (2, 1), (2, 2), (2, 3)], "a boundary makes no try undone");
    assert_eq!(fleet.kinds().await, ["user", "tool_call", "tool_call", "event"]);
    assert_eq!(fleet.sight("steps/a").await.record.unfinished, None);
    assert_eq!(fleet.ask_text("steps/a", "go").await, "[0, 1, 2]");
}

#[tokio::test(start_paused = true)]
async fn a_drain_hands_a_lazy_turn_off_in_the_middle_and_it_goes_on() {
    let fleet = Fleet::new(7);
    let steps = Stepper::default();
    let config = WorkerConfig { grace: STEP, ..WorkerConfig::named("first".parse().unwrap()) };
    let first = steps.with(&fleet, config).await;
    fleet.send("steps/a", "hang").await;
    fleet.until_boundaries(2).await;
    let _second = steps.on(&fleet, "second").await;
    fleet.env.sleep(STEP * 2).await;
    // It hangs in its third step, and would do so again under another try.
    first.drain().await;
    fleet.until(MINUTE, async || steps.begun.lock().unwrap().iter().any(|one| one.0 == "second")).await;
    assert_eq!(steps.begun.lock().unwrap().last(), Some(&("second".to_owned(), 2, 1)));
    assert_eq!(fleet.sight("steps/a").await.record.suspended, None);
}

#[tokio::test(start_paused = true)]
async fn a_boundary_without_an_answer_is_written_once() {
    let fleet = Fleet::new(8);
    let (store, cable) = Flaky::new(fleet.store.clone(), fleet.env.fork());
    let builder = Worker::builder(store).env(fleet.env.fork()).agent("steps", Stepper::default());
    let _worker = builder.start().await.unwrap();
    fleet.send("steps/a", "go").await;
    for _ in 0..2 {
        cable.lose_next("commit");
        fleet.until(MINUTE, async || cable.has_lost()).await;
    }
    fleet.until_turns(1).await;
    assert_eq!(fleet.kinds().await, WHOLE);
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_owner_was_fenced_does_not_come_back_from_its_boundary() {
    let fleet = Fleet::new(9);
    let steps = Stepper::default();
    let worker = steps.on(&fleet, "w").await;
    fleet.send_as(Resume::Eager).await;
    fleet.until_boundaries(1).await;
    for partition in fleet.store.partitions().all() {
        fleet.store.bury(partition, &worker.id(), Ground::OwnWish).await.unwrap();
    }
    fleet.until_turns(1).await;
    assert_eq!(steps.steps(), [0, 1, 1, 2], "the second step was begun again, and not followed by a third");
    assert_eq!(fleet.kinds().await, WHOLE);
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_does_not_wait_for_its_boundary_fails_and_goes_on_from_the_one_before() {
    let fleet = Fleet::new(10);
    let steps = Stepper::default();
    let _worker = steps.on(&fleet, "w").await;
    assert_eq!(fleet.ask_text("steps/a", "drop").await, "[0, 1, 2]");
    assert_eq!(steps.steps(), [0, 1, 2, 2]);
    assert_eq!(fleet.kinds().await, WHOLE, "what it appended is in no history");
}

/// Changes its state, makes that durable, and changes it back.
struct Fickle;

impl Agent for Fickle {
    type State = u64;

    async fn turn(&self, cx: &mut Turn<u64>, _: Message) -> Result<Reply, AgentError> {
        let before = *cx.state();
        *cx.state_mut() = 7;
        cx.boundary().await?;
        *cx.state_mut() = before;
        Ok(Reply::text(before.to_string()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_state_that_is_again_what_it_was_before_a_boundary_is_written_again() {
    let fleet = Fleet::new(11);
    let builder = Worker::builder(fleet.store.clone()).env(fleet.env.fork());
    let _worker = builder.agent("fickle", Fickle).start().await.unwrap();
    for _ in 0..3 {
        assert_eq!(fleet.ask_text("fickle/a", "x").await, "0");
    }
}

/// Never ends; notes whether its session has an owner in the moment when it is dropped.
#[derive(Clone)]
struct Endless {
    store: MemoryStore,
    owned_at_end: Arc<Mutex<Vec<bool>>>,
}

impl Drop for Endless {
    fn drop(&mut self) {
        let session = "endless/a".parse().unwrap();
        let is_owned =
            |sight: Option<SessionSight<'_>>| sight.is_some_and(|sight| sight.record.owner.is_some());
        self.owned_at_end.lock().unwrap().push(self.store.inspect(&session, is_owned));
    }
}

/// Makes one of those in each run.
struct Starts(MemoryStore, Arc<Mutex<Vec<bool>>>);

impl Agent for Starts {
    type State = ();

    async fn turn(&self, _: &mut Turn<()>, _: Message) -> Result<Reply, AgentError> {
        let _endless = Endless { store: self.0.clone(), owned_at_end: self.1.clone() };
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_broken_off_by_a_drain_ends_before_its_session_is_given_away() {
    let fleet = Fleet::new(21);
    let owned_at_end = Arc::default();
    let config = WorkerConfig { grace: STEP, ..WorkerConfig::named("first".parse().unwrap()) };
    let builder = Worker::builder(fleet.store.clone()).env(fleet.env.fork()).config(config);
    let agent = Starts(fleet.store.clone(), Arc::clone(&owned_at_end));
    let worker = builder.agent("endless", agent).start().await.unwrap();
    fleet.send("endless/a", "x").await;
    fleet.until(MINUTE, async || worker.load().running == 1).await;
    worker.drain().await;
    assert_eq!(*owned_at_end.lock().unwrap(), [true]);
}
