//! `tenure show`.

use std::fmt;

use serde::Serialize;
use tenure::{
    client::{Client, ClientError, SessionView},
    model::{
        AgentName, Cause, Crash, Durability, Epoch, Group, Loss, Millis, Pool, SessionId, Status, WorkerId,
    },
};

use crate::{
    asked_for,
    connect::{self, Connected},
    explain::{advice, meaning},
    failure::{Exit, Failure},
    global::Global,
    held_back::{self, HeldBack},
    inbox::{Inbox, Waiting},
    output::{self, Time, or_dash},
    table::facts,
};

/// Show one session, why it is as it is, and what to do
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The session: agent/key
    session: SessionId,
    /// Show the messages that wait for it too, with their bodies: the first 100
    #[arg(long)]
    mail: bool,
}

const EXAMPLES: &str = "\
Examples:
  tenure show echo/alice
  tenure show echo/alice --mail
  tenure show echo/alice --json | jq -r .status";

pub(crate) async fn run(Args { session, mail }: Args, global: &Global) -> Result<(), Failure> {
    let client = connect::for_reading(global).await?;
    let mut view = match client.session(&session).await {
        Err(err @ ClientError::NoSession(_)) => {
            return Err(without_record(&client, &session).await.unwrap_or(err.into()));
        }
        found => found?,
    };
    // A session that cannot be read has no history that can.
    let losses = client.losses(&session).await.unwrap_or_default();
    let held = held_back::look(&client, &view).await;
    // A message whose turn wrote something waits for that, and is not given up on any more.
    let has_written = held.as_ref().is_some_and(|held| held.written.is_some());
    let lack = if has_written { None } else { asked_for::lack_of(&client, &view).await };
    let held = held.filter(|_| lack.is_none());
    let said = lack.as_ref().map(ToString::to_string).or(held.as_ref().map(ToString::to_string));
    view.reason = said.or(view.reason);
    let inbox = if mail { Some(Inbox::of(&client, &session).await?) } else { None };
    if global.json {
        return output::json(&Whole {
            session: Report::of(&view),
            crashes: view.crashes.iter().map(Death::of).collect(),
            losses: losses.iter().map(Lost::of).collect(),
            undelivered: held.as_ref().and_then(|held| held.replies).map(Undelivered::of),
            unacknowledged: held.and_then(|held| Unacknowledged::of(&held)),
            mail: inbox.as_ref().map(Inbox::reports),
        });
    }
    let next = lack.map(|asked| asked.advice()).or(held.map(|held| held.advice()));
    let next = next.unwrap_or_else(|| advice(&view.session, view.status, view.cause));
    let mut shown = vec![
        ("session", view.session.to_string()),
        ("status", status(&view)),
        ("meaning", view.reason.clone().unwrap_or_else(|| meaning(view.status, view.cause).to_owned())),
        ("next", next),
        ("owner", or_dash(view.owner.as_ref())),
        ("epoch", or_dash(view.epoch)),
        ("turns", view.turns.to_string()),
        ("waiting", view.waiting.to_string()),
        ("crashes", crashes(&view)),
        ("group", or_dash(view.group.as_ref())),
        ("pool", or_dash(view.pool.as_ref())),
        ("created", or_dash(view.created.map(Time))),
        ("updated", or_dash(view.updated.map(Time))),
    ];
    shown.extend(losses.iter().map(|loss| ("lost", Lost::of(loss).to_string())));
    facts(&shown)?;
    inbox.map_or(Ok(()), |inbox| inbox.print(view.waiting))
}

/// What is so where messages wait and nobody knows for whom: somebody deleted the session's record.
async fn without_record(client: &Client<Connected>, session: &SessionId) -> Option<Failure> {
    let waiting = Inbox::of(client, session).await.ok()?.len();
    let line = format!(
        "there is no record of {session}, and messages wait for it ({waiting}): somebody deleted the record; its next message makes it \
         anew, and those run first (`tenure send {session} …`)"
    );
    (waiting > 0).then(|| Failure::new(Exit::NotFound, line))
}

