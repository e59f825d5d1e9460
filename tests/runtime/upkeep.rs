//! Upkeep: whatever hint is lost, whoever leaves, whatever the clock does, work goes on.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tenure::{
    Agent, AgentError, Env, Home, Message, Reply, Turn, Worker, WorkerHandle,
    model::{Millis, NewMessage, Settings, WorkerConfig},
    store::{MemoryStore, Store, memory::ServerClock},
};

use crate::{
    faults::flaky_worker,
    fleet::{Fleet, Slow},
};

const MINUTE: Duration = Duration::from_secs(60);

/// A server's clock that may run ahead of everybody else's.
struct Ahead {
    env: Env,
    by_ms: AtomicU64,
}

impl ServerClock for Ahead {
    fn now(&self) -> Millis {
        self.env.wall().plus(Duration::from_millis(self.by_ms.load(Ordering::Relaxed)))
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_clock_that_jumps_ahead_buries_nobody() {
    let env = Env::seeded(1);
    let clock = Arc::new(Ahead { env: env.clone(), by_ms: AtomicU64::new(0) });
    let store = MemoryStore::new("test".parse().unwrap(), Settings::default(), clock.clone());
    let fleet = Fleet { store, env };
    let workers = [fleet.worker("a").await, fleet.worker("b").await];
    let before = workers.each_ref().map(WorkerHandle::id);
    fleet.env.sleep(MINUTE).await;
    clock.by_ms.store(60_000, Ordering::Relaxed);
    fleet.env.sleep(MINUTE).await;
    assert_eq!(workers.each_ref().map(WorkerHandle::id), before);
}

#[tokio::test(start_paused = true)]
async fn sessions_of_a_pool_are_offered_by_duties_of_another() {
    let fleet = Fleet::new(2);
    let of = |pool: &str| {
        let pool = pool.parse().unwrap();
        move |config| WorkerConfig { pool, capacity: 5, ..config }
    };
    let west = fleet.worker_with("west", of("west")).await;
    let sessions: Vec<_> = (0..20).map(|n| format!("slow/{n}")).collect();
    let send = async |session: &str| {
        let message = NewMessage { pool: "west".parse().unwrap(), ..fleet.message(session, "x") };
        fleet.store.send(&message).await.unwrap();
    };
    for session in &sessions {
        send(session).await;
        fleet.until(MINUTE, async || fleet.sight(session).await.record.turns == 1).await;
    }
    west.drain().await;
    // The agent moved, and so it is another pool that is known for it.
    let _east = fleet.worker_with("east", of("east")).await;
    let config = of("west")(WorkerConfig::named("west".parse().unwrap()));
    let home = Home::In("east".parse().unwrap());
    let _west = fleet.start(fleet.store.clone(), config, home).await.unwrap();
    for session in &sessions {
        send(session).await;
    }
    for session in &sessions {
        fleet.until(MINUTE, async || fleet.sight(session).await.record.turns == 2).await;
    }
}

/// Takes twenty seconds for each turn.
struct Patient;

impl Agent for Patient {
    type State = ();

    async fn turn(&self, cx: &mut Turn<()>, message: Message) -> Result<Reply, AgentError> {
        cx.sleep(Duration::from_secs(20)).await;
        Ok(Reply::body(message.body))
    }
}

async fn patient_worker(fleet: &Fleet, name: &str) -> WorkerHandle {
    let config = WorkerConfig::named(name.parse().unwrap());
    let builder = Worker::builder(fleet.store.clone()).env(fleet.env.fork()).config(config);
    builder.agent("patient", Patient).agent("slow", Slow).start().await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_duties_of_a_worker_that_drains_are_taken_while_its_last_turns_run() {
    let fleet = Fleet::new(3);
    let first = patient_worker(&fleet, "first").await;
    fleet.send("patient/a", "x").await;
    fleet.until(MINUTE, async || first.load().running == 1).await;
    let second = patient_worker(&fleet, "second").await;
    let holders = |id| {
        let partitions = fleet.store.snapshot().partitions;
        partitions.values().filter(|held| held.duty.as_ref().is_some_and(|duty| duty.holder == id)).count()
    };
    fleet.until(MINUTE, async || holders(second.id()) == 32).await;
    let taken = fleet.until(MINUTE, async || holders(first.id()) == 32);
    taken.await;
    let drained = async {
        first.drain().await;
        fleet.env.now()
    };
    let taken = async {
        fleet.until(MINUTE, async || holders(second.id()) == 64).await;
        fleet.env.now()
    };
    let (drained, taken) = tokio::join!(drained, taken);
    assert!(taken.plus(Duration::from_secs(5)) < drained, "{taken:?} {drained:?}");
}

#[tokio::test(start_paused = true)]
async fn no_duty_is_without_a_holder_while_workers_come_and_take_their_share() {
    let fleet = Fleet::new(3);
    let _first = fleet.worker("first").await;
    let shares = || {
        let mut shares = BTreeMap::new();
        for held in fleet.store.snapshot().partitions.into_values() {
            *shares.entry(held.duty.expect("somebody has it").holder).or_insert(0) += 1;
        }
        shares.into_values().collect::<Vec<_>>()
    };
    fleet.until(MINUTE, async || fleet.store.snapshot().partitions.len() == 64).await;
    assert_eq!(shares(), [64]);
    // Their renewals come at other times than those of the first.
    fleet.env.sleep(Duration::from_secs(1)).await;
    let _second = fleet.worker("second").await;
    fleet.env.sleep(Duration::from_secs(1)).await;
    let _third = fleet.worker("third").await;
    let even = async || {
        let mut shares = shares();
        shares.sort_unstable();
        shares == [20, 22, 22]
    };
    fleet.until(MINUTE, even).await;
}

#[tokio::test(start_paused = true)]
async fn a_full_worker_makes_room_for_many_at_once() {
    let fleet = Fleet::new(4);
    let worker = fleet.worker_with("w", |config| WorkerConfig { capacity: 20, ..config }).await;
    for n in 0..20 {
        fleet.ask_text(&format!("count/{n}"), "x").await;
    }
    assert_eq!(worker.load().sessions, 20);
    for n in 20..40 {
        fleet.send(&format!("count/{n}"), "x").await;
    }
    let done = async || {
        for n in 20..40 {
            if fleet.sight(&format!("count/{n}")).await.record.turns == 0 {
                return false;
            }
        }
        true
    };
    let took = fleet.until(MINUTE, done).await;
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn those_who_are_long_gone_cost_upkeep_next_to_nothing() {
    let fleet = Fleet::new(40);
    const GONE: usize = 20;
    for _ in 0..GONE {
        fleet.worker("gone").await.drain().await;
    }
    let (_worker, cable) = flaky_worker(&fleet, "here").await;
    fleet.env.sleep(3 * MINUTE).await;
    let looks = cable.calls("held") / (GONE * usize::from(fleet.store.partitions().count()));
    assert!((1..=5).contains(&looks), "each was looked for {looks} times in three minutes");
}
