//! `tenure bench turns`.

use std::{
    fmt,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use serde::Serialize;
use tenure::{
    Env,
    model::{Body, Durability, Namespace, ReplyTo},
    store::Store,
};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{
    figures::{Figures, Measured},
    fleet::Fleet,
    load::{Lists, Load, Plan},
    raw::Raw,
    server::Server,
};
use crate::{
    connect,
    failure::{Exit, Failure},
    forget,
    global::Global,
    output,
    table::table,
};

/// Measure turns: messages sent, run by workers, and answered
///
/// Starts workers of its own in a namespace of its own, sends by the direct door with a fixed
/// number of messages in flight, and deletes everything at the end. `server` and `worker` are CPU
/// time per turn; the server's includes the benchmark's own sends and reads.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// How many sessions the messages go to, in turn
    #[arg(long, default_value_t = 256, value_name = "NUMBER")]
    sessions: usize,
    /// How long each message is, in bytes of text
    #[arg(long, default_value_t = 100, value_name = "BYTES")]
    payload: usize,
    /// How many messages are under way at any time
    #[arg(long, default_value_t = 64, value_name = "NUMBER")]
    in_flight: usize,
    /// How many messages are measured
    #[arg(long, default_value_t = 20_000, value_name = "NUMBER")]
    messages: usize,
    /// How many worker processes there are
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    workers: usize,
    /// What has a turn before it counts: memory, replicas:N, fsync, fsync+replicas:N
    #[arg(long, default_value = "memory", value_name = "CLASS")]
    durability: Durability,
    /// Also run the same scripts (`send`, then `commit`) without a worker, and compare
    #[arg(long)]
    raw: bool,
}

const EXAMPLES: &str = "\
Examples:
  tenure bench turns
  tenure bench turns --in-flight 1 --messages 5000
  tenure bench turns --raw --json";

/// How the progress of a measurement looks.
const BAR: &str = "{msg:5} [{bar:40}] {human_pos} of {human_len}, {rate}/s, {eta} left";

/// Between two looks at it.
const STEP: Duration = Duration::from_millis(100);

/// How many a second, without a fraction.
fn whole_rate(state: &ProgressState, to: &mut dyn fmt::Write) {
    // What cannot be written is not shown.
    let _ = write!(to, "{:.0}", state.per_sec());
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report {
    bench: &'static str,
    sessions: usize,
    payload: usize,
    in_flight: usize,
    messages: usize,
    workers: usize,
    class: Durability,
    #[serde(flatten)]
    turns: Figures,
    #[serde(skip_serializing_if = "Option::is_none")]
    raw: Option<Figures>,
    /// Turns a second over those of `raw`.
    #[serde(skip_serializing_if = "Option::is_none")]
    ratio: Option<f64>,
}

pub(crate) async fn run(args: Args, global: &Global) -> Result<(), Failure> {
    let (turns, raw) = measured(&args, global).await?;
    args.print(turns, raw, global.json)
}

/// The figures of one run, with workers and, if asked for, without.
pub(super) async fn measured(args: &Args, global: &Global) -> Result<(Figures, Option<Figures>), Failure> {
    args.check()?;
    let env = Env::system();
    let namespace: Namespace = format!("bench-{:08x}", env.random_u32()).parse().expect("a short word");
    let list: ReplyTo = format!("reply:{namespace}").parse().expect("not one of ours");
    let global = Global { namespace, ..global.clone() };
    Server::connect(&global).await?;
    let measured = measure(args, &global, &env, &list, Interrupt::listen()?).await;
    forget::namespace(&global, &[list.to_string()]).await?;
    measured
}

/// Turns a second with workers over those without.
pub(super) fn ratio(turns: &Figures, raw: &Figures) -> f64 {
    (turns.turns_per_second / raw.turns_per_second * 1e3).round() / 1e3
}

impl Args {
    /// One worker, beside the same without one.
    pub(super) fn of_class(class: Durability, in_flight: usize, messages: usize, payload: usize) -> Self {
        Self { sessions: 256, payload, in_flight, messages, workers: 1, durability: class, raw: true }
    }

    fn check(&self) -> Result<(), Failure> {
        let counts = [
            (self.sessions, "--sessions"),
            (self.in_flight, "--in-flight"),
            (self.messages, "--messages"),
            (self.workers, "--workers"),
        ];
        match counts.into_iter().find(|(count, _)| *count == 0) {
            Some((_, option)) => Err(Failure::new(Exit::Usage, format!("{option}: at least 1"))),
            None => Ok(()),
        }
    }

    /// What its workers are told.
    fn options(&self) -> [String; 2] {
        ["--durability".to_owned(), self.durability.to_string()]
    }

    /// Messages to the sessions of `agent`.
    fn plan(&self, agent: &str) -> Plan {
        let session = |n| format!("{agent}/{n}").parse().expect("a session's id");
        Plan {
            sessions: (0..self.sessions).map(session).collect(),
            body: Body::text(&"x".repeat(self.payload)),
            in_flight: self.in_flight,
            messages: self.messages,
            class: self.durability,
        }
    }

    fn print(self, turns: Figures, raw: Option<Figures>, json: bool) -> Result<(), Failure> {
        let Self { sessions, payload, in_flight, messages, workers, durability: class, .. } = self;
        let ratio = raw.as_ref().map(|raw| ratio(&turns, raw));
        if json {
            let bench = "turns";
            return output::json(&Report {
                bench,
                sessions,
                payload,
                in_flight,
                messages,
                workers,
                class,
                turns,
                raw,
                ratio,
            });
        }
        let mut rows = vec![row("turns", &turns)];
        rows.extend(raw.as_ref().map(|raw| row("raw", raw)));
        table(["", "TURNS/S", "P50", "P99", "SERVER/TURN", "WORKER/TURN"], &rows)?;
        match ratio {
            Some(ratio) => output::line(format!("ratio  {ratio}")),
            None => Ok(()),
        }
    }
}

fn row(name: &str, figures: &Figures) -> [String; 6] {
    let worker = figures.worker_us_per_turn.map(|cpu| format!("{cpu} µs"));
    [
        name.to_owned(),
        format!("{:.0}", figures.turns_per_second),
        format!("{} ms", figures.p50_ms),
        format!("{} ms", figures.p99_ms),
        format!("{} µs", figures.server_us_per_turn),
        output::or_dash(worker),
    ]
}

async fn measure(
    args: &Args,
    global: &Global,
    env: &Env,
    list: &ReplyTo,
    mut interrupt: Interrupt,
) -> Result<(Figures, Option<Figures>), Failure> {
    let fleet = interrupt.or(Fleet::start_with(args.workers, &args.options(), global)).await?;
    let store = connect::store(global).await?;
    let (mut meter, mut replies) = (Server::connect(global).await?, Server::connect(global).await?);

    let turns = with_workers(args, &store, env, list, &fleet, &mut meter, &mut replies);
    let turns = interrupt.or(turns).await;
    // Whatever came of it: what still writes cannot be tidied up after.
    fleet.end().await?;
    let turns = turns?;
    let raw = match args.raw {
        true => Some(interrupt.or(without_workers(args, &store, env, &mut meter)).await?),
        false => None,
    };
    Ok((turns, raw))
}

/// Ctrl-C or SIGTERM: it ends the measuring, not the tidying up.
pub(super) struct Interrupt {
    interrupted: Signal,
    terminated: Signal,
}

impl Interrupt {
    pub(super) fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupted: signal(SignalKind::interrupt())?,
            terminated: signal(SignalKind::terminate())?,
        })
    }

    /// What `work` comes to, if it is not interrupted.
    pub(super) async fn or<T>(
        &mut self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        tokio::select! {
            biased;
            _ = self.interrupted.recv() => Err(interrupted()),
            _ = self.terminated.recv() => Err(interrupted()),
            done = work => done,
        }
    }
}

