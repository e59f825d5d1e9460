//! A person at a terminal: a prompt, a reply, and an error that does not end the conversation.

use std::cell::Cell;

use tenure::{
    client::{Answer, ClientError, Outgoing},
    model::{EntryKind, MessageId},
    store::{HistoryRange, Store},
};
use tokio::signal::unix::{SignalKind, signal};

use super::{Conversation, prompt::Prompt, waiting};
use crate::{colour, failure::Failure, output};

/// How many entries of the session's history are searched for what was written before.
const PAST: usize = 400;

/// Talks until the person ends it.
pub(super) async fn hold<S: Store>(with: &Conversation<S>) -> Result<(), Failure> {
    let mut prompt = Prompt::remembering(past(with).await)?;
    while let Some((line, next)) = prompt.next().await? {
        prompt = next;
        match say(with, &line).await {
            Err(Failure::NobodyReads) => return Ok(()),
            // A person reads on.
            Err(failure) => _ = failure.report(),
            Ok(()) => (),
        }
    }
    Ok(())
}

/// What was said to the session before, by anybody: the arrow up begins there.
async fn past<S: Store>(with: &Conversation<S>) -> Vec<String> {
    // Without it the conversation goes as well.
    let entries = with.client.history(&with.session, HistoryRange::Newest(PAST)).await.unwrap_or_default();
    let said = entries.iter().filter(|entry| entry.kind == EntryKind::User);
    said.filter_map(|entry| entry.body.as_text()).filter(|text| !text.contains(char::is_control)).collect()
}

async fn say<S: Store>(with: &Conversation<S>, line: &str) -> Result<(), Failure> {
    // Listened for anew each time: what was pressed before is not about this message.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let accepted = Cell::new(None);
    tokio::select! {
        biased;
        _ = interrupt.recv() => leave(with, accepted.get()),
        answer = ask(with, line, &accepted) => reply(with, answer?),
        never = waiting::show(with) => match never {},
    }
}

/// Sends first and waits then, so that who leaves can be told what became of the message.
async fn ask<S: Store>(
    with: &Conversation<S>,
    line: &str,
    accepted: &Cell<Option<MessageId>>,
) -> Result<Answer, ClientError> {
    let message = Outgoing::text(with.session.clone(), line).id(with.client.new_id());
    accepted.set(Some(with.client.send(message.clone()).await?.message));
    // The same message by its id: this only waits.
    with.client.ask(message, with.reply_within).await
}

fn reply<S>(with: &Conversation<S>, answer: Answer) -> Result<(), Failure> {
    let agent = with.session.agent();
    let name = colour::painted(&format!("{agent}>"), colour::heading(), colour::on_stdout());
    let said = answer.reply.as_ref().map(output::shown);
    output::line(format!("{name} {}", said.as_deref().unwrap_or("(no reply)")))
}

fn leave<S>(with: &Conversation<S>, accepted: Option<MessageId>) -> Result<(), Failure> {
    let session = &with.session;
    match accepted {
        Some(message) => eprintln!(
            "not waiting any more: message {message} stays accepted; its reply will be in `tenure history {session}`"
        ),
        None => {
            eprintln!("not waiting any more: the message may have been accepted; see `tenure show {session}`")
        }
    }
    Ok(())
}
