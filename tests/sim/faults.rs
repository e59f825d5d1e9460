//! Each fault by plan: what it does, and that the fleet comes through.

use std::time::Duration;

use tenure::{
    model::{WorkerConfig, WorkerId},
    sim::{Cut, Fault, Faults, Planned, Rates, Reach, Report, SimClient, Simulation, TICK_TIME, Workload},
    store::Store,
};

use crate::fleet::{Count, assert_ok, counters};

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn planned(seed: u64, faults: &[(u64, Fault)]) -> Report {
    let plan = faults.iter().map(|(at, fault)| Planned::at(secs(*at), *fault)).collect();
    let report = counters(seed).faults(Faults::Plan(plan)).run();
    assert_ok(&report);
    report
}

#[test]
fn a_worker_that_is_killed_and_started_again_loses_nothing() {
    for seed in 1..=10 {
        let report = planned(seed, &[(1, Fault::Stop { worker: 0 }), (2, Fault::Start { worker: 0 })]);
        assert_eq!((report.faults["stop"], report.faults["start"]), (1, 1));
    }
}

#[test]
fn a_worker_that_is_cut_off_or_stands_still_longer_than_its_lease_loses_nothing() {
    for seed in 1..=10 {
        for how in [Cut::Drop, Cut::Defer] {
            planned(seed, &[(1, Fault::Partition { worker: 1, how }), (8, Fault::Heal { worker: 1 })]);
        }
        planned(seed, &[(1, Fault::Pause { worker: 1, lasting: secs(7) })]);
    }
}

/// The incarnation of this name.
async fn incarnation(client: &SimClient, name: &str) -> WorkerId {
    let members = client.client().store().members().await.unwrap();
    members.into_iter().map(|member| member.worker).find(|worker| worker.as_str().starts_with(name)).unwrap()
}

#[test]
fn a_worker_whose_lifeline_broke_comes_back_as_another_incarnation() {
    for seed in 1..=5 {
        let watched = |worker, config: WorkerConfig| WorkerConfig {
            // The only one that can be taken for dead is the one whose lifeline breaks.
            lifeline: if worker == 1 { secs(3600) } else { Duration::from_millis(50) },
            ..config
        };
        let workload = Workload::none().client(|client| async move {
            client.env().sleep(secs(3)).await;
            let before = incarnation(&client, "w1-").await;
            client.env().sleep(secs(9)).await;
            assert_ne!(incarnation(&client, "w1-").await, before);
        });
        let fault = Fault::BreakLifeline { worker: 1, lasting: secs(1) };
        let plan = Faults::Plan(vec![Planned::at(secs(5), fault)]);
        let broken = Simulation::new(seed).agent("count", Count).configure(watched).workload(workload);
        assert_ok(&broken.faults(plan).run());
    }
}

#[test]
fn a_server_that_restarts_fills_up_or_waits_for_its_disk_loses_nothing() {
    for seed in 1..=10 {
        let lasting = secs(3);
        let by = Duration::from_millis(300);
        planned(
            seed,
            &[(1, Fault::RestartServer), (2, Fault::FillMemory { lasting }), (6, Fault::RestartServer)],
        );
        planned(seed, &[(1, Fault::SlowFsync { by, lasting })]);
    }
}

#[test]
fn a_server_clock_that_is_set_ends_no_lease_early() {
    for seed in 1..=10 {
        planned(seed, &[(2, Fault::SetServerClock { by_ms: 3_600_000 })]);
        planned(seed, &[(2, Fault::SetServerClock { by_ms: -3_600_000 })]);
    }
}

#[test]
fn after_a_failover_that_lost_writes_each_message_still_ends_once_at_most() {
    let mut lost = 0;
    for seed in 1..=10 {
        let report = planned(seed, &[(2, Fault::CutReplica), (3, Fault::Failover)]);
        lost += report.faults["failover"];
    }
    assert_eq!(lost, 10);
}

#[test]
fn faults_that_the_seed_draws_are_all_there_within_a_few_seeds() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 1..=40 {
        let report = counters(seed).run();
        seen.extend(report.faults.into_keys());
    }
    for fault in [
        "call_lost",
        "reply_lost",
        "delay",
        "slow_reply",
        "hint_lost",
        "stop",
        "start",
        "drain",
        "partition",
        "heal",
        "pause",
        "server_restart",
        "memory_full",
        "slow_fsync",
    ] {
        assert!(seen.contains(fault), "{fault} in {seen:?}");
    }
}

#[test]
fn a_worker_that_is_gone_is_seen_as_down_after_the_tick_time_and_not_before() {
    let look = Workload::none().client(async |client| {
        client.env().sleep(secs(2)).await;
        assert_eq!(client.members(TICK_TIME), [Reach::Up, Reach::Up]);
        client.env().sleep(secs(16)).await;
        assert_eq!(client.members(TICK_TIME), [Reach::Down, Reach::Up]);
        assert_eq!(client.members(secs(60)), [Reach::Up, Reach::Up]);
    });
    let stop =
        [Planned::at(secs(1), Fault::Stop { worker: 0 }), Planned::at(secs(30), Fault::Start { worker: 0 })];
    let simulation = Simulation::new(1).workers(2).agent("count", Count).workload(look);
    assert_ok(&simulation.faults(Faults::Plan(stop.to_vec())).run());
}

#[test]
fn what_a_client_asserts_is_a_failure_of_the_run() {
    let wrong = Workload::none().client(async |_| panic!("as planned"));
    let report = Simulation::new(1).agent("count", Count).workload(wrong).run();
    let failure = report.failure.expect("a failure");
    assert!(failure.sentence.contains("as planned"), "{failure}");
}

#[test]
fn harsher_rates_find_nothing_either() {
    let rates = Rates { failovers: 1, clocks: 2, ..Rates::rough() };
    for seed in 1..=50 {
        assert_ok(&counters(seed).faults(Faults::Rates(rates.clone())).run());
    }
}