/// What `--json` prints: the session as in a list, its crashes, what was lost of it, replies that are held back, and what waits
/// where that was asked for.
#[derive(Serialize)]
struct Whole<'v> {
    #[serde(flatten)]
    session: Report<'v>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    crashes: Vec<Death<'v>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    losses: Vec<Lost>,
    #[serde(skip_serializing_if = "Option::is_none")]
    undelivered: Option<Undelivered>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unacknowledged: Option<Unacknowledged>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mail: Option<Vec<Waiting<'v>>>,
}

/// An owner that died while the session had work.
#[derive(Serialize)]
struct Death<'v> {
    time: Time,
    worker: &'v WorkerId,
}

impl<'v> Death<'v> {
    fn of(crash: &'v Crash) -> Self {
        Self { time: Time(crash.time), worker: &crash.worker }
    }
}

/// What a server lost of a session after it had been acknowledged.
#[derive(Serialize)]
struct Lost {
    time: Time,
    /// First and last.
    turns: Option<(u64, u64)>,
    /// First and last, by number.
    entries: (u64, u64),
}

impl Lost {
    fn of((time, loss): &(Millis, Loss)) -> Self {
        Self { time: Time(*time), turns: loss.turns, entries: loss.entries }
    }
}

/// Replies that wait in `out` for their class.
#[derive(Serialize)]
struct Undelivered {
    replies: usize,
    since: Time,
}

impl Undelivered {
    fn of((replies, since): (usize, Millis)) -> Self {
        Self { replies, since: Time(since) }
    }
}

/// What was written and has not reached its class, as its owner tells.
#[derive(Serialize)]
struct Unacknowledged {
    class: Durability,
    since: Time,
}

impl Unacknowledged {
    fn of(held: &HeldBack) -> Option<Self> {
        let (class, since) = held.written?;
        Some(Self { class, since: Time(since) })
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { time, turns, entries: (first, last) } = self;
        match turns {
            Some((first, last)) if first == last => write!(f, "turn {first}, ")?,
            Some((first, last)) => write!(f, "turns {first} to {last}, ")?,
            None => (),
        }
        write!(f, "entries {first} to {last}: its server lost them, noticed {time}")
    }
}

fn status(view: &SessionView) -> String {
    match view.cause {
        Some(cause) => format!("{} ({cause})", view.status),
        None => view.status.to_string(),
    }
}

/// Each death: when it was noticed, and whose.
fn crashes(view: &SessionView) -> String {
    let each = view.crashes.iter().map(|crash| format!("{} {}", Time(crash.time), crash.worker));
    match view.crashes.len() {
        0 => "-".to_owned(),
        _ => each.collect::<Vec<_>>().join(", "),
    }
}

/// What `--json` prints of a session.
#[derive(Serialize)]
pub(crate) struct Report<'v> {
    session: &'v SessionId,
    agent: AgentName,
    status: Status,
    cause: Option<Cause>,
    reason: Option<&'v str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<&'v WorkerId>,
    epoch: Option<Epoch>,
    turns: u64,
    waiting: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<&'v Group>,
    pool: Option<&'v Pool>,
    created: Option<Time>,
    updated: Option<Time>,
}

impl<'v> Report<'v> {
    pub(crate) fn of(view: &'v SessionView) -> Self {
        Self {
            session: &view.session,
            agent: view.session.agent(),
            status: view.status,
            cause: view.cause,
            reason: view.reason.as_deref(),
            owner: view.owner.as_ref(),
            epoch: view.epoch,
            turns: view.turns,
            waiting: view.waiting,
            group: view.group.as_ref(),
            pool: view.pool.as_ref(),
            created: view.created.map(Time),
            updated: view.updated.map(Time),
        }
    }
}
