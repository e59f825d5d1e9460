//! The messages that wait for a session, for people and as JSON.

use serde::Serialize;
use tenure::{
    client::{Client, ClientError},
    model::{Body, Durability, IdempotencyKey, Message, MessageId, ReplyTo, SessionId},
    store::Mail,
};

use crate::{
    connect::Connected,
    failure::Failure,
    output::{self, Time, or_dash},
    table::table,
};

/// How many are shown.
const SHOWN: usize = 100;

/// The first of them.
pub(crate) struct Inbox(Vec<Mail>);

impl Inbox {
    pub(crate) async fn of(client: &Client<Connected>, session: &SessionId) -> Result<Self, Failure> {
        let mail = client.store().inbox(session, SHOWN).await.map_err(ClientError::Store)?;
        Ok(Self(mail))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// What `--json` prints of each.
    pub(crate) fn reports(&self) -> Vec<Waiting<'_>> {
        self.0.iter().map(Waiting::of).collect()
    }

    /// Prints them below what else is shown of their session.
    pub(crate) fn print(&self, waiting: u64) -> Result<(), Failure> {
        if self.0.is_empty() {
            return Ok(());
        }
        output::line("")?;
        table(HEADER, &self.0.iter().map(row).collect::<Vec<_>>())?;
        if waiting > self.0.len() as u64 {
            eprintln!("these are the first {} of {waiting}", self.0.len());
        }
        Ok(())
    }
}

const HEADER: [&str; 4] = ["MESSAGE", "TIME", "ID", "BODY"];

fn row(mail: &Mail) -> [String; 4] {
    match mail {
        Mail::Message(message) | Mail::Malformed(message, _) => [
            message.message.to_string(),
            Time(message.time).to_string(),
            or_dash(message.id.as_ref()),
            output::cell(&message.body),
        ],
        Mail::Unreadable(why) => ["-".to_owned(), "-".to_owned(), "-".to_owned(), format!("({why})")],
    }
}

/// What `--json` prints of a waiting message.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Waiting<'m> {
    Message {
        message: MessageId,
        time: Time,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'m IdempotencyKey>,
        #[serde(skip_serializing_if = "Option::is_none")]
        reply_to: Option<&'m ReplyTo>,
        /// What it asks for over its agent's class.
        #[serde(skip_serializing_if = "Option::is_none")]
        durability: Option<Durability>,
        body: &'m Body,
    },
    Unreadable {
        unreadable: &'m str,
    },
}

impl<'m> Waiting<'m> {
    fn of(mail: &'m Mail) -> Self {
        let message = match mail {
            Mail::Message(message) | Mail::Malformed(message, _) => message,
            Mail::Unreadable(why) => return Self::Unreadable { unreadable: why },
        };
        let Message { message, time, id, reply_to, durability, body, .. } = message;
        Self::Message {
            message: *message,
            time: Time(*time),
            id: id.as_ref(),
            reply_to: reply_to.as_ref(),
            durability: Some(*durability).filter(|asked| *asked != Durability::MEMORY),
            body,
        }
    }
}
