//! `tenure bench exec`.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use serde::Serialize;
use tenure::{
    Env,
    model::{Body, Namespace, ReplyTo},
    store::Store,
};

use super::{
    bare,
    figures::Figures,
    fleet::Fleet,
    load::{Lists, Load, Plan},
    server::Server,
    turns::{Interrupt, measure_load},
};
use crate::{
    connect,
    failure::{Exit, Failure},
    forget,
    global::Global,
    output,
    table::table,
};

/// The smallest agent in Python.
const ECHO: &str = include_str!("../../../../examples/python/echo.py");

/// Measure an agent in Python: its turns, against the program alone and the built-in `echo`
///
/// Starts one worker in a namespace of its own that runs the example `echo.py` as an `exec` agent.
/// Each round measures the built-in `echo`, the same through Python, and bare Python: the program
/// without a fleet, fed the same lines by the benchmark itself with as many in flight. Medians are
/// printed; `ratio` is `exec` over the smaller of the other two.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// How often everything is measured
    #[arg(long, default_value_t = 5, value_name = "NUMBER")]
    rounds: usize,
    /// How many sessions the messages go to, in turn
    #[arg(long, default_value_t = 256, value_name = "NUMBER")]
    sessions: usize,
    /// How long each message is, in bytes of text
    #[arg(long, default_value_t = 100, value_name = "BYTES")]
    payload: usize,
    /// How many messages are under way at any time
    #[arg(long, default_value_t = 64, value_name = "NUMBER")]
    in_flight: usize,
    /// How many messages a round measures, of each kind
    #[arg(long, default_value_t = 20_000, value_name = "NUMBER")]
    messages: usize,
    /// How many entries of its history a turn is given
    #[arg(long, default_value_t = 0, value_name = "NUMBER")]
    history: usize,
    /// The Python to run
    #[arg(long, default_value = "python3", value_name = "PROGRAM")]
    python: String,
}

const EXAMPLES: &str = "\
Examples:
  tenure bench exec
  tenure bench exec --in-flight 256 --sessions 1000 --json
  tenure bench exec --python .venv/bin/python";

/// What `--json` prints.
#[derive(Serialize)]
struct Report {
    bench: &'static str,
    rounds: usize,
    sessions: usize,
    payload: usize,
    in_flight: usize,
    messages: usize,
    history: usize,
    /// Turns a second of bare Python.
    bare: f64,
    builtin: Figures,
    exec: Figures,
    /// Turns a second of `exec` over the smaller of the other two.
    ratio: f64,
}

/// What one round measured.
struct Round {
    builtin: Figures,
    exec: Figures,
    bare: f64,
}

pub(crate) async fn run(args: Args, global: &Global) -> Result<(), Failure> {
    args.check()?;
    let env = Env::system();
    let namespace: Namespace = format!("bench-{:08x}", env.random_u32()).parse().expect("a short word");
    let list: ReplyTo = format!("reply:{namespace}").parse().expect("not one of ours");
    let global = Global { namespace: namespace.clone(), ..global.clone() };
    Server::connect(&global).await?;
    let folder = Folder::with_program(&namespace, &args)?;
    let measured = measure(&args, &global, &env, &list, &folder, Interrupt::listen()?).await;
    forget::namespace(&global, &[list.to_string()]).await?;
    args.print(&measured?, global.json)
}

impl Args {
    fn check(&self) -> Result<(), Failure> {
        let counts = [
            (self.rounds, "--rounds"),
            (self.sessions, "--sessions"),
            (self.in_flight, "--in-flight"),
            (self.messages, "--messages"),
        ];
        match counts.into_iter().find(|(count, _)| *count == 0) {
            Some((_, option)) => Err(Failure::new(Exit::Usage, format!("{option}: at least 1"))),
            None => Ok(()),
        }
    }

    /// Messages to the sessions of `agent`.
    fn plan(&self, agent: &str) -> Plan {
        let session = |n| format!("{agent}/{n}").parse().expect("a session's id");
        Plan {
            sessions: (0..self.sessions).map(session).collect(),
            body: Body::text(&"x".repeat(self.payload)),
            in_flight: self.in_flight,
            messages: self.messages,
            class: Default::default(),
        }
    }

