//! What a turn's boundaries write: from a run and what the owner knows, the boundary. Pure.

use serde::{Deserialize, Serialize};
use serde_json::{json, value::RawValue};
use std::time::Duration;

use super::agent::Output;
use crate::{
    model::{
        Body, Cause, Durability, EntryId, EntryKind, Envelope, Failure, Lease, Loss, Message, NewEntry,
        Resume, SessionRecord, Unfinished, Verdict, seal::Unopened,
    },
    planted::{Bug, planted},
    store::{Boundary, Done, Head, StateChange},
};

/// Where a session stands, as its owner knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    /// The number of its last entry.
    pub(super) seq: u64,
    /// The number of the last message that is done.
    pub(super) taken: u64,
    /// Turns that ended.
    pub(super) turns: u64,
    /// Failed runs of the message at the head.
    pub(super) tries: u32,
    /// How far its turn got, if that has a boundary.
    pub(super) unfinished: Option<Unfinished>,
}

impl Position {
    pub(super) fn of(record: &SessionRecord) -> Self {
        let SessionRecord { seq, taken, turns, tries, unfinished, .. } = *record;
        Self { seq, taken, turns, tries, unfinished }
    }

    /// Boundaries of the turn of the message at the head.
    pub(super) fn boundaries(&self) -> u64 {
        self.unfinished.map_or(0, |unfinished| unfinished.boundaries)
    }

    /// The message's own entry, if it is not in the history yet: its turn's first boundary writes it.
    fn opening(&self, message: &Message) -> Option<NewEntry> {
        let is_due = self.unfinished.is_none() || planted(Bug::UserTwice);
        is_due.then(|| NewEntry {
            kind: EntryKind::User,
            message: Some(message.message),
            body: message.body.clone(),
        })
    }
}

/// A boundary in the middle of a turn, and where the session stands once it is written.
pub(super) fn middle(
    position: &Position,
    turn: u64,
    message: &Message,
    appended: Vec<NewEntry>,
    state: Option<&str>,
    resume: Resume,
) -> (Boundary, Position) {
    let entries: Vec<_> = position.opening(message).into_iter().chain(appended).collect();
    let seq = position.seq + entries.len() as u64;
    let unfinished = Some(Unfinished { boundaries: position.boundaries() + 1, resume });
    let boundary = Boundary {
        turns: position.turns,
        tries: position.tries,
        entries,
        state: state.map(write_state).map_or(StateChange::Keep, StateChange::Set),
        of: Some(head(message)),
        unfinished,
        ..empty(position, turn)
    };
    (boundary, Position { seq, unfinished, ..*position })
}

/// The boundary of a run that ended, and what holds once it is written.
#[derive(Debug)]
pub(super) struct Write {
    pub(super) boundary: Boundary,
    pub(super) verdict: Verdict,
    pub(super) position: Position,
    /// The agent's state as JSON, if it changes.
    pub(super) state: Option<String>,
}

/// A run that ended, whose outcome is to be written at a class.
#[derive(Clone, Copy)]
pub(super) struct RunOf<'a> {
    pub(super) lease: &'a Lease,
    pub(super) class: Durability,
    pub(super) position: &'a Position,
    pub(super) turn: u64,
    pub(super) message: &'a Message,
}

impl RunOf<'_> {
    /// The end of a turn that went well.
    pub(super) fn finished(self, output: Output) -> Write {
        let Self { lease, position, turn, message, .. } = self;
        let Output { reply, appended, state } = output;
        let mut entries: Vec<_> = position.opening(message).into_iter().chain(appended).collect();
        let assistant = |body| NewEntry { kind: EntryKind::Assistant, message: Some(message.message), body };
        entries.extend(reply.clone().map(assistant));
        let entry = EntryId { epoch: lease.epoch(), seq: position.seq + entries.len() as u64 };
        let answer = Envelope::reply(lease.session(), message, turn, reply.is_some().then_some(entry), reply);
        let done = done(message, &answer.at(self.class), None);
        let stored = state.as_deref().map(write_state);
        let boundary = Boundary {
            entries,
            state: stored.map_or(StateChange::Keep, StateChange::Set),
            done: Some(done),
            class: self.class,
            ..empty(position, turn)
        };
        ended(boundary, turn, Verdict::Finished, message, state)
    }

    /// The end of a run that failed.
    pub(super) fn failed(self, failure: &Failure, verdict: Verdict, attempt: u32) -> Write {
        let Self { lease, class, position, turn, message } = self;
        if let Verdict::Retry(after) = verdict {
            let boundary = Boundary {
                turns: position.turns,
                tries: attempt,
                backoff: Some(after),
                of: Some(head(message)),
                unfinished: position.unfinished,
                class,
                ..empty(position, turn)
            };
            let position = Position { tries: attempt, ..*position };
            return Write { boundary, verdict, position, state: None };
        }
        let event = json!({ "event": "dead", "reason": failure.reason, "error": failure.message });
        let event = Body::of(&event).expect("an object");
        let answer = Envelope::error(lease.session(), message, failure.reason, &failure.message);
        let event = NewEntry { kind: EntryKind::Event, message: Some(message.message), body: event };
        let boundary = Boundary {
            entries: position.opening(message).into_iter().chain([event]).collect(),
            done: Some(done(message, &answer.at(class), Some((failure.reason.to_owned(), attempt)))),
            class,
            ..empty(position, turn)
        };
        ended(boundary, turn, verdict, message, None)
    }
}

