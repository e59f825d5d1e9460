//! The model of one session: what its senders, owners and readers would see if they came one at a time.
//!
//! Messages, workers, commits and entries are named by numbers that the recorder chooses; equal means the same. Times play
//! no part, so what only a clock decides (whether a lease may be taken, whether a key is forgotten) is left open:
//! the model says when an answer *may* be given. What has been lost with a server is not in it either: check a run
//! that loses acknowledged writes in parts, up to the loss.

use std::{
    hash::{Hash, Hasher},
    sync::Arc,
};

use super::Model;

/// A session, used by one client at a time.
#[derive(Debug, Clone, Copy, Default)]
pub struct Session;

/// A question about a session.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Call {
    /// Put a message into the inbox.
    Send {
        /// Names it: the sender's own `id` where there is one.
        message: u64,
        /// Whether that was the sender's `id`, under which a repeat is known for a day.
        keyed: bool,
    },
    /// Take the session.
    Claim {
        /// The incarnation that wants it.
        worker: u64,
    },
    /// Give it back, or take it from one that is gone: nobody owns it afterwards.
    Leave {
        /// Whose it is.
        worker: u64,
    },
    /// Make a boundary durable.
    Commit {
        /// Names the boundary.
        commit: u64,
        /// The epoch it is written under.
        epoch: u64,
        /// The number of the last entry that the writer knows of.
        after: u64,
        /// The entries to append.
        entries: Vec<u64>,
        /// The number of the message that is done, if one is.
        done: Option<u64>,
        /// How many boundaries the turn at the head has once it is written, if it is in the middle.
        boundaries: u64,
        /// How many the writer knows of.
        known: u64,
    },
    /// Read the history.
    Read {
        /// The number of the entry before the first one wanted.
        after: u64,
    },
    /// Look at it from the side.
    Look,
    /// Look for the reply to a message.
    Reply {
        /// The message's number.
        number: u64,
    },
}

/// What a session answers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Answer {
    /// The message is in the inbox.
    Accepted {
        /// Its number.
        number: u64,
    },
    /// It was accepted before.
    Repeat,
    /// The claim won.
    Claimed {
        /// The new epoch.
        epoch: u64,
        /// The number of the last entry.
        last: u64,
        /// How many messages are done.
        done: u64,
        /// How many boundaries the turn at the head has.
        boundaries: u64,
    },
    /// Nobody owns the session now.
    Left,
    /// The boundary is durable.
    Committed,
    /// The server has other entries, or another head, than the writer knows of.
    Behind,
    /// Entries after the one named; there may be more.
    Entries(Vec<u64>),
    /// All entries after the one named.
    Tail(Vec<u64>),
    /// What it holds.
    Seen {
        /// How many messages were ever accepted.
        given: u64,
        /// The number of the last entry.
        last: u64,
        /// How many messages are done.
        done: u64,
    },
    /// The message's reply.
    Replied,
    /// Refused, fenced or nothing there: nothing was changed.
    Nothing,
}

/// What a session holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct State {
    accepted: Row,
    entries: Row,
    done: u64,
    boundaries: u64,
    last_commit: Option<u64>,
    epoch: u64,
    owner: Option<u64>,
}

impl Model for Session {
    type State = State;
    type Call = Call;
    type Answer = Answer;

    fn initial(&self) -> State {
        State::default()
    }

    fn step(&self, state: &State, call: &Call, answer: Option<&Answer>) -> Option<State> {
        match (call, answer) {
            (_, Some(Answer::Nothing)) => Some(state.clone()),
            (&Call::Send { message, keyed }, answer) => state.sent(message, keyed, answer),
            (&Call::Claim { worker }, answer) => state.claimed(worker, answer),
            (&Call::Leave { worker }, None | Some(Answer::Left)) => Some(state.left_by(worker)),
            (Call::Commit { .. }, answer) => state.committed(call, answer),
            (&Call::Read { after }, answer) => state.read(after, answer),
            (Call::Look, answer) => state.seen(answer),
            (&Call::Reply { number }, answer) => state.replied(number, answer),
            _ => None,
        }
    }
}

impl State {
    fn sent(&self, message: u64, keyed: bool, answer: Option<&Answer>) -> Option<Self> {
        let again = self.accepted.last() == Some(message) || keyed && self.accepted.contains(message);
        let next = self.accepted.len() + 1;
        match answer {
            None | Some(Answer::Repeat) if again => Some(self.clone()),
            None if !again => Some(self.with_message(message)),
            Some(&Answer::Accepted { number }) if !again && number == next => {
                Some(self.with_message(message))
            }
            _ => None,
        }
    }

