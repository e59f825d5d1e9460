//! From a wish to a call: numbers become what the memory store holds at that moment.

use std::time::Duration;

use tenure::{
    model::{Body, Door, Durability, Epoch, Lease, NewMessage, Resume, SessionId, StreamId},
    store::{
        Claimant, DutyWish, FirstMessage, Ground, HistoryRange, Leaving, Member, MemberState, Overdue,
        Purpose, Refused, Relayed, RelayedKind, Suspect,
    },
};

use super::{
    call::{Call, OWN_TTL},
    cast,
    knowledge::{Knowledge, chosen},
    operation::{self, Letter, Operation, Reading, Size, Worker},
};

/// About as long as the body of a record that just travels with a wake.
const NEAR_WAKE: usize = 885;

/// The call that fulfils a wish; none if there is nothing to do it with.
pub fn resolve(known: &mut Knowledge, operation: &Operation, leases: &[Lease]) -> Option<Call> {
    Some(match operation {
        Operation::Tick(_) | Operation::DeleteOwn { .. } | Operation::Again => return None,
        Operation::Send(letter) => Call::Send(message(known, letter)),
        Operation::Relay { at, door, previous, ids_back, batch } => {
            relay(known, *at, cast::door(*door), (*previous, *ids_back), batch)
        }
        Operation::Renew { worker, at, load, duty, join } => {
            let duty =
                [DutyWish::Take, DutyWish::Leave, DutyWish::Yield, DutyWish::GiveUp][usize::from(*duty)];
            let presence = cast::presence(known.worker(*worker), load.map(u64::from), duty);
            let at = known.partition(*at);
            if *join { Call::Join(at, presence) } else { Call::Renew(at, presence) }
        }
        Operation::Bury { worker, at, ground } => {
            let ground = [Ground::Overdue, Ground::Lifeline, Ground::OwnWish][usize::from(*ground)];
            let session = known.existing(*at);
            Call::Bury(known.partition_of(session), known.one_of(*worker, session)?, ground)
        }
        Operation::Claim { .. } => claim(known, operation)?,
        Operation::Commit { lease, boundary } => {
            let (at, lease) = newest(leases, *lease)?;
            Call::Commit(at, Box::new(known.boundary(lease, boundary)))
        }
        Operation::Release { lease, hand_off, page } => {
            let leaving = if *hand_off { Leaving::HandOff } else { Leaving::IfIdle };
            Call::Release(newest(leases, *lease)?.0, leaving, (*page).into())
        }
        Operation::Refresh { lease, page } => Call::Refresh(newest(leases, *lease)?.0, (*page).into()),
        Operation::Reap { session, from, other_pool } => {
            let session = known.orphan(*session);
            let from = known.one_of(*from, session)?;
            Call::Reap(session.clone(), from, known.pool_of(session, *other_pool))
        }
        Operation::Survey { at, other_pool } => {
            Call::Survey(known.partition(*at), cast::pools()[usize::from(*other_pool)].clone())
        }
        Operation::Fire { session, other_pool } => {
            let session = known.waiting(*session);
            Call::Fire(session.clone(), known.pool_of(session, *other_pool))
        }
        Operation::Offer { session, except, other_pool } => {
            let session = known.claimable(*session);
            let except = except.map(|except| known.worker(except).clone());
            Call::Offer(session.clone(), known.pool_of(session, *other_pool), except)
        }
        Operation::Mend { session, owner, other_pool, home } => {
            let session = known.existing(*session);
            let home = home.map(|other| cast::pools()[usize::from(other)].clone());
            Call::Mend(
                session.clone(),
                known.pool_of(session, *other_pool),
                known.one_of(*owner, session),
                home,
            )
        }
        Operation::Deliver { at, most, again } => {
            let (at, replies) = known.replies(known.with_replies(*at), (*most).into(), *again)?;
            Call::Deliver(at, replies)
        }
        Operation::TakeReply { list } => Call::TakeReply(known.list_with_replies(*list).clone()),
        Operation::Revive { at, letter, again, other_pool } => {
            let (letter, name) = known.letter_to_revive(known.with_letters(*at), *letter, *again)?;
            let pool = letter.session.as_ref().map(|session| known.pool_of(session, *other_pool));
            Call::Revive(letter, name, pool.unwrap_or_default())
        }
        Operation::DropDead { at, most } => {
            let at = known.with_letters(*at);
            Call::DropDead(
                at,
                known.held(at).dead.iter().map(|letter| letter.id).take((*most).into()).collect(),
            )
        }
        Operation::Haunt { worker, leave_suspects } => haunt(known, *worker, *leave_suspects)?,
        Operation::Free { session, drop, other_pool } => {
            let session = known.quarantined(*session);
            let first = if *drop { FirstMessage::Drop } else { FirstMessage::Keep };
            Call::Free(session.clone(), known.pool_of(session, *other_pool), first)
        }
        Operation::Proceed { session, other_pool } => {
            let session = known.suspended(*session);
            Call::Proceed(session.clone(), known.pool_of(session, *other_pool))
        }
        Operation::Delete { session, owner, other_pool } => {
            let session = known.existing(*session);
            Call::Delete(session.clone(), known.pool_of(session, *other_pool), known.one_of(*owner, session))
        }
        Operation::Read(reading) => read(known, *reading),
        Operation::Post { door, fields } => {
            let field = |n: u8| (format!("field {n}").into_bytes(), vec![n, 0xff, 0, b'"']);
            Call::Post(cast::door(*door), (0..*fields).map(field).collect())
        }
        Operation::Ingress { door, most } => Call::Ingress(cast::door(*door), (*most).into()),
        Operation::RemoveIngress { door, most } => Call::RemoveIngress(
            cast::door(*door),
            known.ingress(*door).entries.iter().map(|entry| entry.id).take((*most).into()).collect(),
        ),
        Operation::Advance { door, by } => {
            let last = known.ingress(*door).last;
            Call::Advance(
                cast::door(*door),
                StreamId { millis: (last.millis + u64::from(*by)).saturating_sub(500), ..last },
            )
        }
        Operation::Announce { worker, secs } => {
            Call::Announce(Box::new(member(known, *worker)), Duration::from_secs(u64::from(*secs) + 1))
        }
        Operation::Retire { worker } => Call::Retire(known.worker(*worker).clone()),
    })
}

