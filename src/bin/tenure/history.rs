//! `tenure history`.

use std::{convert::Infallible, time::Duration};

use serde::Serialize;
use tenure::{
    Env,
    client::{Client, ClientError, Follow},
    model::{Body, Entry, EntryId, EntryKind, MessageId, SessionId},
    store::{HistoryRange, Store, StoreError},
};

use crate::{
    connect,
    failure::{Failure, redacted, with_causes},
    global::Global,
    output::{self, Time},
};

/// Print what happened in a session, oldest first
///
/// --follow goes on with what is added, over restarts of workers and of Redis, without a gap or a repeat:
/// from the beginning with --limit 0, else from the newest entries. Ctrl-C ends it.
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
  tenure history echo/alice --limit 0 --follow
  tenure history echo/alice --limit 0 --json | jq -c 'select(.kind == \"assistant\") | .body'";

/// Entries read at once where all are wanted.
const PAGE: usize = 500;

/// Between two tries to reach a server that went away.
const AGAIN: Duration = Duration::from_millis(200);

pub(crate) async fn run(Args { session, follow, limit }: Args, global: &Global) -> Result<(), Failure> {
    let client = connect::for_reading(global).await?;
    let last = match limit {
        0 => print_all(&client, &session, global.json).await?,
        limit => {
            let entries = client.history(&session, HistoryRange::Newest(limit)).await?;
            print(&entries, global.json)?
        }
    };
    if !follow {
        return Ok(());
    }
    // Who follows is told at once that nobody answers, and goes on all the same.
    let client = client.with_patience(Duration::ZERO);
    tokio::select! {
        biased;
        interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
        failed = go_on(client.follow(session, last), global.json) => failed.map(|never| match never {}),
    }
}

/// Prints what is added for as long as somebody reads it. A server that goes away and comes back leaves no gap
/// and no repeat: it is asked for what comes after the last entry printed.
async fn go_on<S: Store>(mut added: Follow<'_, S>, json: bool) -> Result<Infallible, Failure> {
    let (env, mut away) = (Env::system(), false);
    loop {
        match added.look().await {
            Ok(entries) => {
                back(&mut away);
                print(&entries, json)?;
            }
            Err(ClientError::Store(
                err @ (StoreError::Unavailable(_)
                | StoreError::Loading(_)
                | StoreError::Refused(_)
                | StoreError::Unconnected(_)),
            )) => {
                gone(&mut away, &err);
                env.sleep(AGAIN).await;
            }
            Err(err) => return Err(err.into()),
        }
    }
}

fn gone(away: &mut bool, err: &StoreError) {
    if !std::mem::replace(away, true) {
        eprintln!("{}: trying again until Redis is back; Ctrl-C ends", redacted(&with_causes(err)));
    }
}

fn back(away: &mut bool) {
    if std::mem::replace(away, false) {
        eprintln!("Redis is back: going on after the last entry");
    }
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