    fn with_message(&self, message: u64) -> Self {
        Self { accepted: self.accepted.with(&[message]), ..self.clone() }
    }

    /// A claim whose answer is lost leaves an epoch that nobody was told of; the next one's must be greater than it
    /// all the same, but by how much is not known, so that it counts as the least there can be.
    fn claimed(&self, worker: u64, answer: Option<&Answer>) -> Option<Self> {
        let epoch = match answer {
            None => self.epoch + 1,
            Some(&Answer::Claimed { epoch, last, done, boundaries })
                if (last, done, boundaries) == (self.entries.len(), self.done, self.boundaries)
                    && self.may_grant(worker, epoch) =>
            {
                epoch
            }
            _ => return None,
        };
        Some(Self { epoch, owner: Some(worker), ..self.clone() })
    }

    /// A new epoch is greater; the one granted to this worker last is granted again if it asks again.
    fn may_grant(&self, worker: u64, epoch: u64) -> bool {
        epoch > self.epoch || (epoch == self.epoch && self.owner == Some(worker))
    }

    fn left_by(&self, worker: u64) -> Self {
        let owner = self.owner.filter(|&owner| owner != worker);
        Self { owner, ..self.clone() }
    }

    fn committed(&self, call: &Call, answer: Option<&Answer>) -> Option<Self> {
        let Call::Commit { commit, epoch, after, entries, done, boundaries, known } = call else {
            return None;
        };
        let repeat = self.last_commit == Some(*commit);
        let knows_all = *after == self.entries.len() && *known == self.boundaries;
        let agrees = knows_all && done.is_none_or(|number| self.is_head(number));
        let fits = agrees && self.owner.is_some() && *epoch == self.epoch;
        match answer {
            None | Some(Answer::Committed) if repeat => Some(self.clone()),
            None | Some(Answer::Committed) if fits => Some(Self {
                entries: self.entries.with(entries),
                done: done.unwrap_or(self.done),
                boundaries: *boundaries,
                last_commit: Some(*commit),
                ..self.clone()
            }),
            Some(Answer::Behind) if !repeat && !agrees => Some(self.clone()),
            _ => None,
        }
    }

    fn is_head(&self, number: u64) -> bool {
        number == self.done + 1 && number <= self.accepted.len()
    }

    /// A page may end early, but holds no other entries and skips none.
    fn read(&self, after: u64, answer: Option<&Answer>) -> Option<Self> {
        let fits = match answer {
            None => true,
            Some(Answer::Entries(entries)) => self.entries.after(after).starts_with(entries),
            Some(Answer::Tail(entries)) => self.entries.after(after) == entries,
            Some(_) => false,
        };
        fits.then(|| self.clone())
    }

    fn seen(&self, answer: Option<&Answer>) -> Option<Self> {
        let fits = match answer {
            None => true,
            Some(&Answer::Seen { given, last, done }) => {
                (given, last, done) == (self.accepted.len(), self.entries.len(), self.done)
            }
            Some(_) => false,
        };
        fits.then(|| self.clone())
    }

    /// A reply is handed out after its message is done, at any time.
    fn replied(&self, number: u64, answer: Option<&Answer>) -> Option<Self> {
        let fits = match answer {
            None => true,
            Some(Answer::Replied) => number <= self.done,
            Some(_) => false,
        };
        fits.then(|| self.clone())
    }
}

/// Numbers in a row that only grows: shared, as most steps leave it alone, and with a digest, so that it is hashed in no time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Row {
    digest: u64,
    items: Arc<[u64]>,
}

impl Row {
    fn with(&self, more: &[u64]) -> Self {
        let digest = more.iter().fold(self.digest, |digest, &item| mix(digest ^ mix(item)));
        Self { digest, items: [&self.items, more].concat().into() }
    }

    fn len(&self) -> u64 {
        self.items.len() as u64
    }

    fn last(&self) -> Option<u64> {
        self.items.last().copied()
    }

    fn contains(&self, item: u64) -> bool {
        self.items.contains(&item)
    }

    fn after(&self, count: u64) -> &[u64] {
        let from = usize::try_from(count).unwrap_or(usize::MAX).min(self.items.len());
        &self.items[from..]
    }
}

impl Hash for Row {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.digest);
    }
}

/// Spreads a number's bits (the finaliser of splitmix64: Steele, Lea & Flood 2014).
fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
