//! `tenure send`.

use std::{io::Read, time::Duration};

use serde::Serialize;
use tenure::{
    client::{Answer, ClientError, Outgoing, Receipt},
    model::{Body, Durability, EntryId, ErrorReply, Group, IdempotencyKey, MessageId, Resume, SessionId},
    store::{Lack, StoreError},
};

use crate::{
    connect,
    failure::{Exit, Failure, with_causes},
    global::Global,
    output, values,
};

/// Send a message to a session, and perhaps wait for the reply
///
/// The session is made by its first message. Once accepted, a message is durable: it ends in the
/// session's history, or in `tenure dead`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Whom it is for: agent/key
    session: SessionId,
    /// The message as text; `-` reads all of standard input less one final newline
    #[arg(required_unless_present = "body", conflicts_with = "body")]
    text: Option<String>,
    /// The message as a JSON object
    #[arg(long, value_name = "JSON")]
    body: Option<String>,
    /// Your own key: the same key again is the same message, for a day at least [default: a new one]
    #[arg(long, value_name = "KEY")]
    id: Option<IdempotencyKey>,
    /// Wait for the reply, 30s if no time is given
    #[arg(
        long,
        value_name = "TIME",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "30s",
        value_parser = values::duration
    )]
    wait: Option<Duration>,
    /// The group that the session joins, if this message makes it
    #[arg(long)]
    group: Option<Group>,
    /// What becomes of the session's unfinished turn when its owner dies: eager or lazy [default: the agent's]
    #[arg(long, value_name = "POLICY")]
    resume: Option<Resume>,
    /// What the message and its turn reach before anything is told, if that is more than the agent's own class:
    /// memory, replicas:N, fsync or fsync+replicas:N. A weaker one changes nothing
    #[arg(long, value_name = "CLASS")]
    durability: Option<Durability>,
}

const EXAMPLES: &str = "\
Examples:
  tenure send echo/alice hello
  tenure send echo/alice hello --wait=5s
  tenure send support/order-17 --body '{\"text\":\"where is it?\",\"order\":17}' --id order-17-first
  git diff | tenure send review/pr-9 - --wait=5m --json";

pub(crate) async fn run(args: Args, global: &Global) -> Result<(), Failure> {
    let Args { session, text, body, id, wait, group, resume, durability } = args;
    let body = read_body(text.as_deref(), body.as_deref())?;
    let client = connect::for_writing(global).await?;
    // Always with an id, so that a lost answer can be asked for again.
    let id = id.unwrap_or_else(|| client.new_id());
    let mut message = Outgoing::new(session.clone(), body).id(id.clone());
    if let Some(group) = group {
        message = message.group(group);
    }
    if let Some(resume) = resume {
        message = message.resume(resume);
    }
    if let Some(durability) = durability {
        message = message.durability(durability);
    }
    let sent = match wait {
        Some(wait) => tokio::select! {
            biased;
            _ = tokio::signal::ctrl_c() => return Err(interrupted(&id)),
            answer = client.ask(message, wait) => answer.map(Outcome::Answered),
        },
        None => client.send(message).await.map(Outcome::Accepted),
    };
    let report = Report::of(&session, &sent);
    match sent {
        _ if global.json => report.print(sent, &id),
        Ok(Outcome::Answered(Answer { reply: Some(reply), .. })) => output::line(output::shown(&reply)),
        Ok(Outcome::Answered(_)) => Ok(()),
        Ok(Outcome::Accepted(Receipt { message, repeat: false, .. })) => {
            output::line(format!("accepted {message}"))
        }
        Ok(Outcome::Accepted(Receipt { message, .. })) => output::line(format!("accepted before {message}")),
        Err(err) => Err(failure(err, &id)),
    }
}

/// What a send came to, waited for or not.
pub(crate) enum Outcome {
    Accepted(Receipt),
    Answered(Answer),
}

