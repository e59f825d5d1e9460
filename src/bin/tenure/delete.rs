//! `tenure delete`.

use serde::Serialize;
use tenure::model::SessionId;

use crate::{connect, failure::Failure, global::Global, output};

/// Delete a session with its history and state
///
/// A turn under way is cut off, and messages still waiting go to `tenure dead`. There is no way back.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  tenure delete echo/alice")]
pub(crate) struct Args {
    /// The session: agent/key
    session: SessionId,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'s> {
    session: &'s SessionId,
    deleted: bool,
}

pub(crate) async fn run(Args { session }: Args, global: &Global) -> Result<(), Failure> {
    let client = connect::for_reading(global).await?;
    client.delete(&session).await?;
    match global.json {
        true => output::json(&Report { session: &session, deleted: true }),
        false => output::line(format!("deleted {session}")),
    }
}
