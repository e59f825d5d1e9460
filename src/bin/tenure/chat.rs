//! `tenure chat`.

use std::time::Duration;

use tenure::model::SessionId;

use crate::{
    connect,
    conversation::{Conversation, has_person},
    failure::{Failure, redacted},
    global::Global,
    values,
};

/// Talk to a session, with a prompt
///
/// Each line is a message, answered before the next is read. On a terminal the arrow keys edit and
/// recall lines, Ctrl-C stops waiting for a reply (its message stays accepted), and Ctrl-D ends. In a
/// pipe each line in is one reply out, and nothing else; an agent's error ends it, but with --json it
/// is a line like any other.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The session: agent/key; its first message makes it
    session: SessionId,
    /// How long to wait for each reply
    #[arg(long, default_value = "5m", value_parser = values::duration, value_name = "TIME")]
    wait: Duration,
}

const EXAMPLES: &str = "\
Examples:
  tenure chat echo/alice
  tenure chat support/order-17 --wait 30s
  printf 'one\\ntwo\\n' | tenure chat echo/alice";

pub(crate) async fn run(Args { session, wait }: Args, global: &Global) -> Result<(), Failure> {
    let client = connect::for_writing(global).await?;
    if has_person(global) {
        let (server, namespace) = (redacted(&global.address()?), &global.namespace);
        eprintln!("{session} of {server}, namespace {namespace}; Ctrl-C stops waiting, Ctrl-D ends");
    }
    Conversation { client, session, reply_within: wait }.hold(global).await
}
