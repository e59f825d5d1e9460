//! `tenure bench failover`.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures_util::{StreamExt, stream};
use serde::Serialize;
use tenure::{
    Env, Moment,
    model::{Body, Namespace, NewMessage, Pool, ReplyTo, SessionId},
    store::{RedisStore, Sent, Store},
};

use super::{
    figures::{in_ms, percentile},
    fleet::{Fleet, Signal},
    server::Server,
    sleeper,
};
use crate::{
    connect,
    failure::{Exit, Failure},
    forget,
    global::Global,
    output,
    table::table,
    values,
};

/// Measure how long sessions wait when their worker goes away
///
/// Starts one worker in a namespace of its own and gives it all sessions, each in the middle of a turn; then starts the
/// others, lets the first one go away, and takes the time from there until each session's turn runs again.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// How the worker goes away
    #[arg(long, value_enum, default_value = "kill")]
    case: Case,
    /// How many sessions it has
    #[arg(long, default_value_t = 1_000, value_name = "NUMBER")]
    sessions: usize,
    /// How many other workers there are
    #[arg(long, default_value_t = 3, value_name = "NUMBER")]
    survivors: usize,
    /// The workers' lease
    #[arg(long, default_value = "10s", value_parser = values::duration, value_name = "TIME")]
    lease: Duration,
    /// How long turns take, where the worker drains
    #[arg(long, default_value = "200ms", value_parser = values::duration, value_name = "TIME")]
    turn: Duration,
}

const EXAMPLES: &str = "\
Examples:
  tenure bench failover
  tenure bench failover --sessions 20000
  tenure bench failover --case stop --json | jq '.max_ms'";

/// How a worker goes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum Case {
    /// `kill -9`
    Kill,
    /// SIGSTOP, and SIGCONT in the end
    Stop,
    /// SIGTERM
    Drain,
    /// `kill -9` of the only worker; the others are started after its lease
    Fleet,
}

/// Until workers know each other: they read the members once a second.
const ACQUAINTED: Duration = Duration::from_millis(2_500);

/// Longer than anything here may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Messages under way at once.
const SENDING: usize = 64;

/// What `--json` prints.
#[derive(Serialize)]
struct Report {
    bench: &'static str,
    case: Case,
    sessions: usize,
    survivors: usize,
    lease_ms: f64,
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
    /// How many sessions each of the others got, most first.
    spread: Vec<usize>,
    /// What became of the worker that went away.
    #[serde(skip_serializing_if = "Option::is_none")]
    worker: Option<String>,
    /// From the moment the worker went away until each session's turn ran again, in order.
    samples_ms: Vec<f64>,
}

pub(crate) async fn run(args: Args, global: &Global) -> Result<(), Failure> {
    if args.sessions == 0 || args.survivors == 0 {
        return Err(Failure::new(Exit::Usage, "--sessions and --survivors: at least 1"));
    }
    let env = Env::system();
    let namespace: Namespace = format!("bench-{:08x}", env.random_u32()).parse().expect("a short word");
    let list: ReplyTo = format!("runs:{namespace}").parse().expect("not one of ours");
    let global = Global { namespace, ..global.clone() };
    let server = Server::connect(&global).await?;
    let mut bench = Bench { args, env, list, global, server };
    let measured = bench.measure().await;
    forget::namespace(&bench.global, &[bench.list.to_string()]).await?;
    bench.args.print(measured?, bench.global.json)
}

/// One run of the benchmark.
struct Bench {
    args: Args,
    env: Env,
    list: ReplyTo,
    global: Global,
    server: Server,
}

/// What was measured.
struct Measured {
    samples: Vec<Duration>,
    spread: Vec<usize>,
    worker: Option<String>,
}

/// When each session ran again, and where.
type Runs = BTreeMap<SessionId, (Moment, u32)>;

impl Bench {
    async fn measure(&mut self) -> Result<Measured, Failure> {
        let mut victim = self.workers(1).await?;
        let store = connect::store(&self.global).await?;
        self.send_all(&store).await?;
        self.runs(|_| true).await?;
        let measured = match self.args.case {
            Case::Fleet => self.all_killed(victim).await?,
            _ => {
                let survivors = self.workers(self.args.survivors).await?;
                self.env.sleep(ACQUAINTED).await;
                let measured = self.one_goes(&mut victim).await;
                survivors.end().await?;
                victim.end().await?;
                measured?
            }
        };
        Ok(measured)
    }

    async fn workers(&self, count: usize) -> Result<Fleet, Failure> {
        let sleep = match self.args.case {
            Case::Drain => self.args.turn,
            _ => Duration::from_secs(600),
        };
        let options = [
            ("--lease", format!("{}ms", self.args.lease.as_millis())),
            ("--bench-list", self.list.to_string()),
            ("--bench-sleep", format!("{}ms", sleep.as_millis())),
        ];
        let options = options.into_iter().flat_map(|(option, value)| [option.to_owned(), value]);
        Fleet::start_with(count, &options.collect::<Vec<_>>(), &self.global).await
    }