    fn print(self, rounds: &[Round], json: bool) -> Result<(), Failure> {
        let report = self.report(rounds);
        if json {
            return output::json(&report);
        }
        let row = |name: &str, rate: f64, p50: Option<f64>| {
            [name.to_owned(), format!("{rate:.0}"), output::or_dash(p50.map(|p50| format!("{p50} ms")))]
        };
        let rows = [
            row("built-in echo", report.builtin.turns_per_second, Some(report.builtin.p50_ms)),
            row("bare python", report.bare, None),
            row("exec", report.exec.turns_per_second, Some(report.exec.p50_ms)),
        ];
        table(["", "TURNS/S", "P50"], &rows)?;
        output::line(format!("ratio  {}", report.ratio))
    }

    fn report(self, rounds: &[Round]) -> Report {
        let Self { sessions, payload, in_flight, messages, history, .. } = self;
        let rate = |figures: &Figures| figures.turns_per_second;
        let builtin = median(rounds.iter().map(|round| round.builtin), rate);
        let exec = median(rounds.iter().map(|round| round.exec), rate);
        let bare = (median(rounds.iter().map(|round| round.bare), |rate| *rate) * 10.0).round() / 10.0;
        let ratio = (rate(&exec) / rate(&builtin).min(bare) * 1e3).round() / 1e3;
        let (bench, rounds) = ("exec", rounds.len());
        Report { bench, rounds, sessions, payload, in_flight, messages, history, bare, builtin, exec, ratio }
    }
}

/// The one in the middle; of an even number the smaller.
fn median<T>(values: impl Iterator<Item = T>, of: impl Fn(&T) -> f64) -> T {
    let mut values: Vec<T> = values.collect();
    values.sort_by(|a, b| of(a).total_cmp(&of(b)));
    let middle = (values.len() - 1) / 2;
    values.swap_remove(middle)
}

async fn measure(
    args: &Args,
    global: &Global,
    env: &Env,
    list: &ReplyTo,
    folder: &Folder,
    mut interrupt: Interrupt,
) -> Result<Vec<Round>, Failure> {
    let (agents, program) = (folder.agents(), folder.program());
    let fleet = interrupt.or(Fleet::start(1, Some(&agents), global)).await?;
    let store = connect::store(global).await?;
    let mut meter = Server::connect(global).await?;
    let mut replies = Server::connect(global).await?;
    let load = Load::new(&store, env, Lists::One(list.clone()));
    let rounds = async {
        tokio::select! {
            biased;
            failed = load.hand_out(&mut replies, list) => match failed { Err(failure) => Err(failure) },
            rounds = rounds(args, &load, env, &fleet, &mut meter, &program) => rounds,
        }
    };
    let rounds = interrupt.or(rounds).await;
    // Whatever came of it: what still writes cannot be tidied up after.
    fleet.end().await?;
    rounds
}

async fn rounds<S: Store>(
    args: &Args,
    load: &Load<'_, S>,
    env: &Env,
    fleet: &Fleet,
    meter: &mut Server,
    program: &Path,
) -> Result<Vec<Round>, Failure> {
    let mut rounds = Vec::new();
    let (builtin, exec) = (args.plan("echo"), args.plan("py"));
    for _ in 0..args.rounds {
        rounds.push(Round {
            builtin: measure_load(load, &builtin, env, fleet, meter).await?,
            exec: measure_load(load, &exec, env, fleet, meter).await?,
            bare: bare::turns_per_second(&args.python, program, &exec, env).await?,
        });
    }
    Ok(rounds)
}

/// A folder of the benchmark's own, with the program and its agents file; gone with this value.
struct Folder(PathBuf);

impl Folder {
    fn with_program(namespace: &Namespace, args: &Args) -> Result<Self, Failure> {
        let folder = Self(env::temp_dir().join(format!("tenure-{namespace}")));
        fs::create_dir(&folder.0)?;
        fs::write(folder.program(), ECHO)?;
        let python = serde_json::to_string(&args.python).expect("a string is JSON, and TOML");
        let (program, history) = (r#""echo.py""#, args.history);
        let agent = format!("type = \"exec\"\ncommand = [{python}, {program}]\nhistory = {history}\n");
        fs::write(folder.agents(), format!("[agents.py]\n{agent}"))?;
        Ok(folder)
    }

    fn program(&self) -> PathBuf {
        self.0.join("echo.py")
    }

    fn agents(&self) -> PathBuf {
        self.0.join("agents.toml")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left in a temporary folder does no harm.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_one_of_the_values() {
        assert!(median([3.0, 1.0, 2.0].into_iter(), |value| *value) == 2.0);
        assert!(median([4.0, 1.0, 3.0, 2.0].into_iter(), |value| *value) == 2.0);
    }
}
