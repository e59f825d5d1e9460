//! tenure's command line: lists the commands and owns the exit codes. Each command is a file.

mod agents_file;
mod bench;
mod check;
mod connect;
mod dead;
mod delete;
mod dev;
mod doctor;
mod drain;
mod failure;
mod global;
mod history;
mod keys;
mod output;
mod send;
mod sessions;
mod show;
mod unquarantine;
mod usage;
mod values;
mod worker;
mod workers;

use std::io::{IsTerminal, stderr};

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::{failure::Failure, global::Global};

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
  tenure send echo/alice hello --wait      send a message and print the reply
  tenure history echo/alice --follow       watch a session";

#[derive(Subcommand)]
enum Command {
    Dev(dev::Args),
    Worker(worker::Args),
    Check(check::Args),
    Send(send::Args),
    History(history::Args),
    Sessions(sessions::Args),
    Show(show::Args),
    Keys(keys::Args),
    Workers(workers::Args),
    #[command(subcommand)]
    Dead(dead::Command),
    Doctor(doctor::Args),
    Drain(drain::Args),
    Unquarantine(unquarantine::Args),
    Delete(delete::Args),
    #[command(subcommand)]
    Bench(bench::Command),
}

fn main() {
    let failure = match Cli::try_parse() {
        Ok(cli) => run(cli).err(),
        Err(usage) => usage::answer(&usage).err(),
    };
    std::process::exit(failure.map_or(0, |failure| failure.report()));
}

fn run(Cli { global, command }: Cli) -> Result<(), Failure> {
    log_to_stderr(&command);
    let runtime = tokio::runtime::Runtime::new()?;
    let done = runtime.block_on(async {
        match command {
            Command::Dev(args) => dev::run(args, &global).await,
            Command::Worker(args) => worker::run(args, &global).await,
            Command::Check(args) => check::run(args, &global),
            Command::Send(args) => send::run(args, &global).await,
            Command::History(args) => history::run(args, &global).await,
            Command::Sessions(args) => sessions::run(args, &global).await,
            Command::Show(args) => show::run(args, &global).await,
            Command::Keys(args) => keys::run(args, &global).await,
            Command::Workers(args) => workers::run(args, &global).await,
            Command::Dead(command) => dead::run(command, &global).await,
            Command::Doctor(args) => doctor::run(args, &global).await,
            Command::Drain(args) => drain::run(args, &global).await,
            Command::Unquarantine(args) => unquarantine::run(args, &global).await,
            Command::Delete(args) => delete::run(args, &global).await,
            Command::Bench(command) => bench::run(command, &global).await,
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
        _ => "warn",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(usual));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        .with_ansi(stderr().is_terminal())
        .init();
}
