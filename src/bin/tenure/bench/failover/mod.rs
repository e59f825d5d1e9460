//! `tenure bench failover`: what happens to sessions when a worker, or the server, goes away.

mod alarms;
mod drain;
mod load;
mod outage;
pub(super) mod own_server;
mod proxy;
mod report;
mod rolling;
mod scene;
mod takeover;

use std::{fmt, fs, path::PathBuf, thread, time::Duration};

use clap::ValueEnum;
use serde::Serialize;

use self::{
    report::{Measured, Report},
    scene::Scene,
};
use super::{report_file::expect_writable, turns::Interrupt};
use crate::{
    failure::{Exit, Failure},
    global::Global,
    values,
};

/// Measure how long sessions wait when a worker goes away, or the server does
///
/// Each case starts workers in a namespace of its own, gives them sessions, lets something go away, and takes the time from
/// there until each session's turn runs again, or is answered. Bars say what each figure must not exceed.
///
/// Without --redis each case starts a server of its own, that keeps nothing; `restart`, `late` and `frozen` always do.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// What goes away, and how
    #[arg(long, value_enum, default_value = "kill")]
    case: Case,
    /// How many sessions there are [default: 1000; 100 where the server goes away, and for alarms]
    #[arg(long, value_name = "NUMBER")]
    sessions: Option<usize>,
    /// How many other workers there are
    #[arg(long, default_value_t = 3, value_name = "NUMBER")]
    survivors: usize,
    /// The workers' lease
    #[arg(long, default_value = "10s", value_parser = values::duration, value_name = "TIME")]
    lease: Duration,
    /// How long turns of the load take, where there is one
    #[arg(long, default_value = "50ms", value_parser = values::duration, value_name = "TIME")]
    turn: Duration,
    /// How long alarms are provoked [default: 10m]; with `all`: these too
    #[arg(long = "for", value_parser = values::duration, value_name = "TIME")]
    alarms_for: Option<Duration>,
    /// Write the table to this file, in Markdown
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// The program of a server, where one is started
    #[arg(long, default_value = "redis-server", value_name = "PROGRAM")]
    redis_server: PathBuf,
}

const EXAMPLES: &str = "\
Examples:
  tenure bench failover
  tenure bench failover --sessions 20000
  tenure bench failover --case stop --json | jq '.bars'
  tenure bench failover --case alarms --for 2m
  tenure bench failover --case all --report figures.md";

/// What goes away, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Case {
    /// A worker: `kill -9`
    Kill,
    /// A worker: SIGSTOP, and SIGCONT in the end
    Stop,
    /// A worker's network, by a proxy that holds everything
    Cut,
    /// A worker: SIGTERM, while its sessions are being used
    Drain,
    /// All workers, one by one: SIGTERM under load, and another in its place
    Rolling,
    /// All workers: `kill -9`; others are started after their lease
    Fleet,
    /// The same, and others are started at once
    FleetNow,
    /// The server, with an append-only file: `kill -9`, and started a second later
    Restart,
    /// The same, and started when the workers' leases are over
    Late,
    /// The server: SIGSTOP for longer than a lease
    Frozen,
    /// Nothing: live workers stand still for 300 ms each, on busy processors
    Alarms,
    /// Each of these, kill with 20,000 sessions too; alarms only with --for
    All,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.to_possible_value().expect("none is skipped").get_name())
    }
}

impl Case {
    fn sessions(self) -> usize {
        match self {
            Self::Restart | Self::Late | Self::Frozen | Self::Alarms => 100,
            _ => 1_000,
        }
    }

    fn breaks_the_server(self) -> bool {
        matches!(self, Self::Restart | Self::Late | Self::Frozen)
    }
}

/// What `all` measures, with how many sessions.
const ALL: [(Case, usize); 11] = [
    (Case::Kill, 1_000),
    (Case::Kill, 20_000),
    (Case::Stop, 1_000),
    (Case::Cut, 1_000),
    (Case::Restart, 100),
    (Case::Drain, 1_000),
    (Case::Rolling, 1_000),
    (Case::Fleet, 1_000),
    (Case::FleetNow, 1_000),
    (Case::Frozen, 100),
    (Case::Late, 100),
];

/// How long alarms are provoked, if nothing else is asked for.
const ALARMS_FOR: Duration = Duration::from_secs(600);

pub(crate) async fn run(args: Args, global: &Global) -> Result<(), Failure> {
    if args.sessions == Some(0) || args.survivors == 0 {
        return Err(Failure::new(Exit::Usage, "--sessions and --survivors: at least 1"));
    }
    expect_writable(args.report.as_ref())?;
    let (mut interrupt, before) = (Interrupt::listen()?, load_average());
    let mut reports = Vec::new();
    for (case, sessions) in args.cases() {
        if !global.json {
            eprintln!("{case}: {sessions} sessions");
        }
        reports.push(args.measure(case, sessions, &mut interrupt, global).await?);
    }
    if let Some(file) = &args.report {
        report::write(&reports, &setting(&before), file)?;
    }
    report::print(&reports, global.json)
}

impl Args {
    fn cases(&self) -> Vec<(Case, usize)> {
        let one = [(self.case, self.sessions.unwrap_or(self.case.sessions()))];
        let alarms = self.alarms_for.map(|_| (Case::Alarms, Case::Alarms.sessions()));
        match self.case {
            Case::All => ALL.into_iter().chain(alarms).collect(),
            _ => one.to_vec(),
        }
    }

    fn alarms_for(&self) -> Duration {
        self.alarms_for.unwrap_or(ALARMS_FOR)
    }

    async fn measure(
        &self,
        case: Case,
        sessions: usize,
        interrupt: &mut Interrupt,
        global: &Global,
    ) -> Result<Report, Failure> {
        let mut scene = Scene::open(self, case, sessions, global).await?;
        let measured = interrupt.or(measured(&mut scene)).await;
        scene.close().await?;
        Ok(Report::new(case, sessions, self.survivors, self.lease, measured?))
    }
}

async fn measured(scene: &mut Scene<'_>) -> Result<Measured, Failure> {
    match scene.case {
        Case::Kill => scene.kill().await,
        Case::Stop => scene.stop().await,
        Case::Cut => scene.cut().await,
        Case::Drain => scene.drain().await,
        Case::Rolling => scene.rolling().await,
        Case::Fleet | Case::FleetNow => scene.fleet().await,
        Case::Restart | Case::Late | Case::Frozen => scene.outage().await,
        Case::Alarms => scene.alarms().await,
        Case::All => unreachable!("it is taken apart before"),
    }
}

/// What figures depend on, in a line.
pub(super) fn setting(load_before: &str) -> String {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    format!(
        "tenure {}, {processors} processors, load average (1, 5, 15 minutes) {load_before} before and {} after.",
        env!("CARGO_PKG_VERSION"),
        load_average(),
    )
}

/// Where `/proc` tells.
pub(super) fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let average: Vec<_> = text.split(' ').take(3).collect();
    if average.len() == 3 { average.join(", ") } else { "unknown".to_owned() }
}
