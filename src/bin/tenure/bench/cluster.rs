//! `tenure bench cluster`.

use std::{
    fs,
    path::{Path, PathBuf},
    process,
    sync::atomic::AtomicUsize,
    time::Duration,
};

use serde::Serialize;
use tenure::{
    Env,
    model::{Body, Durability, ReplyTo},
    store::Store,
};

use super::{
    durability::median,
    failover::{
        self,
        own_server::{Keeps, OwnServer},
    },
    figures::{Figures, Measured, to_thousandths},
    fleet::{Fleet, cpu_of},
    load::{Load, Plan},
    own_cluster::OwnCluster,
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

/// Measure what a turn costs on a cluster, beside the same on one server
///
/// Starts one server and a cluster of masters without replicas, all of its own, none of which keeps anything, and
/// measures on both, one after the other, what `tenure bench turns` measures. Each figure is the median of
/// rounds. The costs are processor time for each turn: of all servers, of the worker, and of the benchmark, which
/// sends and reads replies. A bar says that their sum must not grow by more than 15 %.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// How many masters the cluster has
    #[arg(long, default_value_t = 3, value_name = "NUMBER")]
    masters: usize,
    /// How many messages are under way at any time
    #[arg(long, value_delimiter = ',', default_value = "64,256", value_name = "NUMBER")]
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
  tenure bench cluster --json | jq '.ratio'";

/// By how much a turn may cost more on a cluster.
const BAR: f64 = 1.15;

/// The same in both places.
const WORKER: [&str; 2] = ["--durability", "memory"];

/// What `--json` prints of each number in flight.
#[derive(Serialize)]
struct Row {
    bench: &'static str,
    masters: usize,
    in_flight: usize,
    messages: usize,
    rounds: usize,
    one: Cost,
    cluster: Cost,
    /// The cost of a turn on the cluster over that on one server, in the same round.
    ratio: f64,
    bar: f64,
    ok: bool,
}

/// What a turn costs in one place.
#[derive(Clone, Copy, Serialize)]
struct Cost {
    #[serde(flatten)]
    figures: Figures,
    /// Of the benchmark itself.
    client_us_per_turn: f64,
    /// Of all together.
    us_per_turn: f64,
    /// Of the master that had most to do, over its even share.
    busiest: f64,
}

/// Where turns are measured.
struct Place {
    url: String,
    servers: Vec<OwnServer>,
}

/// Processor time used so far.
struct Spent {
    /// Of each server.
    servers: Vec<Duration>,
    workers: Duration,
    client: Duration,
}

pub(crate) async fn run(args: Args, global: &Global) -> Result<(), Failure> {
    args.check()?;
    expect_writable(args.report.as_ref())?;
    let before = failover::load_average();
    let (mut interrupt, env) = (Interrupt::listen()?, Env::system());
    let rows = interrupt.or(args.rows(global, &env)).await?;
    if let Some(file) = &args.report {
        write(&rows, &failover::setting(&before), file)?;
    }
    match global.json {
        true => rows.iter().try_for_each(output::json),
        false => table(HEADER, &rows.iter().flat_map(Row::lines).collect::<Vec<_>>()),
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
        let one = Place::one(&self.redis_server, env).await?;
        let cluster = Place::cluster(&self.redis_server, self.masters, env).await?;
        let mut rows = Vec::new();
        for in_flight in &self.in_flight {
            rows.push(self.row(*in_flight, &one, &cluster, global, env).await?);
        }
        Ok(rows)
    }

    /// The medians of all rounds.
    async fn row(
        &self,
        in_flight: usize,
        one: &Place,
        cluster: &Place,
        global: &Global,
        env: &Env,
    ) -> Result<Row, Failure> {
        let (mut alone, mut shared) = (Vec::new(), Vec::new());
        for round in 0..self.rounds {
            // Whoever comes second finds the machine warmer: each does as often.
            let places = [(one, &mut alone), (cluster, &mut shared)];
            let places: Vec<_> = match round % 2 {
                0 => places.into_iter().collect(),
                _ => places.into_iter().rev().collect(),
            };
            for (place, costs) in places {
                costs.push(self.measure(in_flight, place, global, env).await?);
            }
        }
        let ratio = median(alone.iter().zip(&shared).map(|(one, all)| all.us_per_turn / one.us_per_turn));
        Ok(Row {
            bench: "cluster",
            masters: self.masters,
            in_flight,
            messages: self.messages,
            rounds: self.rounds,
            one: Cost::medians(&alone),
            cluster: Cost::medians(&shared),
            ratio: to_thousandths(ratio),
            bar: BAR,
            ok: ratio <= BAR,
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
        let list: ReplyTo = format!("reply:{:08x}", env.random_u32()).parse().expect("not one of ours");
        let fleet = Fleet::start_with(1, &WORKER, &global).await?;
        let store = connect::store(&global).await?;
        let mut replies = place.who_has(&list, &global).await?;
        let mut meters = place.meters(&global).await?;
        let (load, plan) = (Load::new(&store, env, &list), self.plan(in_flight));
        let cost = tokio::select! {
            biased;
            failed = load.hand_out(&mut replies) => match failed { Err(failure) => Err(failure) },
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

impl Place {
    async fn one(program: &Path, env: &Env) -> Result<Self, Failure> {
        let server = OwnServer::start(program, Keeps::Nothing, env).await?;
        Ok(Self { url: server.url(), servers: vec![server] })
    }

    async fn cluster(program: &Path, masters: usize, env: &Env) -> Result<Self, Failure> {
        let cluster = OwnCluster::start(program, masters, env).await?;
        Ok(Self { url: cluster.url(), servers: cluster.into_masters() })
    }

    /// A connection to the server that has this list: any other sends away who asks for it.
    async fn who_has(&self, list: &ReplyTo, global: &Global) -> Result<Server, Failure> {
        for server in &self.servers {
            if server.ask::<u64>(&["EXISTS", list.as_str()]).await.is_ok() {
                return Server::connect(&at(server, global)).await;
            }
        }
        Err(self.servers[0].unusable("no master has the replies"))
    }

    async fn meters(&self, global: &Global) -> Result<Vec<Server>, Failure> {
        let mut meters = Vec::new();
        for server in &self.servers {
            meters.push(Server::connect(&at(server, global)).await?);
        }
        Ok(meters)
    }

    async fn forget(&self) -> Result<(), Failure> {
        for server in &self.servers {
            let () = server.ask(&["FLUSHALL", "SYNC"]).await?;
        }
        Ok(())
    }
}

/// One server by itself.
fn at(server: &OwnServer, global: &Global) -> Global {
    Global { redis: server.url(), ..global.clone() }
}

impl Spent {
    async fn until_now(fleet: &Fleet, meters: &mut [Server]) -> Result<Self, Failure> {
        let mut servers = Vec::new();
        for meter in meters {
            servers.push(meter.cpu().await?);
        }
        let client = cpu_of(process::id()).unwrap_or_default();
        Ok(Self { servers, workers: fleet.cpu(), client })
    }

    fn since(self, before: &Self) -> Self {
        let each = self.servers.iter().zip(&before.servers);
        Self {
            servers: each.map(|(now, before)| now.saturating_sub(*before)).collect(),
            workers: self.workers.saturating_sub(before.workers),
            client: self.client.saturating_sub(before.client),
        }
    }

    fn cost_of(self, elapsed: Duration, latencies: Vec<Duration>) -> Cost {
        let server: Duration = self.servers.iter().sum();
        let per_turn = |cpu: Duration| cpu.as_secs_f64() * 1e6 / latencies.len().max(1) as f64;
        let busiest = self.servers.iter().max().copied().unwrap_or_default();
        let even = server.as_secs_f64() / self.servers.len() as f64;
        let client_us_per_turn = rounded(per_turn(self.client));
        let us_per_turn = rounded(per_turn(server + self.workers + self.client));
        let busiest = to_thousandths(busiest.as_secs_f64() / even.max(f64::MIN_POSITIVE));
        let figures = Figures::of(Measured { elapsed, latencies, server, workers: Some(self.workers) });
        Cost { figures, client_us_per_turn, us_per_turn, busiest }
    }
}

fn rounded(figure: f64) -> f64 {
    (figure * 10.0).round() / 10.0
}

impl Cost {
    fn medians(costs: &[Self]) -> Self {
        let of = |figure: fn(&Self) -> f64| to_thousandths(median(costs.iter().map(figure)));
        Self {
            figures: Figures::medians(&costs.iter().map(|cost| cost.figures).collect::<Vec<_>>()),
            client_us_per_turn: of(|cost| cost.client_us_per_turn),
            us_per_turn: of(|cost| cost.us_per_turn),
            busiest: of(|cost| cost.busiest),
        }
    }
}

const HEADER: [&str; 9] = [
    "IN FLIGHT",
    "MASTERS",
    "TURNS/S",
    "P99",
    "SERVERS/TURN",
    "WORKER/TURN",
    "CLIENT/TURN",
    "SUM/TURN",
    "RATIO",
];

impl Row {
    fn lines(&self) -> [[String; 9]; 2] {
        let missed = if self.ok { "" } else { "MISSED " };
        let ratio = format!("{missed}{}/{}", self.ratio, self.bar);
        [
            self.line(1, &self.one, output::or_dash(None::<String>)),
            self.line(self.masters, &self.cluster, ratio),
        ]
    }

    fn line(&self, masters: usize, cost: &Cost, ratio: String) -> [String; 9] {
        let time = |us: f64| format!("{us} µs");
        [
            self.in_flight.to_string(),
            masters.to_string(),
            format!("{:.0}", cost.figures.turns_per_second),
            format!("{} ms", cost.figures.p99_ms),
            time(cost.figures.server_us_per_turn),
            output::or_dash(cost.figures.worker_us_per_turn.map(time)),
            time(cost.client_us_per_turn),
            time(cost.us_per_turn),
            ratio,
        ]
    }
}

/// Writes the table in Markdown, under a line that says what it was measured on.
fn write(rows: &[Row], setting: &str, file: &Path) -> Result<(), Failure> {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut text = format!("{setting}\n\n");
    text += &line(&HEADER.map(str::to_lowercase));
    text += &line(&HEADER.map(|_| "---".to_owned()));
    rows.iter().flat_map(Row::lines).for_each(|cells| text += &line(&cells));
    Ok(fs::write(file, text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_costs_what_all_servers_the_worker_and_the_benchmark_used_for_it() {
        let ms = Duration::from_millis;
        let before = Spent { servers: vec![ms(10), ms(20)], workers: ms(5), client: ms(1) };
        let after = Spent { servers: vec![ms(13), ms(21)], workers: ms(7), client: ms(2) };
        let cost = after.since(&before).cost_of(ms(100), vec![ms(1); 100]);
        assert_eq!(cost.figures.server_us_per_turn, 40.0);
        assert_eq!(cost.figures.worker_us_per_turn, Some(20.0));
        assert_eq!((cost.client_us_per_turn, cost.us_per_turn), (10.0, 70.0));
        assert_eq!(cost.busiest, 1.5, "three of four milliseconds, where two would be even");
    }
}
