//! `tenure bench cluster`.

mod cost;
mod place;
mod report;

use std::{path::PathBuf, sync::atomic::AtomicUsize};

use futures_util::future::try_join_all;
use tenure::{
    Env,
    model::{Body, Durability},
    store::Store,
};

use self::{
    cost::{Cost, Spent},
    place::Place,
    report::Row,
};
use super::{
    durability::median,
    failover,
    figures::to_thousandths,
    fleet::Fleet,
    load::{Load, Plan},
    report_file::expect_writable,
    server::Server,
    turns::{Interrupt, shown},
};
use crate::{
    connect,
    failure::{Exit, Failure},
    global::Global,
    output,
    table::table,
};

/// Measure what a turn costs on a cluster, beside the same on one master
///
/// Starts a server by itself, a cluster of one master, and one of several, without replicas and all of its own, none of
/// which keeps anything, and measures on each, one after the other, what `tenure bench turns` measures. Each figure is
/// the median of rounds. The costs are processor time for each turn: of all servers, of the worker, and of the
/// benchmark, which sends and reads replies. A bar says that their sum must not grow by more than 15 % from one
/// master to several, neither from a cluster of one nor from a server by itself. How much a number in flight is for each master
/// counts as well: three masters with 192 have what one has with 64.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// How many masters the cluster has
    #[arg(long, default_value_t = 3, value_name = "NUMBER")]
    masters: usize,
    /// How many messages are under way at any time
    #[arg(long, value_delimiter = ',', default_value = "64,192,256", value_name = "NUMBER")]
    in_flight: Vec<usize>,
    /// How many sessions the messages go to, in turn
    #[arg(long, default_value_t = 256, value_name = "NUMBER")]
    sessions: usize,
    /// How long each message is, in bytes of text
    #[arg(long, default_value_t = 100, value_name = "BYTES")]
    payload: usize,
    /// How many messages are measured, in each round
    #[arg(long, default_value_t = 100_000, value_name = "NUMBER")]
    messages: usize,
    /// How many rounds there are
    #[arg(long, default_value_t = 5, value_name = "NUMBER")]
    rounds: usize,
    /// The program of a server
    #[arg(long, env = "TENURE_BENCH_SERVER", default_value = "redis-server", value_name = "PROGRAM")]
    redis_server: PathBuf,
    /// Write the table to this file, in Markdown
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  tenure bench cluster
  tenure bench cluster --in-flight 256 --messages 300000 --report figures.md
  tenure bench cluster --json | jq '.ratio, .ratio_to_server'";

/// By how much a turn may cost more on several masters than on one.
const BAR: f64 = 1.15;

/// The same in both places.
const WORKER: [&str; 2] = ["--durability", "memory"];

pub(crate) async fn run(args: Args, global: &Global) -> Result<(), Failure> {
    args.check()?;
    expect_writable(args.report.as_ref())?;
    let before = failover::load_average();
    let (mut interrupt, env) = (Interrupt::listen()?, Env::system());
    let rows = interrupt.or(args.rows(global, &env)).await?;
    if let Some(file) = &args.report {
        report::write(&rows, &failover::setting(&before), file)?;
    }
    match global.json {
        true => rows.iter().try_for_each(output::json),
        false => table(report::HEADER, &rows.iter().flat_map(Row::lines).collect::<Vec<_>>()),
    }
}

impl Args {
    fn check(&self) -> Result<(), Failure> {
        let least = [self.masters, self.sessions, self.messages, self.rounds];
        if least.contains(&0) || self.in_flight.contains(&0) {
            let line = "--masters, --in-flight, --sessions, --messages, --rounds: at least 1";
            return Err(Failure::new(Exit::Usage, line));
        }
        Ok(())
    }

    async fn rows(&self, global: &Global, env: &Env) -> Result<Vec<Row>, Failure> {
        let places = [
            Place::server(&self.redis_server, env).await?,
            Place::cluster(&self.redis_server, 1, env).await?,
            Place::cluster(&self.redis_server, self.masters, env).await?,
        ];
        let mut rows = Vec::new();
        for in_flight in &self.in_flight {
            rows.push(self.row(*in_flight, &places, global, env).await?);
        }
        Ok(rows)
    }

    /// The medians of all rounds.
    async fn row(
        &self,
        in_flight: usize,
        places: &[Place; 3],
        global: &Global,
        env: &Env,
    ) -> Result<Row, Failure> {
        let mut costs = [const { Vec::new() }; 3];
        for round in 0..self.rounds {
            // Whoever comes later finds the machine warmer: each does as often.
            for nth in 0..places.len() {
                let nth = (round + nth) % places.len();
                costs[nth].push(self.measure(in_flight, &places[nth], global, env).await?);
            }
        }
        let [server, one, cluster] = costs;
        let (ratio, ratio_to_server) = (median_ratio(&cluster, &one), median_ratio(&cluster, &server));
        Ok(Row {
            bench: "cluster",
            masters: self.masters,
            in_flight,
            messages: self.messages,
            rounds: self.rounds,
            server: Cost::medians(&server),
            one: Cost::medians(&one),
            cluster: Cost::medians(&cluster),
            ratio,
            bar: BAR,
            ok: ratio.max(ratio_to_server) <= BAR,
            ratio_to_server,
        })
    }

    /// One run, in a place that has nothing before and after it.
    async fn measure(
        &self,
        in_flight: usize,
        place: &Place,
        global: &Global,
        env: &Env,
    ) -> Result<Cost, Failure> {
        let global = Global { redis: place.url.clone(), redis_url_file: None, ..global.clone() };
        let fleet = Fleet::start_with(1, &WORKER, &global).await?;
        let store = connect::store(&global).await?;
        let (lists, mut replies) = place.lists(store.partitions(), &global).await?;
        let mut meters = place.meters(&global).await?;
        let (load, plan) = (Load::new(&store, env, lists), self.plan(in_flight));
        let hand_out = try_join_all(replies.iter_mut().map(|(list, server)| load.hand_out(server, list)));
        let cost = tokio::select! {
            biased;
            failed = hand_out => Err(failed.expect_err("no list is read to its end")),
            cost = measured(&load, &plan, env, &fleet, &mut meters) => cost,
        };
        fleet.end().await?;
        place.forget().await?;
        cost
    }

    fn plan(&self, in_flight: usize) -> Plan {
        let session = |n| format!("echo/{n}").parse().expect("a session's id");
        Plan {
            sessions: (0..self.sessions).map(session).collect(),
            body: Body::text(&"x".repeat(self.payload)),
            in_flight,
            messages: self.messages,
            class: Durability::MEMORY,
        }
    }
}

/// By how much a turn costs more in one place than in another, round by round.
fn median_ratio(here: &[Cost], there: &[Cost]) -> f64 {
    to_thousandths(median(here.iter().zip(there).map(|(here, there)| here.us_per_turn / there.us_per_turn)))
}

async fn measured<S: Store>(
    load: &Load<'_, S>,
    plan: &Plan,
    env: &Env,
    fleet: &Fleet,
    meters: &mut [Server],
) -> Result<Cost, Failure> {
    // First every session gets its owner.
    let once = Plan { messages: plan.sessions.len(), ..plan.clone() };
    load.run(&once, &AtomicUsize::new(0)).await?;

    let done = AtomicUsize::new(0);
    let (before, began) = (Spent::until_now(fleet, meters).await?, env.now());
    let latencies = shown(env, "turns", &done, plan.messages, load.run(plan, &done)).await?;
    let elapsed = env.now().since(began);
    Ok(Spent::until_now(fleet, meters).await?.since(&before).cost_of(elapsed, latencies))
}
