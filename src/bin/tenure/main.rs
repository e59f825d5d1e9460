//! tenure's command line: lists the commands and owns the exit codes. Each command is a file.

mod acl;
mod address;
mod agents_file;
mod asked_for;
mod bench;
mod chat;
mod check;
mod colour;
mod completions;
mod connect;
mod conversation;
mod dead;
mod delete;
mod demo;
mod dev;
mod doctor;
mod drain;
mod explain;
mod extra;
mod failure;
mod forget;
mod global;
mod health;
mod held_back;
mod history;
mod inbox;
mod keyring;
mod keys;
mod keys_in_use;
mod moved;
mod output;
mod overwritten;
mod own_process;
mod proceed;
mod seal_key;
mod send;
mod sessions;
mod show;
mod sim;
mod table;
mod tally;
mod top;
mod unacknowledged;
mod unquarantine;
mod usage;
mod values;
mod worker;
mod workers;

use std::io::stderr;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, parser::ValueSource};
use tracing_subscriber::EnvFilter;

use crate::{failure::Failure, global::Global};

/// A turn is many small values that live for a moment on one thread and end on another: with the system's allocator
/// they were a sixth of a worker's time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Durable sessions on Redis: one owner at a time, never orphaned
///
/// Exit codes: 0 done, 1 failed (an agent's error too), 2 usage, 3 no such thing, 4 refused,
/// 5 unavailable, no answer in time, or outcome unknown.
#[derive(Parser)]
#[command(name = "tenure", version, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  tenure dev                               talk to an agent in this terminal, without Redis
  tenure worker                            serve sessions of redis://127.0.0.1:6379
  tenure chat echo/alice                   talk to a session of that fleet
  tenure send echo/alice hello --wait      send a message and print the reply
  tenure history echo/alice --follow       watch a session";

#[derive(Subcommand)]
enum Command {
    Dev(dev::Args),
    Demo(demo::Args),
    Chat(chat::Args),
    Worker(worker::Args),
    Health(health::Args),
    Check(check::Args),
    Send(send::Args),
    History(history::Args),
    Sessions(sessions::Args),
    Show(show::Args),
    Keys(keys::Args),
    Workers(workers::Args),
    Top(top::Args),
    #[command(subcommand)]
    Dead(dead::Command),
    Doctor(doctor::Args),
    Acl(acl::Args),
    SealKey(seal_key::Args),
    Drain(drain::Args),
    Unquarantine(unquarantine::Args),
    Continue(proceed::Args),
    Delete(delete::Args),
    #[command(subcommand)]
    Bench(bench::Command),
    Sim(sim::Args),
    Completions(completions::Args),
}

fn main() {
    let failure = match Cli::read() {
        Ok(cli) => run(cli).err(),
        Err(usage) => usage::answer(&usage).err(),
    };
    std::process::exit(failure.map_or(0, |failure| failure.report()));
}

impl Cli {
    /// Reads the command line, and what was given on it and what is a default.
    fn read() -> Result<Self, clap::Error> {
        let matches = Self::command().try_get_matches()?;
        let mut cli = Self::from_arg_matches(&matches)?;
        cli.global.redis_given = matches.value_source("redis") != Some(ValueSource::DefaultValue);
        Ok(cli)
    }
}

fn run(Cli { global, command }: Cli) -> Result<(), Failure> {
    log_to_stderr(&command);
    let runtime = tokio::runtime::Runtime::new()?;
    let done = runtime.block_on(async {
        match command {
            Command::Dev(args) => dev::run(args, &global).await,
            Command::Demo(args) => demo::run(args, &global).await,
            Command::Chat(args) => chat::run(args, &global).await,
            Command::Worker(args) => worker::run(args, &global).await,
            Command::Health(args) => health::run(args, &global).await,
            Command::Check(args) => check::run(args, &global),
            Command::Send(args) => send::run(args, &global).await,
            Command::History(args) => history::run(args, &global).await,
            Command::Sessions(args) => sessions::run(args, &global).await,
            Command::Show(args) => show::run(args, &global).await,
            Command::Keys(args) => keys::run(args, &global).await,
            Command::Top(args) => top::run(args, &global).await,
            Command::Workers(args) => workers::run(args, &global).await,
            Command::Dead(command) => dead::run(command, &global).await,
            Command::Doctor(args) => doctor::run(args, &global).await,
            Command::Acl(args) => acl::run(&args, &global),
            Command::SealKey(args) => seal_key::run(&args, &global),
            Command::Drain(args) => drain::run(args, &global).await,
            Command::Unquarantine(args) => unquarantine::run(args, &global).await,
            Command::Continue(args) => proceed::run(args, &global).await,
            Command::Delete(args) => delete::run(args, &global).await,
            Command::Bench(command) => bench::run(command, &global).await,
            Command::Sim(args) => sim::run(args, &global).await,
            Command::Completions(args) => completions::run(args),
        }
    });
    // A thread that still reads a terminal must not hold up the end.
    runtime.shutdown_background();
    done
}

/// `RUST_LOG` decides; without it a worker says what it does, and all else only what is wrong.
fn log_to_stderr(command: &Command) {
    let usual = match command {
        Command::Worker(_) => "info",
        // Its workers meet nothing but trouble.
        Command::Sim(_) => "off",
        _ => "warn",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(usual));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        .with_ansi(colour::on_stderr())
        .init();
}
