//! What calls are made of: the cast, what was drawn before, and what the memory store holds.

use std::{collections::BTreeMap, time::Duration};

use tenure::{
    model::{
        Body, Cause, EntryKind, Hold, IdempotencyKey, Lease, Message, MessageId, Millis, NewEntry, Nonce,
        Partition, Partitions, Pool, ReplyTo, Resume, SessionId, Unfinished, WorkerId,
    },
    store::{
        Boundary, DeadLetter, Done, Head, Ingress, Mail, OutReply, PartitionSnapshot, SessionSnapshot,
        Snapshot, StateChange,
    },
};
use uuid::Uuid;

use super::{
    call::OWN_TTL,
    cast,
    operation::{self, Worker, Wrong},
};

/// All that a call's arguments are chosen from.
pub struct Knowledge {
    partitions: Partitions,
    sessions: Vec<SessionId>,
    workers: Vec<WorkerId>,
    lists: Vec<ReplyTo>,
    ids: Vec<IdempotencyKey>,
    drawn: u64,
    nonces: BTreeMap<SessionId, Nonce>,
    delivered: Option<(Partition, Vec<OutReply>)>,
    revived: Option<(Box<DeadLetter>, MessageId)>,
    empty: PartitionSnapshot,
    /// Where the clocks stand.
    pub now: Millis,
    /// What the memory store holds.
    pub snapshot: Snapshot,
    /// What stands at its plain doors.
    pub doors: [Ingress; 2],
}

/// One of `all`, by a number.
pub fn chosen<T>(all: &[T], number: u8) -> &T {
    &all[usize::from(number) % all.len()]
}

impl Knowledge {
    /// At first: nothing but the cast.
    pub fn new(partitions: Partitions) -> Self {
        Self {
            partitions,
            sessions: cast::sessions(),
            workers: cast::workers(),
            lists: cast::lists(),
            ids: cast::ids(),
            drawn: 0,
            nonces: BTreeMap::new(),
            delivered: None,
            revived: None,
            empty: PartitionSnapshot::default(),
            now: cast::START,
            snapshot: Snapshot::default(),
            doors: Default::default(),
        }
    }

    fn draw(&mut self) -> u64 {
        self.drawn += 1;
        self.drawn
    }

    /// A fresh name for a message.
    pub fn name(&mut self) -> MessageId {
        MessageId(Uuid::from_u64_pair(0x0190_0000_0000_7000, 0x8000_0000_0000_0000 + self.draw()))
    }

    /// A nonce for a claim: fresh, or the one that was drawn for the session last.
    pub fn nonce_for(&mut self, session: &SessionId, again: bool) -> Nonce {
        let fresh = Nonce(self.draw());
        let last = self.nonces.entry(session.clone()).or_insert(fresh);
        if !again {
            *last = fresh;
        }
        *last
    }

    pub fn session(&self, number: u8) -> &SessionId {
        chosen(&self.sessions, number)
    }

    pub fn worker(&self, number: u8) -> &WorkerId {
        chosen(&self.workers, number)
    }

    pub fn list(&self, number: u8) -> &ReplyTo {
        chosen(&self.lists, number)
    }

    pub fn id(&self, number: u8) -> &IdempotencyKey {
        chosen(&self.ids, number)
    }

    /// What stands at a plain door.
    pub fn ingress(&self, door: u8) -> &Ingress {
        &self.doors[usize::from(door)]
    }

    /// The partition of a session.
    pub fn partition(&self, session: u8) -> Partition {
        self.partitions.of(self.session(session))
    }

    pub fn partition_of(&self, session: &SessionId) -> Partition {
        self.partitions.of(session)
    }

    /// The sessions of a partition, whether they are there or not.
    pub fn sessions_in(&self, partition: Partition) -> Vec<SessionId> {
        self.sessions.iter().filter(|session| self.partitions.of(session) == partition).cloned().collect()
    }

    /// What a partition holds.
    pub fn held(&self, partition: Partition) -> &PartitionSnapshot {
        self.snapshot.partitions.get(&partition).unwrap_or(&self.empty)
    }

    /// A session, if it is there.
    pub fn seen(&self, session: &SessionId) -> Option<&SessionSnapshot> {
        self.held(self.partitions.of(session)).sessions.get(session)
    }

    /// Mostly one of the sessions that are there and suit; now and then, or if there is none, any.
    pub fn one_that(
        &self,
        number: u8,
        suits: impl Fn(&PartitionSnapshot, &SessionSnapshot) -> bool,
    ) -> &SessionId {
        const ANY_ONCE_IN: u8 = 8;
        let suiting = self.sessions.iter().filter(|session| {
            let held = self.held(self.partitions.of(session));
            held.sessions.get(session).is_some_and(|seen| suits(held, seen))
        });
        let suiting: Vec<_> = suiting.collect();
        match number % ANY_ONCE_IN {
            0 => self.session(number / ANY_ONCE_IN),
            _ if suiting.is_empty() => self.session(number),
            _ => suiting[usize::from(number / ANY_ONCE_IN) % suiting.len()],
        }
    }

