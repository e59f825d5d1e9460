//! `tenure bench`: what a turn costs here, measured.

mod bare;
mod cluster;
mod durability;
mod exec;
mod failover;
mod figures;
mod fleet;
mod load;
mod own_cluster;
mod raw;
mod report_file;
mod server;
pub(crate) mod sleeper;
mod turns;

use crate::{failure::Failure, global::Global};

/// Measure what this machine, and this Redis, can do
#[derive(clap::Subcommand)]
#[command(after_help = "Example:\n  tenure bench turns --in-flight 1 --messages 5000")]
pub(crate) enum Command {
    Failover(failover::Args),
    Turns(turns::Args),
    Exec(exec::Args),
    Durability(durability::Args),
    Cluster(cluster::Args),
}

pub(crate) async fn run(command: Command, global: &Global) -> Result<(), Failure> {
    match command {
        Command::Failover(args) => failover::run(args, global).await,
        Command::Turns(args) => turns::run(args, global).await,
        Command::Exec(args) => exec::run(args, global).await,
        Command::Durability(args) => durability::run(args, global).await,
        Command::Cluster(args) => cluster::run(args, global).await,
    }
}