/// What `--json` prints.
#[derive(Serialize)]
pub(crate) struct Report {
    session: SessionId,
    message: Option<MessageId>,
    accepted: bool,
    repeat: bool,
    /// Null if the turn ended without a reply.
    #[serde(skip_serializing_if = "Option::is_none")]
    reply: Option<Option<Body>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entry: Option<EntryId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<Durability>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorReply>,
}

impl Report {
    /// Of a message to `session`.
    pub(crate) fn of(session: &SessionId, sent: &Result<Outcome, ClientError>) -> Self {
        let report = |message: Option<MessageId>, repeat: bool| Self {
            session: session.clone(),
            message,
            accepted: message.is_some(),
            repeat,
            reply: None,
            entry: None,
            class: None,
            error: None,
        };
        match sent {
            Ok(Outcome::Accepted(Receipt { message, repeat, .. })) => report(Some(*message), *repeat),
            Ok(Outcome::Answered(Answer { message, repeat, entry, reply, class, .. })) => Self {
                reply: Some(reply.clone()),
                entry: *entry,
                class: Some(*class),
                ..report(Some(*message), *repeat)
            },
            Err(err) => {
                let (message, repeat) = match err {
                    ClientError::Failed { message, repeat, .. }
                    | ClientError::NoAnswer { message, repeat, .. } => (Some(*message), *repeat),
                    _ => (None, false),
                };
                Self { error: Some(error_reply(err)), ..report(message, repeat) }
            }
        }
    }

    fn print(self, sent: Result<Outcome, ClientError>, id: &IdempotencyKey) -> Result<(), Failure> {
        output::json(&self)?;
        sent.map(drop).map_err(|err| failure(err, id))
    }
}

fn error_reply(err: &ClientError) -> ErrorReply {
    let reason = match err {
        ClientError::Failed { error, .. } => return error.clone(),
        ClientError::Refused(refusal) => refusal.as_str(),
        ClientError::NoAnswer { .. } => "no_answer",
        ClientError::Beyond { .. } => Lack::REASON,
        ClientError::Unknown(_) | ClientError::NotReached(_) => "unknown",
        ClientError::Store(StoreError::OutOfMemory) => "out_of_memory",
        ClientError::Store(StoreError::Refused(_)) => "refused",
        ClientError::Store(StoreError::Forbidden(_)) => "forbidden",
        ClientError::Store(StoreError::Unreadable { .. }) => "unreadable",
        _ => "unavailable",
    };
    ErrorReply { reason: reason.to_owned(), message: err.to_string() }
}

fn failure(err: ClientError, id: &IdempotencyKey) -> Failure {
    match err {
        ClientError::Unknown(cause) => Failure::new(
            Exit::Unavailable,
            format!(
                "{}: the message may have been accepted; send it again with --id {id}",
                with_causes(&cause)
            ),
        ),
        err @ ClientError::NotReached(_) => Failure::new(
            Exit::Unavailable,
            format!("{err}: send it again with --id {id}, and see `tenure doctor`"),
        ),
        err => err.into(),
    }
}

/// Nobody waits any more, and the message may be on its way all the same.
fn interrupted(id: &IdempotencyKey) -> Failure {
    Failure::new(
        Exit::Unavailable,
        format!(
            "not waiting any more: the message may have been accepted; wait on by sending again with --id {id} --wait"
        ),
    )
}

fn read_body(text: Option<&str>, body: Option<&str>) -> Result<Body, Failure> {
    match (text, body) {
        (_, Some(json)) => Body::parse(json)
            .map_err(|err| Failure::new(Exit::Usage, format!("{err}: --body takes a JSON object"))),
        (Some("-"), None) => Ok(Body::text(&read_stdin()?)),
        (text, None) => Ok(Body::text(text.unwrap_or_default())),
    }
}

fn read_stdin() -> Result<String, Failure> {
    let mut given = Vec::new();
    std::io::stdin().lock().read_to_end(&mut given)?;
    let mut text = String::from_utf8(given).map_err(|_| {
        Failure::new(Exit::Usage, "standard input is not UTF-8: send it encoded, in a --body")
    })?;
    if text.ends_with('\n') {
        text.pop();
    }
    Ok(text)
}