/// Sets a session aside because something of it cannot be read.
pub(super) fn quarantine(position: &Position, why: String) -> Boundary {
    Boundary {
        turns: position.turns,
        tries: position.tries,
        unfinished: position.unfinished,
        quarantine: Some((Cause::Unreadable, why)),
        ..empty(position, position.turns)
    }
}

/// Writes down what the server lost of the session.
pub(super) fn lost(position: &Position, loss: &Loss) -> (Boundary, Position) {
    let event = NewEntry { kind: EntryKind::Event, message: None, body: loss.event() };
    let boundary = Boundary {
        turns: position.turns,
        tries: position.tries,
        unfinished: position.unfinished,
        entries: vec![event],
        // It stands in front of the next turn.
        ..empty(position, position.turns + 1)
    };
    (boundary, Position { seq: position.seq + 1, ..*position })
}

/// A boundary that ends `turn` and writes nothing yet; the actor fills in its id, page and `own_ttl`, and where the whole is told later its class.
fn empty(position: &Position, turn: u64) -> Boundary {
    Boundary {
        commit: String::new(),
        after: position.seq,
        boundaries: position.boundaries(),
        turn,
        turns: turn,
        entries: Vec::new(),
        state: StateChange::Keep,
        of: None,
        done: None,
        unfinished: None,
        tries: 0,
        backoff: None,
        quarantine: None,
        own_ttl: Duration::ZERO,
        page: 0,
        class: Durability::MEMORY,
    }
}

fn ended(boundary: Boundary, turn: u64, verdict: Verdict, message: &Message, state: Option<String>) -> Write {
    let seq = boundary.after + boundary.entries.len() as u64;
    let position = Position { seq, taken: message.number, turns: turn, tries: 0, unfinished: None };
    Write { boundary, verdict, position, state }
}

fn head(message: &Message) -> Head {
    Head { number: message.number, message: message.message }
}

fn done(message: &Message, answer: &Envelope, dead: Option<(String, u32)>) -> Done {
    Done {
        number: message.number,
        message: message.message,
        id: message.id.clone(),
        reply_to: message.reply_to.clone(),
        answer: answer.to_json(),
        sealed: message.sealed,
        dead,
    }
}

/// An agent's state as it is stored: with the version of the record.
#[derive(Serialize, Deserialize)]
struct StoredState<'a> {
    v: u32,
    #[serde(borrow)]
    state: Option<&'a RawValue>,
}

/// The version of stored states that this code writes, and the only one it reads.
const STATE_VERSION: u32 = 1;

fn write_state(state: &str) -> String {
    let state = serde_json::from_str(state).expect("an agent's state was just serialized");
    serde_json::to_string(&StoredState { v: STATE_VERSION, state: Some(state) }).expect("plain data")
}

/// The agent's state in a stored record, as JSON.
pub(super) fn read_state(stored: &str) -> Result<String, String> {
    if let Some(why) = Unopened::read(stored) {
        return Err(format!("the stored state cannot be read: {why}"));
    }
    let record: StoredState<'_> =
        serde_json::from_str(stored).map_err(|err| format!("the stored state cannot be read: {err}"))?;
    match record {
        StoredState { v: STATE_VERSION, state } => Ok(state.map_or("null", RawValue::get).to_owned()),
        StoredState { v, .. } => {
            Err(format!("the stored state has version {v}, this worker reads {STATE_VERSION}"))
        }
    }
}

/// Reads a stored state of any bytes; for fuzzing.
#[cfg(feature = "fuzzing")]
pub(crate) fn any_state(stored: &str) {
    if let Ok(state) = read_state(stored) {
        assert_eq!(read_state(&write_state(&state)).as_ref(), Ok(&state));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_reads_back_as_written_and_a_newer_one_is_refused() {
        for state in ["{\"a\":[1,2]}", "7", "null"] {
            assert_eq!(read_state(&write_state(state)).unwrap(), state);
        }
        assert!(read_state("{\"v\":2,\"state\":{}}").unwrap_err().contains("version 2"));
        assert!(read_state("garbage").is_err());
        let why = read_state(r#"{"sealed":{"key":"k1","why":"no_key"}}"#).unwrap_err();
        assert!(why.contains("sealed by key k1, which is not here"), "{why}");
    }
}
