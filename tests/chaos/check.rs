//! What must hold in the end, told from the ledger, the histories and what the server holds.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tenure::{
    SessionId,
    model::{Body, Entry, EntryKind, SessionRecord, WorkerId},
    store::Snapshot,
};

use super::{
    journal::Journal,
    ledger::{Book, Note},
    run::Freed,
    storm::Struck,
};

/// What the agent answers; `src/bin/tenure/tally.rs` has the other half.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Count {
    count: u64,
    chain: u64,
}

impl Count {
    fn and(self, n: u64) -> Self {
        let mixed = (self.chain ^ n).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        Self { count: self.count + 1, chain: mixed >> 11 }
    }
}

#[derive(Debug, Deserialize)]
struct Order {
    n: u64,
}

/// The rules that were broken, each with where.
#[derive(Debug, Default)]
pub struct Faults(pub Vec<String>);

impl Faults {
    fn unless(&mut self, holds: bool, broken: impl FnOnce() -> String) {
        if !holds {
            self.0.push(broken());
        }
    }
}

/// Every message was accepted and answered, a repeat with the same answer, and nothing else came.
pub fn ledger(book: &Book) -> Faults {
    let mut faults = Faults(book.strange.clone());
    for (id, note) in &book.notes {
        faults.unless(note.accepted.is_some(), || format!("{id}: never known to be accepted"));
        faults.unless(note.answered.is_some(), || format!("{id}: accepted and not answered"));
        let Some(first) = note.replies.first() else { continue };
        faults.unless(first.error.is_none(), || format!("{id}: answered by an error: {}", first.to_json()));
        faults.unless(first.session.as_ref() == Some(&note.session), || format!("{id}: {}", first.to_json()));
        faults.unless(note.message.is_none() || note.message == first.message, || {
            format!("{id}: accepted as {:?}, answered as {}", note.message, first.to_json())
        });
        for reply in &note.replies {
            faults.unless(reply == first, || {
                format!("{id}: two answers: {} and {}", first.to_json(), reply.to_json())
            });
        }
        for receipt in &note.repeats {
            let same = receipt.repeat && Some(receipt.message) == first.message;
            let answer = receipt.answer.as_ref();
            faults.unless(same && answer.is_none_or(|answer| answer == first), || {
                format!("{id}: its repeat was taken as {receipt:?}, its answer was {}", first.to_json())
            });
        }
    }
    faults
}

/// A session's history holds each of its messages once, in the order in which they were sent, each turn whole,
/// without a gap, and no owner's entry after one of a later owner; the agent counted the same.
pub fn history(session: &SessionId, entries: &[Entry], notes: &[&Note]) -> Faults {
    let mut faults = Faults::default();
    let numbered = entries.iter().zip(1..).all(|(entry, seq)| entry.id.seq == seq);
    faults.unless(numbered, || format!("{session}: entries are not numbered from 1 without a gap"));
    for pair in entries.windows(2) {
        faults.unless(pair[0].id.epoch <= pair[1].id.epoch, || {
            format!("{session}: {} stands before {}: the epoch goes back", pair[0].id, pair[1].id)
        });
    }
    let turns: Vec<_> = entries.chunks(3).collect();
    faults.unless(turns.len() == notes.len(), || {
        format!("{session}: {} turns for {} messages", turns.len(), notes.len())
    });
    let mut count = Count::default();
    for ((turn, note), number) in turns.iter().zip(notes).zip(1..) {
        count = count.and(note.n);
        if let Err(why) = whole_turn(turn, note, number, count) {
            faults.0.push(format!("{session}, turn {number}: {why}"));
            // Whatever follows is off by as much.
            break;
        }
    }
    faults
}

