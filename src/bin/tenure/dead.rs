//! `tenure dead`.

use serde::Serialize;
use tenure::{
    client::{Client, ClientError, DeadId},
    model::{Body, Durability, MessageId, SessionId},
    store::{DeadLetter, Store},
};

use crate::{
    connect,
    failure::{Exit, Failure},
    global::Global,
    output::{self, Time, or_dash},
    table::table,
};

/// Look after messages that were given up on
///
/// A message gets here when its agent failed too often, its session was deleted, or what came in
/// at the plain door was refused. Nothing leaves by itself.
#[derive(clap::Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum Command {
    /// List them, oldest first in each partition
    #[command(after_help = "Example:\n  tenure dead ls --json | jq -r .reason | sort | uniq -c")]
    Ls,
    /// Put one back into its session's inbox, as a new message
    #[command(after_help = "Examples:\n  tenure dead retry 17-1690000000000-0\n  tenure dead retry --all")]
    Retry(Which),
    /// Drop one for good
    #[command(after_help = "Examples:\n  tenure dead drop 17-1690000000000-0\n  tenure dead drop --all")]
    Drop(Which),
}

const EXAMPLES: &str = "\
Examples:
  tenure dead ls
  tenure dead retry 17-1690000000000-0
  tenure dead drop --all";

/// One of them, or all.
#[derive(clap::Args)]
pub(crate) struct Which {
    /// Its id, as `tenure dead ls` prints it
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    id: Option<DeadId>,
    /// All that are there now
    #[arg(long)]
    all: bool,
}

pub(crate) async fn run(command: Command, global: &Global) -> Result<(), Failure> {
    let client = connect::for_reading(global).await?;
    match command {
        Command::Ls => list(&client, global.json).await,
        Command::Retry(which) => {
            let ids = which.resolve(&client).await?;
            each(&ids, async |id| retry(&client, id, global.json).await).await
        }
        Command::Drop(which) => {
            let ids = which.resolve(&client).await?;
            each(&ids, async |id| drop_one(&client, id, global.json).await).await
        }
    }
}

impl Which {
    /// Their ids, all read before the first is touched: what is retried may come back.
    async fn resolve<S: Store>(self, client: &Client<S>) -> Result<Vec<DeadId>, Failure> {
        if let Some(id) = self.id {
            return Ok(vec![id]);
        }
        let mut ids = Vec::new();
        let mut pages = client.dead();
        while let Some(page) = pages.next_page().await? {
            ids.extend(page.iter().map(DeadId::of));
        }
        Ok(ids)
    }
}

async fn list<S: Store>(client: &Client<S>, json: bool) -> Result<(), Failure> {
    let mut rows = Vec::new();
    let mut pages = client.dead();
    while let Some(page) = pages.next_page().await? {
        match json {
            true => page.iter().try_for_each(|letter| output::json(&Report::of(letter)))?,
            false => rows.extend(page.iter().map(row)),
        }
    }
    match json {
        true => Ok(()),
        false => table(HEADER, &rows),
    }
}

const HEADER: [&str; 6] = ["ID", "TIME", "SESSION", "REASON", "TRIES", "BODY"];

fn row(letter: &DeadLetter) -> [String; 6] {
    [
        DeadId::of(letter).to_string(),
        Time(letter.time).to_string(),
        or_dash(letter.session.as_ref()),
        letter.reason.clone(),
        letter.tries.to_string(),
        output::cell(&letter.body),
    ]
}

/// What `--json` prints of a dead letter.
#[derive(Serialize)]
struct Report<'l> {
    #[serde(serialize_with = "as_text")]
    id: DeadId,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<&'l SessionId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<MessageId>,
    reason: &'l str,
    tries: u32,
    time: Time,
    /// What it asks for over its agent's class.
    #[serde(skip_serializing_if = "Option::is_none")]
    durability: Option<Durability>,
    body: &'l Body,
}

impl<'l> Report<'l> {
    fn of(letter: &'l DeadLetter) -> Self {
        Self {
            id: DeadId::of(letter),
            session: letter.session.as_ref(),
            message: letter.message,
            reason: &letter.reason,
            tries: letter.tries,
            time: Time(letter.time),
            durability: Some(letter.durability).filter(|asked| *asked != Durability::MEMORY),
            body: &letter.body,
        }
    }
}

fn as_text<S: serde::Serializer>(id: &DeadId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

/// Does `work` on each; goes on where one is refused or gone, and tells the last of these at the end.
async fn each(ids: &[DeadId], work: impl AsyncFn(DeadId) -> Result<(), Failure>) -> Result<(), Failure> {
    let mut left = Vec::new();
    for &id in ids {
        match work(id).await {
            Err(Failure::Said(exit @ (Exit::Refused | Exit::NotFound), why)) => left.push((exit, why)),
            done => done?,
        }
    }
    match left.pop() {
        None => Ok(()),
        Some((exit, why)) if ids.len() == 1 => Err(Failure::new(exit, why)),
        Some((exit, why)) => {
            Err(Failure::new(exit, format!("{} of {} were left, the last: {why}", left.len() + 1, ids.len())))
        }
    }
}

/// What `--json` prints of a letter that was retried or dropped.
#[derive(Serialize)]
struct Done {
    #[serde(serialize_with = "as_text")]
    id: DeadId,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<MessageId>,
}

async fn retry<S: Store>(client: &Client<S>, id: DeadId, json: bool) -> Result<(), Failure> {
    let message = client.retry(id).await.map_err(doubtful)?;
    match json {
        true => output::json(&Done { id, message: Some(message) }),
        false => output::line(format!("retried {id} as {message}")),
    }
}

async fn drop_one<S: Store>(client: &Client<S>, id: DeadId, json: bool) -> Result<(), Failure> {
    client.drop_dead(id).await.map_err(doubtful)?;
    match json {
        true => output::json(&Done { id, message: None }),
        false => output::line(format!("dropped {id}")),
    }
}

/// Repeating blindly would say "no such letter" of one that was just handled: so look first.
fn doubtful(err: ClientError) -> Failure {
    match err {
        ClientError::Unknown(cause) => {
            Failure::new(Exit::Unavailable, format!("{cause}: it may have happened; see `tenure dead ls`"))
        }
        err => err.into(),
    }
}