    /// A session that is there.
    pub fn existing(&self, number: u8) -> &SessionId {
        self.one_that(number, |_, _| true)
    }

    /// A session that nobody owns and that has something to run, or at least mail.
    pub fn claimable(&self, number: u8) -> &SessionId {
        self.one_that(number, |_, seen| {
            !seen.inbox.is_empty() && (seen.record.owner.is_none() || number.is_multiple_of(2))
        })
    }

    /// A session that waits for its time, which has mostly come.
    pub fn waiting(&self, number: u8) -> &SessionId {
        self.one_that(number, |_, seen| {
            seen.record.backoff.is_some_and(|due| due <= self.now || number % 4 == 1)
        })
    }

    /// A session whose owner is buried.
    pub fn orphan(&self, number: u8) -> &SessionId {
        self.one_that(number, |held, seen| {
            let owner = seen.record.owner.as_ref();
            owner.is_some_and(|owner| held.workers.get(&owner.worker).is_none_or(Option::is_none))
        })
    }

    /// Of the sessions that may run, the one that killed the most owners.
    pub fn most_haunted(&self) -> Option<&SessionId> {
        let killers = self.sessions.iter().filter_map(|session| {
            let record = &self.seen(session)?.record;
            let waiting = self.seen(session)?.inbox.len() as u64;
            record.is_runnable(waiting).then(|| (record.crashes_at_claim().len(), session))
        });
        killers.max_by_key(|(crashes, _)| *crashes).map(|(_, session)| session)
    }

    /// Whether a partition has buried `worker`, or does not know it.
    pub fn is_buried(&self, at: Partition, worker: &WorkerId) -> bool {
        self.held(at).workers.get(worker).is_none_or(Option::is_none)
    }

    /// A session that is set aside, and mostly given back.
    pub fn quarantined(&self, number: u8) -> &SessionId {
        self.one_that(number, |_, seen| {
            matches!(seen.record.hold, Some(Hold::Quarantined { .. }))
                && (seen.record.owner.is_none() || number.is_multiple_of(4))
        })
    }

    /// A session whose turn waits for a word.
    pub fn suspended(&self, number: u8) -> &SessionId {
        self.one_that(number, |_, seen| seen.record.suspended.is_some())
    }

    /// A partition whose outbox holds something, if there is one.
    pub fn with_replies(&self, number: u8) -> Partition {
        let found = self.snapshot.partitions.iter().filter(|(_, held)| !held.out.is_empty());
        let found: Vec<_> = found.map(|(partition, _)| *partition).collect();
        if found.is_empty() { self.partition(number) } else { *chosen(&found, number) }
    }

    /// A partition that holds dead letters, if there is one.
    pub fn with_letters(&self, number: u8) -> Partition {
        let found = self.snapshot.partitions.iter().filter(|(_, held)| !held.dead.is_empty());
        let found: Vec<_> = found.map(|(partition, _)| *partition).collect();
        if found.is_empty() { self.partition(number) } else { *chosen(&found, number) }
    }

    /// A reply key: mostly one that something was pushed to lately.
    pub fn list_with_replies(&self, number: u8) -> &ReplyTo {
        match &self.delivered {
            Some((_, replies)) if !replies.is_empty() && !number.is_multiple_of(4) => {
                &chosen(replies, number / 4).to
            }
            _ => self.list(number),
        }
    }

    /// The pool of a session (its agent's, where it is not there), or the other one.
    pub fn pool_of(&self, session: &SessionId, other: bool) -> Pool {
        let right = self.seen(session).map_or_else(|| cast::home(session), |seen| seen.record.pool.clone());
        let wrong = || cast::pools().into_iter().find(|pool| *pool != right).expect("there are two pools");
        if other { wrong() } else { right }
    }

    /// A worker, as far as it can be found for a session.
    pub fn one_of(&self, which: Worker, session: &SessionId) -> Option<WorkerId> {
        match which {
            Worker::Any(number) => Some(self.worker(number).clone()),
            Worker::Owner => Some(self.seen(session)?.record.owner.as_ref()?.worker.clone()),
            Worker::Living(number) => {
                let known = &self.held(self.partitions.of(session)).workers;
                let living: Vec<_> = known.iter().filter(|(_, deadline)| deadline.is_some()).collect();
                (!living.is_empty()).then(|| chosen(&living, number).0.clone())
            }
        }
    }