/// A lease by its place from the newest.
fn newest(leases: &[Lease], back: u8) -> Option<(usize, &Lease)> {
    let at = leases.len().checked_sub(1 + usize::from(back) % leases.len().max(1))?;
    Some((at, &leases[at]))
}

fn message(known: &mut Knowledge, letter: &Letter) -> NewMessage {
    let session = known.session(letter.session).clone();
    let name = known.name();
    let text = match letter.size {
        Size::Small => String::new(),
        Size::NearWake(more) => "x".repeat(NEAR_WAKE + usize::from(more)),
        Size::TooLarge => "x".repeat(cast::settings().limits.body),
    };
    NewMessage {
        message: name,
        id: letter.id.map(|id| known.id(id).clone()),
        reply_to: letter.reply_to.map(|list| known.list(list).clone()),
        body: Body::text(&text),
        group: letter.group.then(|| "a-group\"".parse().expect("a good group")),
        resume: letter.resume.map(|eager| if eager { Resume::Eager } else { Resume::Lazy }),
        pool: known.pool_of(&session, letter.other_pool),
        session,
        durability: Durability { fsync: false, replicas: letter.asks },
        class: Default::default(),
    }
}

fn relay(
    known: &mut Knowledge,
    at: u8,
    door: Door,
    (previous, ids_back): (u8, bool),
    batch: &[operation::Relayed],
) -> Call {
    let partition = known.partition(at);
    let here: Vec<SessionId> = known.sessions_in(partition);
    let cursor = known.held(partition).cursors.get(&door).copied();
    let previous = match previous {
        0 => cursor,
        1 => None,
        _ => Some(StreamId { millis: 7, seq: 7 }),
    };
    let from = cursor.map_or(1, |cursor| cursor.millis) - u64::from(ids_back && cursor.is_some());
    let entries = batch.iter().zip(1_u64..).map(|(relayed, n)| Relayed {
        id: StreamId { millis: from + n / 2, seq: 9 * (n % 2) + n },
        what: relayed_kind(known, &here, relayed),
    });
    let entries: Vec<_> = entries.collect();
    Call::Relay(partition, door, previous, entries)
}

