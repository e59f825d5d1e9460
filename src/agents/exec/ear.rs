//! Hears a child: reads its output, and hands each answer to the turn that waits for it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tokio::{io::AsyncReadExt, process::ChildStdout};
use tracing::{debug, warn};

use super::{
    calls::Taken,
    complaints::Complaints,
    fault::Fault,
    inbound::{self, Inbound},
    lines::Lines,
    link::Link,
    outbound::no_such_method,
};
use crate::model::AgentName;

/// A line holds a reply, a state and what is appended: each at most 1 MiB of body.
pub(super) const LONGEST: usize = 8 << 20;

/// What hears one child.
pub(super) struct Ear {
    pub(super) agent: Arc<AgentName>,
    pub(super) link: Link,
    pub(super) complaints: Complaints,
    /// Lines heard so far: a child that says something is alive.
    pub(super) heard: Arc<AtomicU64>,
}

impl Ear {
    /// Hears until there is nothing more to hear.
    pub(super) async fn hear(&self, mut output: ChildStdout) -> Fault {
        let mut lines = Lines::at_most(LONGEST);
        loop {
            match output.read_buf(lines.room()).await {
                Ok(0) => {
                    lines.last(|line| self.line(line));
                    return Fault::HungUp("it closed its output".to_owned());
                }
                Ok(_) if lines.each(|line| self.line(line)).is_ok() => (),
                Ok(_) => {
                    return Fault::Unbearable(format!("it wrote a line longer than {} MiB", LONGEST >> 20));
                }
                Err(err) => return Fault::HungUp(format!("its output cannot be read: {err}")),
            }
        }
    }

    fn line(&self, line: &[u8]) {
        self.heard.fetch_add(1, Ordering::Relaxed);
        inbound::read(line, |message| self.message(message));
    }

    fn message(&self, message: Inbound<'_>) {
        let agent = &self.agent;
        match message {
            Inbound::Answer { id, ending } => self.taken(id, self.link.calls().end(id, ending)),
            Inbound::Notification { method } => debug!(%agent, %method, "a notification is ignored"),
            Inbound::Request { id, method } => {
                let told = self.link.say(no_such_method(id));
                self.complaints.make(|kept_back| {
                    warn!(%agent, method = inbound::shown(method.as_bytes()), told, kept_back, "a worker takes no requests");
                });
            }
            Inbound::Garbage { why, shown } => self.complaints.make(|kept_back| {
                warn!(%agent, why, line = shown, kept_back, "a line on standard output is ignored; logs belong on standard error");
            }),
        }
    }

    fn taken(&self, id: u64, taken: Taken) {
        let what = match taken {
            Taken::ByItsTurn => return,
            Taken::Late => "an answer is ignored: its turn is over",
            Taken::Unknown => "an answer is ignored: nothing with its id was asked",
        };
        let agent = &self.agent;
        self.complaints.make(|kept_back| warn!(%agent, id, kept_back, "{what}"));
    }
}