fn whole_turn(turn: &[Entry], note: &Note, number: u64, count: Count) -> Result<(), String> {
    let [user, result, assistant] = turn else { return Err(format!("{} entries", turn.len())) };
    let kinds = [user.kind, result.kind, assistant.kind];
    if kinds != [EntryKind::User, EntryKind::ToolResult, EntryKind::Assistant] {
        return Err(format!("{kinds:?}"));
    }
    if turn.iter().any(|entry| entry.turn != number) {
        return Err(format!("its entries belong to {:?}", turn.iter().map(|entry| entry.turn)));
    }
    let order: Order = user.body.decode().map_err(|err| err.to_string())?;
    if order.n != note.n {
        return Err(format!("message {} where {} was sent", order.n, note.n));
    }
    let counted = |body: &Body| body.decode::<Count>().map_err(|err| err.to_string());
    if counted(&result.body)? != count || counted(&assistant.body)? != count {
        return Err(format!("the agent counted {:?}, and should {count:?}", counted(&assistant.body)?));
    }
    let Some(reply) = note.replies.first() else { return Ok(()) };
    let told = reply.reply.as_ref().and_then(Option::as_ref).map(Body::as_json);
    let same = reply.entry == Some(assistant.id)
        && reply.turn == Some(number)
        && reply.message == user.message
        && told == Some(assistant.body.as_json());
    if same { Ok(()) } else { Err(format!("its history and its reply differ: {}", reply.to_json())) }
}

/// Why the fleet is not at rest yet, if it is not: mail, replies or timers are left, or a session is owned.
pub fn unrest(snapshot: &Snapshot) -> Option<String> {
    for (partition, held) in &snapshot.partitions {
        let mail = held.sessions.iter().find(|(_, session)| !session.inbox.is_empty());
        if let Some((name, session)) = mail {
            return Some(format!(
                "{name} has {} messages waiting: {:?}",
                session.inbox.len(),
                session.record
            ));
        }
        if !held.ready.values().all(BTreeMap::is_empty) || !held.out.is_empty() || !held.timers.is_empty() {
            return Some(format!("{partition}: {:?}, {:?}, {:?}", held.ready, held.out, held.timers));
        }
        if let Some((name, session)) =
            held.sessions.iter().find(|(_, session)| session.record.owner.is_some())
        {
            return Some(format!("{name} is owned by {:?}", session.record.owner));
        }
    }
    None
}

/// Nothing was set aside or given up, and nothing is left of workers that are gone.
pub fn leftovers(snapshot: &Snapshot, members: &BTreeSet<WorkerId>) -> Faults {
    let mut faults = Faults::default();
    for (partition, held) in &snapshot.partitions {
        for (name, session) in &held.sessions {
            faults.unless(session.record.hold.is_none(), || {
                format!(
                    "{name} is set aside: {:?}, crashes {:?}",
                    session.record.hold, session.record.crashes
                )
            });
            faults.unless(session.record.tries == 0, || format!("{name}: {} tries", session.record.tries));
        }
        for letter in &held.dead {
            faults.0.push(format!("{partition}: given up: {letter:?}"));
        }
        for worker in held
            .held
            .keys()
            .chain(held.duty.as_ref().map(|duty| &duty.holder))
            .filter(|worker| !members.contains(worker))
        {
            faults.0.push(format!("{partition}: something is left with {worker}, which is gone"));
        }
    }
    faults
}

/// A drained worker ended with 0, if the server was there all the time.
pub fn drains(struck: &[Struck]) -> Faults {
    let mut faults = Faults::default();
    for drained in struck {
        let Some(how) = &drained.failed else { continue };
        let away = struck.iter().any(|other| other.takes_the_server_away() && other.overlaps(drained));
        faults.unless(away, || format!("a drain at {:.1?} ended with {how}", drained.began));
    }
    faults
}

/// A session was quarantined only after as many of its owners as it takes were really given up, one after the other; the
/// agent is innocent, but that is what it takes to be suspected.
pub fn quarantines(freed: &[Freed], journal: &Journal) -> Faults {
    let mut faults = Faults::default();
    for Freed { session, crashes } in freed {
        let workers: BTreeSet<_> = crashes.iter().map(|crash| crash.worker.to_string()).collect();
        let given_up = workers.iter().all(|worker| journal.was_given_up(worker));
        faults.unless(workers.len() >= SessionRecord::MOST_CRASHES && given_up, || {
            format!("{session} was quarantined for {crashes:?}")
        });
    }
    faults
}

/// How often a session's history goes from one owner's entries to the next one's.
pub fn changes_of_owner(entries: &[Entry]) -> usize {
    entries.windows(2).filter(|pair| pair[0].id.epoch != pair[1].id.epoch).count()
}