fn relayed_kind(known: &mut Knowledge, here: &[SessionId], relayed: &operation::Relayed) -> RelayedKind {
    match relayed {
        operation::Relayed::Letter(letter) => {
            let session = chosen(here, letter.session).clone();
            let pool = known.pool_of(&session, letter.other_pool);
            RelayedKind::Message(Box::new(NewMessage { session, pool, ..message(known, letter) }))
        }
        operation::Relayed::Malformed { session, reply_to } => RelayedKind::Refuse(Box::new(Refused {
            session: session.map(|session| chosen(here, session).clone()),
            id: session.map(|id| known.id(id).clone()),
            reply_to: reply_to.map(|list| known.list(list).clone()),
            durability: Durability { fsync: reply_to.is_some(), replicas: 0 },
            reason: "malformed".into(),
            sentence: "`to` is \"missing\"\n".into(),
            body: Body::text("\u{1}/ü"),
        })),
    }
}

fn claim(known: &mut Knowledge, operation: &Operation) -> Option<Call> {
    let Operation::Claim { worker, session, again, spare, seen, other_pool, leave_suspects, page } =
        operation
    else {
        return None;
    };
    let session = known.claimable(*session).clone();
    let claimant = Claimant {
        worker: known.one_of(*worker, &session)?,
        pool: known.pool_of(&session, *other_pool),
        nonce: known.nonce_for(&session, *again),
        own_ttl: OWN_TTL,
        seen: Epoch(if *seen == 0 { 0 } else { known.now.0 + u64::from(*seen) }),
        overdue: if *spare { Overdue::Spare } else { Overdue::Bury },
        suspect: if *leave_suspects { Suspect::Leave } else { Suspect::Take },
        purpose: if *seen % 7 == 3 { Purpose::Report } else { Purpose::Run },
        class: Default::default(),
    };
    Some(Call::Claim(session, claimant, (*page).into()))
}

/// A dead owner is reaped, a living one dies, and where there is none somebody claims.
fn haunt(known: &mut Knowledge, worker: u8, leave_suspects: bool) -> Option<Call> {
    let session = known.most_haunted()?.clone();
    let pool = known.pool_of(&session, false);
    if let Some(owner) = known.one_of(Worker::Owner, &session) {
        let at = known.partition_of(&session);
        return Some(if known.is_buried(at, &owner) {
            Call::Reap(session, owner, pool)
        } else {
            Call::Bury(at, owner, Ground::OwnWish)
        });
    }
    let Some(claimant) = known.one_of(Worker::Living(worker), &session) else {
        let presence = cast::presence(known.worker(worker), None, DutyWish::Leave);
        return Some(Call::Join(known.partition_of(&session), presence));
    };
    let claimant = Claimant {
        worker: claimant,
        pool,
        nonce: known.nonce_for(&session, false),
        own_ttl: OWN_TTL,
        seen: Epoch(0),
        overdue: Overdue::Bury,
        suspect: if leave_suspects { Suspect::Leave } else { Suspect::Take },
        purpose: Purpose::Run,
        class: Default::default(),
    };
    Some(Call::Claim(session, claimant, 1))
}

fn read(known: &Knowledge, reading: Reading) -> Call {
    match reading {
        Reading::Look(session) => Call::Look(known.existing(session).clone()),
        Reading::Sessions { at, after, most } => {
            let after = after.map(|after| known.session(after).clone());
            Call::Sessions(known.partition(at), after, most.into())
        }
        Reading::Newest { session, most } => {
            Call::History(known.existing(session).clone(), HistoryRange::Newest(most.into()))
        }
        Reading::After { session, entry, most } => {
            let session = known.existing(session);
            let history = known.seen(session).map(|seen| &seen.history[..]).unwrap_or_default();
            let after = entry.filter(|_| !history.is_empty()).map(|entry| chosen(history, entry).id);
            Call::History(session.clone(), HistoryRange::After(after, most.into()))
        }
        Reading::Dead { at, after, most } => {
            let at = known.with_letters(at);
            let dead = &known.held(at).dead;
            let after = after.filter(|_| !dead.is_empty()).map(|after| chosen(dead, after).id);
            Call::Dead(at, after, most.into())
        }
        Reading::Held { at, worker } => Call::Held(known.partition(at), known.worker(worker).clone()),
        Reading::Cursors { door } => Call::Cursors(cast::door(door)),
        Reading::Members => Call::Members,
    }
}

fn member(known: &Knowledge, worker: u8) -> Member {
    let presence = cast::presence(known.worker(worker), None, DutyWish::Leave);
    Member {
        worker: presence.worker,
        pool: presence.pool,
        agents: presence.agents,
        full: presence.full,
        sessions: 2,
        running: 1,
        capacity: 10,
        since: known.now,
        state: if worker.is_multiple_of(2) { MemberState::Ready } else { MemberState::Draining },
        tally: Default::default(),
    }
}
