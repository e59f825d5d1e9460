//! Sessions' operations as reads and writes whose causes can be followed, across sessions.
//!
//! Each entry of a history and each message of an inbox is an object of its own that is written once. A commit reads
//! the message that it is done with and the entry that it follows, and writes its entries; a send that was accepted writes
//! the message. A read of a history reads the last entry that it got, and, if that was all, finds nothing
//! behind it. So a client that saw the reply of one session, and then sends to another, makes that reply a cause of what
//! the other one writes: whoever reads that must find the reply.
//!
//! One process may ask several things at once, and these are in no order. So each is split into lines of operations
//! of which one was over before the next began; one without an answer is the last of its line.

use std::collections::BTreeMap;

use super::{
    consistency::{Access, AccessKind, Anomaly, Level, causal},
    session::{Answer, Call},
};
use crate::sim::{
    Actor, Object,
    history::{History, Operation, Returned},
};

type Asked = Operation<Call, Answer>;

/// Looks for an effect that somebody saw without its cause; tells which operations contradict each other.
pub fn check(history: &History<Call, Answer>) -> Result<(), String> {
    let mut accesses = Accesses::of(history.operations());
    accesses.writes();
    accesses.all();
    causal(&accesses.made, Level::Causal).map_err(|anomaly| accesses.account(&anomaly))
}

/// What an object of the causal check stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// The entry of this number, in a session.
    Entry(Object, u64),
    /// The message of this number.
    Message(Object, u64),
}

struct Accesses<'h> {
    /// Sorted by their question; each with its line.
    operations: Vec<(&'h Asked, u16)>,
    numbers: BTreeMap<Place, Object>,
    /// Who wrote each version first: its place, the version, and the operation.
    written: BTreeMap<Place, BTreeMap<u64, usize>>,
    made: Vec<Access>,
    /// The operation behind each access.
    by: Vec<usize>,
}

impl<'h> Accesses<'h> {
    fn of(operations: &'h [Asked]) -> Self {
        let mut sorted: Vec<&Asked> = operations.iter().collect();
        sorted.sort_by_key(|operation| operation.invoked);
        let operations = in_lines(sorted);
        let (numbers, written) = (BTreeMap::new(), BTreeMap::new());
        Self { operations, numbers, written, made: Vec::new(), by: Vec::new() }
    }

    /// Notes who wrote what first: of a commit that was repeated, nobody knows which try took effect.
    fn writes(&mut self) {
        for at in 0..self.operations.len() {
            for (place, version) in written_by(self.operations[at].0) {
                self.written.entry(place).or_default().entry(version).or_insert(at);
            }
        }
    }

    fn all(&mut self) {
        for at in 0..self.operations.len() {
            let operation = self.operations[at].0;
            self.reads_of(at, operation);
            for (place, version) in written_by(operation) {
                if self.written[&place][&version] == at {
                    self.push(at, place, AccessKind::Write(version));
                }
            }
        }
    }

    fn reads_of(&mut self, at: usize, operation: &Asked) {
        let object = operation.object;
        let certain = operation.answer().filter(|_| operation.ended() != Returned::<Answer>::NEVER);
        match (&operation.call, certain) {
            (Call::Commit { after, done, .. }, Some(Answer::Committed)) => {
                self.sees(at, Place::Entry(object, *after));
                done.iter().for_each(|number| self.sees(at, Place::Message(object, *number)));
            }
            (Call::Read { after }, Some(Answer::Entries(entries))) => self.reads(at, *after, entries),
            (Call::Read { after }, Some(Answer::Tail(entries))) => {
                self.reads(at, *after, entries);
                let next = after + entries.len() as u64 + 1;
                self.push(at, Place::Entry(object, next), AccessKind::Read(None));
            }
            _ => (),
        }
    }

    /// Reads entries, of which the last has all others among its causes.
    fn reads(&mut self, at: usize, after: u64, entries: &[u64]) {
        if let Some(last) = entries.last() {
            let place = Place::Entry(self.operations[at].0.object, after + entries.len() as u64);
            self.push(at, place, AccessKind::Read(Some(*last)));
        }
    }

    /// Something is there, though what was not said: it is known if only one thing was ever written there.
    fn sees(&mut self, at: usize, place: Place) {
        let versions = self.written.get(&place).filter(|versions| versions.len() == 1);
        if let Some((&version, _)) = versions.and_then(|versions| versions.first_key_value()) {
            self.push(at, place, AccessKind::Read(Some(version)));
        }
    }

    fn push(&mut self, at: usize, place: Place, kind: AccessKind) {
        let next = Object(u32::try_from(self.numbers.len()).expect("few objects"));
        let object = *self.numbers.entry(place).or_insert(next);
        self.made.push(Access { actor: Actor::Client(self.operations[at].1), object, kind });
        self.by.push(at);
    }

    fn account(&self, anomaly: &Anomaly) -> String {
        let concerned = match *anomaly {
            Anomaly::Ambiguous { first, second } => vec![first, second],
            Anomaly::ThinAir { read } => vec![read],
            Anomaly::Cycle { access } => vec![access],
            Anomaly::Forgotten { read, write } => vec![write, read],
            Anomaly::Stale { read, old, new } => vec![old, new, read],
        };
        let line = |access: usize| {
            let Operation { actor, object, call, invoked, .. } = self.operations[self.by[access]].0;
            let answer = self.operations[self.by[access]].0.answer();
            format!("    access {access} [{invoked}] {actor:?} on {object:?}: {call:?} → {answer:?}")
        };
        let lines: Vec<_> = concerned.into_iter().map(line).collect();
        format!("{anomaly}:\n{}", lines.join("\n"))
    }
}

/// What an operation wrote, if it took effect.
fn written_by(operation: &Asked) -> Vec<(Place, u64)> {
    let object = operation.object;
    match (&operation.call, operation.answer()) {
        (Call::Commit { after, entries, .. }, None | Some(Answer::Committed)) => {
            let places = (after + 1..).map(|number| Place::Entry(object, number));
            places.zip(entries.iter().copied()).collect()
        }
        (Call::Send { message, .. }, Some(Answer::Accepted { number })) => {
            vec![(Place::Message(object, *number), *message)]
        }
        _ => Vec::new(),
    }
}

/// Gives each operation a line of its actor's in which everything before it is over.
fn in_lines(sorted: Vec<&Asked>) -> Vec<(&Asked, u16)> {
    let mut lines: BTreeMap<Actor, Vec<(u16, u64)>> = BTreeMap::new();
    let mut next = 0;
    let mut line_of = |operation: &Asked| {
        let lines = lines.entry(operation.actor).or_default();
        // What is heard in a step took effect in it at the latest, and what is asked in it takes effect in a later one.
        let free = lines.iter_mut().find(|(_, ended)| *ended <= operation.invoked.saturating_add(1));
        if let Some((line, ended)) = free {
            *ended = operation.ended();
            return *line;
        }
        next += 1;
        lines.push((next, operation.ended()));
        next
    };
    sorted.into_iter().map(|operation| (operation, line_of(operation))).collect()
}
