//! `tenure unquarantine`.

use serde::Serialize;
use tenure::{model::SessionId, store::FirstMessage};

use crate::{connect, failure::Failure, global::Global, output};

/// Let a quarantined session go on, as if nothing had happened to it
///
/// `tenure show` says why it was set aside, and with --mail what waits. That was kept, and runs again: with
/// --drop-message all but the first of it, which goes to `tenure dead` without being run.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The session: agent/key
    session: SessionId,
    /// Give up on its first message, the one that its owners died of
    #[arg(long)]
    drop_message: bool,
}

const EXAMPLES: &str = "\
Examples:
  tenure unquarantine support/alice
  tenure unquarantine support/alice --drop-message";

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'s> {
    session: &'s SessionId,
    freed: bool,
    dropped: bool,
}

pub(crate) async fn run(Args { session, drop_message }: Args, global: &Global) -> Result<(), Failure> {
    let client = connect::for_reading(global).await?;
    let first = if drop_message { FirstMessage::Drop } else { FirstMessage::Keep };
    client.unquarantine(&session, first).await?;
    match global.json {
        true => output::json(&Report { session: &session, freed: true, dropped: drop_message }),
        false => output::line(format!("{session} goes on")),
    }
}
