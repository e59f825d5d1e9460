//! `tenure history`.

use serde::Serialize;
use tenure::{
    client::Client,
    model::{Body, Entry, EntryId, EntryKind, MessageId, SessionId},
    store::{HistoryRange, Store},
};

use crate::{
    connect,
    failure::Failure,
    global::Global,
    output::{self, Time},
};

/// Print what happened in a session, oldest first
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The session: agent/key
    session: SessionId,
    /// Go on with what is added, until interrupted
    #[arg(long)]
    follow: bool,
    /// How many of the newest entries; 0 is all
    #[arg(long, default_value_t = 100, value_name = "NUMBER")]
    limit: usize,
}

const EXAMPLES: &str = "\
Examples:
  tenure history echo/alice --limit 10
  tenure history echo/alice --follow
  tenure history echo/alice --limit 0 --json | jq -c 'select(.kind == \"assistant\") | .body'";

/// Entries read at once where all are wanted.
const PAGE: usize = 500;

pub(crate) async fn run(Args { session, follow, limit }: Args, global: &Global) -> Result<(), Failure> {
    let client = connect::for_reading(global).await?;
    let last = match limit {
        0 => print_all(&client, &session, global.json).await?,
        limit => {
            let entries = client.history(&session, HistoryRange::Newest(limit)).await?;
            print(&entries, global.json)?
        }
    };
    if follow {
        let mut added = client.follow(session, last);
        loop {
            print(&added.next().await?, global.json)?;
        }
    }
    Ok(())
}

async fn print_all<S: Store>(
    client: &Client<S>,
    session: &SessionId,
    json: bool,
) -> Result<Option<EntryId>, Failure> {
    let mut last = None;
    loop {
        let entries = client.history(session, HistoryRange::After(last, PAGE)).await?;
        last = print(&entries, json)?.or(last);
        if entries.len() < PAGE {
            return Ok(last);
        }
    }
}

/// What `--json` prints of an entry.
#[derive(Serialize)]
struct Line<'e> {
    id: EntryId,
    kind: EntryKind,
    turn: u64,
    time: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<MessageId>,
    body: &'e Body,
}

/// Prints entries; the last one's id.
fn print(entries: &[Entry], json: bool) -> Result<Option<EntryId>, Failure> {
    for Entry { id, kind, turn, time, message, body } in entries {
        let (id, kind, turn, time, message) = (*id, *kind, *turn, Time(*time), *message);
        if json {
            output::json(&Line { id, kind, turn, time, message, body })?;
        } else {
            output::line(format!("{time}  {turn:>4}  {:11}  {}", kind.as_str(), output::cell(body)))?;
        }
    }
    Ok(entries.last().map(|entry| entry.id))
}