fn interrupted() -> Failure {
    Failure::new(
        Exit::Failed,
        "interrupted: nothing was measured; run it again, perhaps with less to do (--help)",
    )
}

async fn with_workers<S: Store>(
    args: &Args,
    store: &S,
    env: &Env,
    list: &ReplyTo,
    fleet: &Fleet,
    meter: &mut Server,
    replies: &mut Server,
) -> Result<Figures, Failure> {
    let (load, plan) = (Load::new(store, env, Lists::One(list.clone())), args.plan("echo"));
    tokio::select! {
        biased;
        failed = load.hand_out(replies, list) => match failed { Err(failure) => Err(failure) },
        figures = measure_load(&load, &plan, env, fleet, meter) => figures,
    }
}

pub(super) async fn measure_load<S: Store>(
    load: &Load<'_, S>,
    plan: &Plan,
    env: &Env,
    fleet: &Fleet,
    meter: &mut Server,
) -> Result<Figures, Failure> {
    // First every session gets its owner.
    let once = Plan { messages: plan.sessions.len(), ..plan.clone() };
    load.run(&once, &AtomicUsize::new(0)).await?;

    let done = AtomicUsize::new(0);
    let (server, workers, began) = (meter.cpu().await?, fleet.cpu(), env.now());
    let latencies = shown(env, "turns", &done, plan.messages, load.run(plan, &done)).await?;
    let elapsed = env.now().since(began);
    Ok(Figures::of(Measured {
        elapsed,
        latencies,
        server: meter.cpu().await?.saturating_sub(server),
        workers: Some(fleet.cpu().saturating_sub(workers)),
    }))
}

async fn without_workers<S: Store>(
    args: &Args,
    store: &S,
    env: &Env,
    meter: &mut Server,
) -> Result<Figures, Failure> {
    let plan = args.plan("raw");
    let mut raw = Raw::claim(store, env, &plan).await?;
    let done = AtomicUsize::new(0);
    let (server, began) = (meter.cpu().await?, env.now());
    let latencies = shown(env, "raw", &done, plan.messages, raw.run(&plan, &done)).await?;
    let elapsed = env.now().since(began);
    let server = meter.cpu().await?.saturating_sub(server);
    Ok(Figures::of(Measured { elapsed, latencies, server, workers: None }))
}

/// Runs `work`, and shows a person how far it is.
pub(super) async fn shown<T>(
    env: &Env,
    what: &str,
    done: &AtomicUsize,
    all: usize,
    work: impl Future<Output = T>,
) -> T {
    let style = ProgressStyle::with_template(BAR).expect("a good template").with_key("rate", whole_rate);
    // It draws on stderr, and nothing where that is no terminal.
    let bar = ProgressBar::new(all as u64).with_style(style).with_message(what.to_owned());
    let progress = async {
        loop {
            env.sleep(STEP).await;
            bar.set_position(done.load(Ordering::Relaxed) as u64);
        }
    };
    let result = tokio::select! {
        biased;
        result = work => result,
        () = progress => unreachable!("it shows progress for ever"),
    };
    bar.finish_and_clear();
    result
}
