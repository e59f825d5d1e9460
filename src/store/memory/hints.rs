//! Hints: what is published to workers, and who hears it.

use std::collections::BTreeMap;

use tokio::sync::mpsc;

use crate::{
    model::{Durability, Message, SessionId, WorkerId},
    store::{Hint, Listener, Mail},
};

/// A message travels with its wake if its record is not longer than this, in bytes.
const WAKE_PAYLOAD: usize = 1024;

/// Hints for one worker. While it lives, what is published to that worker is heard.
#[derive(Debug)]
pub struct MemoryListener(mpsc::UnboundedReceiver<Hint>);

impl Listener for MemoryListener {
    async fn recv(&mut self) -> Hint {
        match self.0.recv().await {
            Some(hint) => hint,
            // The store is gone, so nothing is published any more.
            None => std::future::pending().await,
        }
    }
}

/// The channels of all workers.
#[derive(Debug, Default)]
pub(super) struct Hints {
    listeners: BTreeMap<WorkerId, Vec<mpsc::UnboundedSender<Hint>>>,
}

impl Hints {
    pub(super) fn listen(&mut self, worker: &WorkerId) -> MemoryListener {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.listeners.entry(worker.clone()).or_default().push(sender);
        MemoryListener(receiver)
    }

    /// Whether anybody listens for `worker`.
    pub(super) fn is_heard(&self, worker: &WorkerId) -> bool {
        self.listeners.get(worker).is_some_and(|all| all.iter().any(|listener| !listener.is_closed()))
    }

    /// Tells `worker` that it was buried.
    pub(super) fn bury(&mut self, worker: &WorkerId) {
        self.publish(worker, Hint::Buried);
    }

    /// Tells `worker` to drain; whether it heard.
    pub(super) fn drain(&mut self, worker: &WorkerId) -> bool {
        self.publish(worker, Hint::Drain)
    }

    /// Tells an owner to look at `session`, and what arrived if that is small.
    pub(super) fn wake(&mut self, owner: &WorkerId, session: &SessionId, arrived: Option<&Message>) {
        let small = arrived.filter(|message| record_bytes(message) <= WAKE_PAYLOAD);
        let mail = small.map(|message| Box::new(Mail::Message(message.clone())));
        self.publish(owner, Hint::Wake { session: session.clone(), mail });
    }

    /// Tells `worker` that `session` wants an owner; whether anybody heard.
    pub(super) fn offer(&mut self, worker: &WorkerId, session: &SessionId) -> bool {
        self.publish(worker, Hint::Offer { session: session.clone() })
    }

    fn publish(&mut self, worker: &WorkerId, hint: Hint) -> bool {
        let Some(listeners) = self.listeners.get_mut(worker) else { return false };
        listeners.retain(|listener| listener.send(hint.clone()).is_ok());
        let heard = !listeners.is_empty();
        if !heard {
            self.listeners.remove(worker);
        }
        heard
    }
}

/// The length of an inbox record as Redis would hold it: a header of JSON, a newline, the body.
fn record_bytes(message: &Message) -> usize {
    let optional = |name: &str, value: Option<&str>| {
        value.map_or(0, |value| format!(",\"{name}\":\"\"").len() + escaped_bytes(value))
    };
    let Message { number, message: name, time, id, reply_to, durability, body, sealed: _ } = message;
    let durability = (*durability != Durability::MEMORY).then(|| durability.to_string());
    let header = format!("{{\"v\":1,\"n\":{number},\"message\":\"{name}\",\"time\":{}}}", time.0);
    header.len()
        + optional("id", id.as_ref().map(|id| id.as_str()))
        + optional("reply_to", reply_to.as_ref().map(|key| key.as_str()))
        + optional("durability", durability.as_deref())
        + "\n".len()
        + body.as_json().len()
}

/// The length of `text` within a JSON string as Redis' Lua writes it.
fn escaped_bytes(text: &str) -> usize {
    let escaped = |byte: u8| match byte {
        b'"' | b'\\' | b'/' | 0x08 | 0x09 | 0x0a | 0x0c | 0x0d => 2,
        0..=0x1f | 0x7f => 6,
        _ => 1,
    };
    text.bytes().map(escaped).sum()
}
