//! What processes asked of sessions and were told: the material of the check for linearizability at the end.

use super::{
    check::session::{Answer, Call},
    choice::Actor,
    history::{Asked, History},
    world::State,
};
use crate::{
    model::{
        Entry, EntryId, Envelope, Epoch, Lease, NewMessage, SessionId, SessionRecord, Unfinished, WorkerId,
    },
    store::{
        Boundary, Claim, Commit, HistoryRange, Look, Reap, Relay, Relayed, RelayedKind, Release, Sent,
        StoreError, StoreResult,
    },
};

/// The questions of a run, and their answers.
pub(super) type Records = History<Call, Answer>;

/// A question about a session.
pub(super) type SessionCall = Call;

/// An outcome of an operation, as the model of a session knows it.
pub(super) trait Told {
    /// What it says; none if it leaves open what happened.
    fn told(&self) -> Option<Answer>;
}

impl State {
    /// Somebody asks something of a session.
    pub(super) fn asks(&mut self, actor: Actor, session: &SessionId, call: Call) -> Asked {
        let (object, step) = (self.names.session(session), self.step());
        self.records.invoke(actor, object, call, step)
    }

    /// What was told; without an answer nobody knows whether it happened.
    pub(super) fn told<T: Told>(&mut self, asked: Asked, answer: &StoreResult<T>) {
        let told = match answer {
            Ok(answer) => answer.told(),
            Err(StoreError::Unavailable(_)) => None,
            Err(_) => Some(Answer::Nothing),
        };
        if let Some(answer) = told {
            self.hears(asked, answer);
        }
    }

    pub(super) fn hears(&mut self, asked: Asked, answer: Answer) {
        // Later than the question, even where both fall into one step.
        let stamp = self.step() + 1;
        self.records.returned(asked, answer, stamp);
    }

    /// Somebody who asked at the step `asked` has read something of a session.
    pub(super) fn has_read(&mut self, actor: Actor, session: &SessionId, asked: u64, read: (Call, Answer)) {
        let (call, answer) = read;
        let object = self.names.session(session);
        let asked = self.records.invoke(actor, object, call, asked);
        self.hears(asked, answer);
    }

    /// The messages of a batch of the plain door are sent.
    pub(super) fn asks_relay(&mut self, actor: Actor, batch: &[Relayed]) -> Vec<Option<Asked>> {
        let ask = |relayed: &Relayed| match &relayed.what {
            RelayedKind::Message(message) => Some(self.asks(actor, &message.session, send(message))),
            RelayedKind::Refuse(_) => None,
        };
        batch.iter().map(ask).collect()
    }

    /// What became of them.
    pub(super) fn told_relay(&mut self, asked: Vec<Option<Asked>>, answer: &StoreResult<Relay>) {
        let outcome = |index: usize| match answer {
            Ok(Relay::Taken(sent)) => sent.get(index).and_then(Told::told),
            Ok(Relay::Unknown) => None,
            Err(StoreError::Unavailable(_)) => None,
            Ok(_) | Err(_) => Some(Answer::Nothing),
        };
        for (index, asked) in asked.into_iter().enumerate() {
            if let (Some(asked), Some(answer)) = (asked, outcome(index)) {
                self.hears(asked, answer);
            }
        }
    }
}

/// The question of a send.
pub(super) fn send(message: &NewMessage) -> Call {
    let named = message.id.as_ref().map(|id| name(id.as_str().as_bytes()));
    Call::Send {
        message: named.unwrap_or_else(|| name(message.message.0.as_bytes())),
        keyed: message.id.is_some(),
    }
}

/// The question of a claim, a release or a reap, by or of `worker`.
pub(super) fn claim(worker: &WorkerId) -> Call {
    Call::Claim { worker: name(worker.as_str().as_bytes()) }
}

pub(super) fn leave(worker: &WorkerId) -> Call {
    Call::Leave { worker: name(worker.as_str().as_bytes()) }
}