    async fn one_goes(&mut self, victim: &mut Fleet) -> Result<Measured, Failure> {
        let pid = victim.pids()[0];
        let began = self.env.now();
        match self.args.case {
            Case::Kill | Case::Fleet => victim.signal(Signal::Kill)?,
            Case::Stop => victim.signal(Signal::Stop)?,
            Case::Drain => victim.signal(Signal::Terminate)?,
        }
        let runs = self.runs(|runner| runner != pid).await?;
        let worker = match self.args.case {
            Case::Kill | Case::Fleet => None,
            Case::Stop => {
                victim.signal(Signal::Continue)?;
                Some(victim.next_events(2).await?)
            }
            Case::Drain => Some(format!(
                "ended with {} after {:.0} ms",
                victim.wait().await?,
                in_ms(self.env.now().since(began))
            )),
        };
        Ok(Measured { worker, ..measured(&runs, began) })
    }

    async fn all_killed(&mut self, victim: Fleet) -> Result<Measured, Failure> {
        let pid = victim.pids()[0];
        victim.end().await?;
        self.env.sleep(self.args.lease + Duration::from_secs(1)).await;
        let first = self.workers(1).await?;
        let began = self.env.now();
        let others = self.workers(self.args.survivors - 1).await?;
        let runs = self.runs(|runner| runner != pid).await?;
        others.end().await?;
        first.end().await?;
        Ok(measured(&runs, began))
    }

    /// Gives each session a message; where the worker drains two, so that there is something to go on with.
    async fn send_all(&self, store: &RedisStore) -> Result<(), Failure> {
        let each = if self.args.case == Case::Drain { 40 } else { 1 };
        let all = (0..each).flat_map(|_| (0..self.args.sessions).map(session));
        let mut sends = stream::iter(all.map(|session| self.send(store, session))).buffer_unordered(SENDING);
        while let Some(sent) = sends.next().await {
            sent?;
        }
        Ok(())
    }

    async fn send(&self, store: &RedisStore, session: SessionId) -> Result<(), Failure> {
        let message = NewMessage {
            session,
            message: self.env.message_id(),
            id: None,
            reply_to: None,
            body: Body::text("sleep"),
            group: None,
            resume: None,
            pool: Pool::default(),
            class: Default::default(),
        };
        match store.send(&message).await? {
            Sent::Accepted { .. } | Sent::Repeat { .. } => Ok(()),
            other => Err(Failure::new(Exit::Failed, format!("not accepted: {other:?}"))),
        }
    }

    /// The first run of every session by a process that counts, as they come.
    async fn runs(&mut self, counts: impl Fn(u32) -> bool) -> Result<Runs, Failure> {
        let (mut runs, until) = (Runs::new(), self.env.now().plus(PATIENCE));
        while runs.len() < self.args.sessions {
            if self.env.now() > until {
                let left = self.args.sessions - runs.len();
                return Err(Failure::new(
                    Exit::Failed,
                    format!("{left} sessions did not run again within {PATIENCE:?}"),
                ));
            }
            let pushed = self.server.replies(&self.list).await?;
            let now = self.env.now();
            for (runner, session) in pushed.iter().filter_map(|run| parse(run)) {
                if counts(runner) {
                    runs.entry(session).or_insert((now, runner));
                }
            }
        }
        Ok(runs)
    }
}

fn session(number: usize) -> SessionId {
    format!("{}/{number}", sleeper::NAME).parse().expect("a good session")
}

fn parse(run: &str) -> Option<(u32, SessionId)> {
    let (runner, session) = run.split_once(' ')?;
    Some((runner.parse().ok()?, session.parse().ok()?))
}

fn measured(runs: &Runs, began: Moment) -> Measured {
    let mut samples: Vec<_> = runs.values().map(|(at, _)| at.since(began)).collect();
    samples.sort_unstable();
    let runners: BTreeSet<_> = runs.values().map(|(_, runner)| *runner).collect();
    let share = |runner: &u32| runs.values().filter(|(_, other)| other == runner).count();
    let mut spread: Vec<_> = runners.iter().map(share).collect();
    spread.sort_unstable_by(|one, other| other.cmp(one));
    Measured { samples, spread, worker: None }
}

impl Args {
    fn print(self, Measured { samples, spread, worker }: Measured, json: bool) -> Result<(), Failure> {
        let report = Report {
            bench: "failover",
            case: self.case,
            sessions: self.sessions,
            survivors: self.survivors,
            lease_ms: in_ms(self.lease),
            p50_ms: in_ms(percentile(&samples, 50)),
            p99_ms: in_ms(percentile(&samples, 99)),
            max_ms: in_ms(percentile(&samples, 100)),
            spread,
            worker,
            samples_ms: samples.into_iter().map(in_ms).collect(),
        };
        if json {
            return output::json(&report);
        }
        let Report { p50_ms, p99_ms, max_ms, spread, worker, .. } = report;
        let row = [
            format!("{:?}", self.case).to_lowercase(),
            self.sessions.to_string(),
            format!("{p50_ms:.0} ms"),
            format!("{p99_ms:.0} ms"),
            format!("{max_ms:.0} ms"),
            format!("{spread:?}"),
            output::or_dash(worker.as_deref()),
        ];
        table(["CASE", "SESSIONS", "P50", "P99", "MAX", "SPREAD", "WORKER"], &[row])
    }
}
