//! `tenure continue`.

use serde::Serialize;
use tenure::model::SessionId;

use crate::{connect, failure::Failure, global::Global, output};

/// Let a suspended session go on with its unfinished turn
///
/// A lazy session whose worker died in the middle of a turn is suspended until the next message, or until this. The
/// turn goes on from its last boundary.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The session: agent/key
    session: SessionId,
}

const EXAMPLES: &str = "\
Examples:
  tenure continue support/alice
  tenure sessions --status suspended --json | jq -r .session | xargs -n1 tenure continue";

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'s> {
    session: &'s SessionId,
    continued: bool,
}

pub(crate) async fn run(Args { session }: Args, global: &Global) -> Result<(), Failure> {
    let client = connect::for_reading(global).await?;
    client.proceed(&session).await?;
    match global.json {
        true => output::json(&Report { session: &session, continued: true }),
        false => output::line(format!("{session} goes on")),
    }
}