/// The question of a commit.
pub(super) fn commit(lease: &Lease, boundary: &Boundary) -> Call {
    let seqs = boundary.after + 1..=boundary.after + boundary.entries.len() as u64;
    Call::Commit {
        commit: name(boundary.commit.as_bytes()),
        epoch: lease.epoch().0,
        after: boundary.after,
        entries: seqs.map(|seq| entry(lease.epoch(), seq)).collect(),
        done: boundary.done.as_ref().map(|done| done.number),
        boundaries: boundaries(boundary.unfinished),
        known: boundary.boundaries,
    }
}

fn boundaries(unfinished: Option<Unfinished>) -> u64 {
    unfinished.map_or(0, |unfinished| unfinished.boundaries)
}

/// What a read of a history asked, by what it got; nothing if it is not known after which entry nothing stands.
pub(super) fn read(range: HistoryRange, entries: &[Entry]) -> Option<(Call, Answer)> {
    let (from_start, limit) = match range {
        HistoryRange::Newest(_) => (true, usize::MAX),
        HistoryRange::After(after, limit) => (after.is_none(), limit),
    };
    let first = entries.first().map(|first| first.id.seq - 1);
    let after = first.or(from_start.then_some(0))?;
    let is_all = entries.len() < limit;
    let entries = entries.iter().map(|read| entry(read.id.epoch, read.id.seq)).collect();
    Some((Call::Read { after }, if is_all { Answer::Tail(entries) } else { Answer::Entries(entries) }))
}

/// What a reply says of its session's history: that it holds the entry.
pub(super) fn reply(envelope: &str) -> Option<(SessionId, Call, Answer)> {
    let Envelope { session, entry: named, .. } = serde_json::from_str(envelope).ok()?;
    let EntryId { epoch, seq } = named?;
    Some((session?, Call::Read { after: seq - 1 }, Answer::Entries(vec![entry(epoch, seq)])))
}

fn entry(Epoch(epoch): Epoch, seq: u64) -> u64 {
    name(&[epoch.to_le_bytes(), seq.to_le_bytes()].concat())
}

fn name(bytes: &[u8]) -> u64 {
    super::trace::fnv(bytes)
}

impl Told for Sent {
    fn told(&self) -> Option<Answer> {
        Some(match self {
            Self::Accepted { number, .. } => Answer::Accepted { number: *number },
            Self::Repeat { .. } => Answer::Repeat,
            Self::Unknown => return None,
            Self::Refused(_) | Self::OtherPool(_) => Answer::Nothing,
        })
    }
}

impl Told for Claim {
    fn told(&self) -> Option<Answer> {
        Some(match self {
            Self::Won(claimed) => Answer::Claimed {
                epoch: claimed.lease.epoch().0,
                last: claimed.record.seq,
                done: claimed.record.taken,
                boundaries: boundaries(claimed.record.unfinished),
            },
            Self::Unknown(_) => return None,
            _ => Answer::Nothing,
        })
    }
}

impl Told for Look {
    fn told(&self) -> Option<Answer> {
        let Self::Here(sight) = self else { return Some(Answer::Nothing) };
        let SessionRecord { given, seq, taken, .. } = sight.record;
        Some(Answer::Seen { given, last: seq, done: taken })
    }
}

impl Told for Release {
    fn told(&self) -> Option<Answer> {
        Some(if *self == Self::Released { Answer::Left } else { Answer::Nothing })
    }
}

impl Told for Reap {
    fn told(&self) -> Option<Answer> {
        Some(if matches!(self, Self::Reaped { .. }) { Answer::Left } else { Answer::Nothing })
    }
}

impl Told for Commit {
    fn told(&self) -> Option<Answer> {
        Some(match self {
            Self::Done { .. } => Answer::Committed,
            Self::Unknown { .. } => return None,
            Self::Behind { .. } => Answer::Behind,
            Self::Fenced | Self::Lost => Answer::Nothing,
        })
    }
}