    /// Replies to hand out: of those in `out`, or those of the last delivery again.
    pub fn replies(&mut self, at: Partition, most: usize, again: bool) -> Option<(Partition, Vec<OutReply>)> {
        if !again {
            let replies = self.held(at).out.iter().take(most).cloned().collect();
            self.delivered = Some((at, replies));
        }
        self.delivered.clone()
    }

    /// A dead letter to send again under a fresh name, or the last one again under the same.
    pub fn letter_to_revive(
        &mut self,
        at: Partition,
        number: u8,
        again: bool,
    ) -> Option<(Box<DeadLetter>, MessageId)> {
        if !again {
            let dead = &self.held(at).dead;
            let letter = (!dead.is_empty()).then(|| Box::new(chosen(dead, number).clone()))?;
            self.revived = Some((letter, self.name()));
        }
        self.revived.clone()
    }

    /// What a holder of `lease` would write, as far as nothing is `wrong`.
    pub fn boundary(&mut self, lease: &Lease, wish: &operation::Boundary) -> Boundary {
        let drawn = self.draw();
        let seen = self.seen(lease.session());
        let record = seen.map(|seen| &seen.record);
        let (seq, turns) = record.map_or((0, 0), |record| (record.seq, record.turns));
        let last_commit = record.and_then(|record| record.commit.clone());
        let head = seen.and_then(|seen| seen.inbox.first()).and_then(readable).filter(|_| wish.finish);
        let done = head.map(|head| done(head, wish, drawn));
        let boundaries = record.and_then(|record| record.unfinished).map_or(0, |turn| turn.boundaries);
        let of =
            seen.and_then(|seen| seen.inbox.first()).and_then(readable).filter(|_| wish.unfinished.is_some());
        let of = of.map(|head| wrong_head(head, wish, drawn));
        let failing = !wish.finish && wish.backoff.is_some();
        Boundary {
            commit: last_commit
                .filter(|_| wish.wrong == Wrong::LastCommit)
                .unwrap_or_else(|| format!("c{drawn}")),
            after: match wish.wrong {
                Wrong::AheadByOne => seq + 1,
                Wrong::BehindByOne => seq.saturating_sub(1),
                _ => seq,
            },
            boundaries: boundaries + u64::from(wish.wrong == Wrong::OtherBoundaries),
            turn: turns + 1,
            turns: turns + u64::from(done.is_some()),
            entries: (0..wish.entries).map(|n| entry(n, head)).collect(),
            state: match wish.state {
                0 => StateChange::Set(format!("{{\"drawn\":{drawn}}}")),
                1 => StateChange::Clear,
                _ => StateChange::Keep,
            },
            unfinished: wish.unfinished.filter(|_| done.is_none()).map(|eager| Unfinished {
                boundaries: boundaries + 1,
                resume: if eager { Resume::Eager } else { Resume::Lazy },
            }),
            tries: record.filter(|_| failing).map_or(0, |record| record.tries + 1),
            backoff: wish.backoff.map(|wait| Duration::from_millis(wait.into())),
            quarantine: wish.quarantine.then(|| (Cause::Poison, "it \"kills\"".to_owned())),
            of,
            done,
            own_ttl: OWN_TTL,
            page: wish.page.into(),
            class: Default::default(),
        }
    }
}

fn readable(mail: &Mail) -> Option<&Message> {
    match mail {
        Mail::Message(message) => Some(message),
        Mail::Malformed(..) | Mail::Unreadable(_) => None,
    }
}

fn entry(number: u8, message: Option<&Message>) -> NewEntry {
    let kinds = [EntryKind::User, EntryKind::ToolCall, EntryKind::Assistant];
    NewEntry {
        kind: *chosen(&kinds, number),
        message: message.map(|message| message.message),
        body: Body::text(&format!("entry {number}\n\"ü\"")),
    }
}

/// The head, as far as nothing is wrong with it.
fn wrong_head(head: &Message, wish: &operation::Boundary, drawn: u64) -> Head {
    let Done { number, message, .. } = done(head, wish, drawn);
    Head { number, message }
}

fn done(head: &Message, wish: &operation::Boundary, drawn: u64) -> Done {
    let other_name = MessageId(Uuid::from_u64_pair(0x0190_0000_0000_7000, 0x9000_0000_0000_0000 + drawn));
    Done {
        number: head.number + u64::from(wish.wrong == Wrong::OtherNumber),
        message: if wish.wrong == Wrong::OtherName { other_name } else { head.message },
        id: head.id.clone(),
        reply_to: head.reply_to.clone(),
        answer: format!("{{\"answer\":{drawn}}}"),
        sealed: false,
        dead: wish.give_up.then(|| ("failed".to_owned(), 5)),
    }
}
