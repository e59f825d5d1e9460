//! A line in, a reply out, and nothing else: for programs.

use std::io;

use tenure::{
    client::{Answer, ClientError, Outgoing},
    model::SessionId,
    store::Store,
};
use tokio::io::{AsyncBufReadExt, BufReader};

use super::Conversation;
use crate::{
    failure::{Exit, Failure},
    output,
    send::{Outcome, Report},
};

/// Answers line after line until the input ends, or somebody interrupts.
pub(super) async fn hold<S: Store>(with: &Conversation<S>, json: bool) -> Result<(), Failure> {
    tokio::select! {
        biased;
        interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
        ended = lines(with, json) => ended,
    }
}

async fn lines<S: Store>(with: &Conversation<S>, json: bool) -> Result<(), Failure> {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let (mut asked, mut failed) = (0, 0);
    while let Some(line) = lines.next_line().await.map_err(unreadable)? {
        asked += 1;
        let answer = with.client.ask(Outgoing::text(with.session.clone(), &line), with.reply_within).await;
        match json {
            true => failed += u32::from(report(&with.session, answer)?),
            // A program that reads plain lines must not take the next reply for this one's.
            false => output::line(answer?.reply.as_ref().map(output::plain).unwrap_or_default())?,
        }
    }
    match failed {
        0 => Ok(()),
        _ => Err(Failure::new(Exit::Failed, format!("{failed} of {asked} got no reply: see their `error`"))),
    }
}

/// Prints what came of it, as `send --wait --json` would; whether that is an agent's error.
fn report(session: &SessionId, answer: Result<Answer, ClientError>) -> Result<bool, Failure> {
    let sent = answer.map(Outcome::Answered);
    output::json(&Report::of(session, &sent))?;
    match sent {
        Ok(_) => Ok(false),
        Err(ClientError::Failed { .. }) => Ok(true),
        Err(err) => Err(err.into()),
    }
}

fn unreadable(err: io::Error) -> Failure {
    match err.kind() {
        io::ErrorKind::InvalidData => Failure::new(Exit::Usage, "a line is not UTF-8: give text"),
        _ => err.into(),
    }
}
