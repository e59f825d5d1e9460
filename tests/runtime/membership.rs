//! Who is in a fleet, who is no more, and what belongs to whom.

use std::time::Duration;

use tenure::{
    Home, StartError, Worker, WorkerHandle,
    agents::Echo,
    client::{Client, Outgoing},
    model::{Cause, Limits, Partition, Settings, WorkerConfig},
    store::MemoryStore,
};

use crate::{faults::flaky_worker, flaky::Flaky, fleet::Fleet};

const MINUTE: Duration = Duration::from_secs(60);
const LEASE: Duration = Duration::from_secs(10);

fn client(fleet: &Fleet) -> Client<MemoryStore> {
    Client::new(fleet.store.clone(), fleet.env.fork())
}

async fn in_pool(fleet: &Fleet, name: &str, pool: &str) -> WorkerHandle {
    fleet.worker_with(name, |config| WorkerConfig { pool: pool.parse().unwrap(), ..config }).await
}

async fn names(fleet: &Fleet) -> Vec<String> {
    let members = client(fleet).workers().await.unwrap();
    members.into_iter().map(|member| member.worker.name().to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn only_workers_are_members_however_many_clients_there_are() {
    let fleet = Fleet::new(1);
    for n in 0..20 {
        let client = client(&fleet);
        client.send(Outgoing::text(format!("echo/{n}").parse().unwrap(), "x")).await.unwrap();
        client.session(&format!("echo/{n}").parse().unwrap()).await.unwrap();
    }
    assert!(names(&fleet).await.is_empty());
    let _worker = fleet.worker("w").await;
    assert_eq!(names(&fleet).await, ["w"]);
}

#[tokio::test(start_paused = true)]
async fn a_fleet_and_its_pools_are_seen_from_anywhere() {
    let fleet = Fleet::new(2);
    let _eu = fleet.worker_of("a", "eu", Home::Found).await.unwrap();
    let _us = fleet.worker_of("b", "us", Home::Found).await.unwrap();
    let members = client(&fleet).workers().await.unwrap();
    let seen: Vec<_> = members
        .iter()
        .map(|member| (member.worker.name(), member.pool.as_str(), member.agents.len()))
        .collect();
    assert_eq!(seen, [("a", "eu", 4), ("b", "us", 4)]);
}

#[tokio::test(start_paused = true)]
async fn who_drains_leaves_the_list_at_once_and_who_is_cut_off_within_its_lease() {
    let fleet = Fleet::new(3);
    let (drained, _stays) = (fleet.worker("drained").await, fleet.worker("stays").await);
    let (_lost, cable) = flaky_worker(&fleet, "lost").await;
    fleet.env.sleep(LEASE).await;
    drained.drain().await;
    assert_eq!(names(&fleet).await, ["lost", "stays"]);
    cable.cut();
    let took = fleet.until(MINUTE, async || names(&fleet).await == ["stays"]).await;
    assert!(took <= LEASE, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn what_a_worker_did_is_told_with_its_membership() {
    let fleet = Fleet::new(4);
    let (dies, _lives) = (fleet.worker("dies").await, fleet.worker("lives").await);
    fleet.env.sleep(LEASE).await;
    for n in 0..20 {
        fleet.ask(&format!("count/{n}"), "x").await;
    }
    let (held, dead) = (dies.load().sessions as u64, dies.id());
    assert!(held > 0);
    dies.kill().await;
    fleet.env.sleep(2 * LEASE).await;
    fleet.ask("count/0", "y").await;
    fleet.env.sleep(LEASE).await;
    let members = client(&fleet).workers().await.unwrap();
    let tally = &members[0].tally;
    assert_eq!(tally.reaped, held, "all that the dead held, each once");
    assert_eq!(tally.buried.iter().map(|burial| &burial.worker).collect::<Vec<_>>(), [&dead]);
    assert!((1..=21).contains(&tally.turns), "{tally:?}");
}

#[tokio::test(start_paused = true)]
async fn a_request_at_the_wrong_pools_door_makes_no_second_session() {
    let fleet = Fleet::new(5);
    let before = in_pool(&fleet, "before", "gpu").await;
    let session = || "count/a".parse().unwrap();
    client(&fleet).ask(Outgoing::text(session(), "x"), MINUTE).await.unwrap();
    before.drain().await;
    // The agent is declared elsewhere now, and so whoever asks goes there first.
    let second = in_pool(&fleet, "second", "cpu").await;
    let first = fleet.worker_of("first", "gpu", Home::In("cpu".parse().unwrap())).await.unwrap();
    let answer = client(&fleet).ask(Outgoing::text(session(), "y"), MINUTE).await.unwrap();
    assert_eq!(answer.reply.unwrap().as_text().as_deref(), Some("2"), "one session, with its state");
    let record = fleet.sight("count/a").await.record;
    assert_eq!((record.pool.as_str(), record.owner.unwrap().worker), ("gpu", first.id()));
    let sessions: usize = fleet.store.snapshot().partitions.values().map(|one| one.sessions.len()).sum();
    assert_eq!((sessions, second.load().sessions), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_moved_is_served_in_both_pools_and_its_workers_share_none_of_its_sessions() {
    let fleet = Fleet::new(6);
    let gpu = in_pool(&fleet, "gpu", "gpu").await;
    for n in 0..10 {
        fleet.ask(&format!("count/{n}"), "x").await;
    }
    gpu.drain().await;
    let cpu = in_pool(&fleet, "cpu", "cpu").await;
    let gpu = fleet.worker_of("gpu", "gpu", Home::In("cpu".parse().unwrap())).await.unwrap();
    for n in 0..20 {
        client(&fleet).ask(Outgoing::text(format!("count/{n}").parse().unwrap(), "y"), MINUTE).await.unwrap();
    }
    for n in 0..20 {
        let (pool, turns, owner) = if n < 10 { ("gpu", 2, gpu.id()) } else { ("cpu", 1, cpu.id()) };
        let record = fleet.sight(&format!("count/{n}")).await.record;
        let found = (record.pool.as_str(), record.turns, record.owner.unwrap().worker);
        assert_eq!(found, (pool, turns, owner), "count/{n}: new ones belong to its home");
    }
    gpu.drain().await;
    client(&fleet).send(Outgoing::text("count/0".parse().unwrap(), "z")).await.unwrap();
    fleet.env.sleep(MINUTE).await;
    let view = client(&fleet).session(&"count/0".parse().unwrap()).await.unwrap();
    assert_eq!(
        (view.turns, view.cause),
        (2, Some(Cause::OtherPool)),
        "its pool is empty, and stays its pool"
    );
    let reason = view.reason.unwrap();
    assert!(reason.contains("served in pool cpu") && reason.contains("belongs to pool gpu"), "{reason}");
    cpu.drain().await;
    let view = client(&fleet).session(&"count/0".parse().unwrap()).await.unwrap();
    let reason = view.reason.unwrap();
    assert!(view.cause == Some(Cause::NoWorker) && reason.ends_with("in pool gpu"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn a_worker_with_other_limits_or_partitions_does_not_start_and_says_which() {
    let fleet = Fleet::new(7);
    let _worker = fleet.worker("w").await;
    let start = async |settings| {
        let builder = Worker::builder(fleet.store.clone()).env(fleet.env.fork()).settings(settings);
        builder.agent("echo", Echo).start().await.err().map(|err| match err {
            StartError::SettingsDiffer(which) => which,
            other => panic!("{other}"),
        })
    };
    let ours = Settings::default();
    assert_eq!(start(ours.clone()).await, None);
    let other = Settings { limits: Limits { inbox: 10, ..ours.limits }, ..ours.clone() };
    assert_eq!(start(other).await.unwrap(), ["inbox limit: 1000, not 10"]);
    let other = Settings { partitions: 128, limits: Limits { body: 1, ..ours.limits }, ..ours };
    assert_eq!(start(other).await.unwrap(), ["partitions: 64, not 128", "body limit: 1048576, not 1"]);
    assert_eq!(names(&fleet).await.len(), 2, "whoever did not start is no member");
}

#[tokio::test(start_paused = true)]
async fn a_restarted_worker_of_the_same_name_is_another_and_inherits_nothing() {
    let fleet = Fleet::new(8);
    let first = fleet.worker("w").await;
    let old = first.id();
    for n in 0..10 {
        fleet.ask(&format!("count/{n}"), "x").await;
    }
    first.kill().await;
    let second = fleet.worker("w").await;
    assert!(second.id() != old && second.id().name() == old.name());
    assert_eq!(second.load().sessions, 0, "what was the other's is not taken over by name");
    for n in 0..10 {
        let record = fleet.sight(&format!("count/{n}")).await.record;
        assert_eq!(record.owner.unwrap().worker, old, "until it is reaped");
    }
    let reaped = async || {
        for n in 0..10 {
            if fleet.sight(&format!("count/{n}")).await.record.owner.is_some() {
                return false;
            }
        }
        true
    };
    let took = fleet.until(MINUTE, reaped).await;
    assert!(took <= LEASE + Duration::from_secs(2), "{took:?}");
    let epoch = fleet.sight("count/0").await.record.epoch;
    assert_eq!(fleet.ask_text("count/0", "y").await, "2");
    let record = fleet.sight("count/0").await.record;
    assert_eq!(record.owner.unwrap().worker, second.id());
    assert!(
        record.epoch > epoch && record.crashes.is_empty(),
        "a claim of its own, and no crash: it was idle"
    );
    let members = client(&fleet).workers().await.unwrap();
    assert_eq!(members.iter().map(|member| &member.worker).collect::<Vec<_>>(), [&second.id()]);
}

#[tokio::test(start_paused = true)]
async fn a_worker_stays_on_the_list_while_one_of_several_servers_is_silent() {
    let fleet = Fleet::new(7);
    let (store, cable) = Flaky::new(fleet.store.clone(), fleet.env.fork());
    let config = WorkerConfig::named("w".parse().unwrap());
    let lease = config.lease.ttl();
    let _worker = fleet.start(store, config, Home::Own).await.unwrap();
    cable.silence(Partition(3));
    // It neither answers nor breaks off while a renewal may last.
    cable.give_up_after(lease);
    for _ in 0..30 {
        fleet.env.sleep(lease / 5).await;
        assert_eq!(names(&fleet).await, ["w"]);
    }
}
