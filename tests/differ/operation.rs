//! What may be asked, as wishes with small numbers, and how they are drawn.

use proptest::{collection::vec, option, prelude::*};

/// One wish. Numbers choose among what there is at that moment, modulo how many there are.
#[derive(Debug, Clone)]
pub enum Operation {
    /// Move both clocks by so many milliseconds, forward or back.
    Tick(i64),
    Send(Letter),
    /// A batch for the session's partition. `previous` is right (0), none (1) or wrong.
    Relay {
        at: u8,
        door: u8,
        previous: u8,
        ids_back: bool,
        batch: Vec<Relayed>,
    },
    Renew {
        worker: u8,
        at: u8,
        load: Option<u16>,
        duty: u8,
        join: bool,
    },
    Bury {
        worker: Worker,
        at: u8,
        ground: u8,
    },
    Claim {
        worker: Worker,
        session: u8,
        again: bool,
        spare: bool,
        seen: u16,
        other_pool: bool,
        leave_suspects: bool,
        page: u8,
    },
    Commit {
        lease: u8,
        boundary: Boundary,
    },
    Release {
        lease: u8,
        hand_off: bool,
        page: u8,
    },
    Refresh {
        lease: u8,
        page: u8,
    },
    Reap {
        session: u8,
        from: Worker,
        other_pool: bool,
    },
    Survey {
        at: u8,
        other_pool: bool,
    },
    Fire {
        session: u8,
        other_pool: bool,
    },
    Offer {
        session: u8,
        except: Option<u8>,
        other_pool: bool,
    },
    Mend {
        session: u8,
        owner: Worker,
        other_pool: bool,
        home: Option<bool>,
    },
    Deliver {
        at: u8,
        most: u8,
        again: bool,
    },
    TakeReply {
        list: u8,
    },
    Revive {
        at: u8,
        letter: u8,
        again: bool,
        other_pool: bool,
    },
    DropDead {
        at: u8,
        most: u8,
    },
    /// The next step towards one owner more that dies of the session that killed the most.
    Haunt {
        worker: u8,
        leave_suspects: bool,
    },
    Free {
        session: u8,
        drop: bool,
        other_pool: bool,
    },
    Proceed {
        session: u8,
        other_pool: bool,
    },
    Delete {
        session: u8,
        owner: Worker,
        other_pool: bool,
    },
    Read(Reading),
    Post {
        door: u8,
        fields: u8,
    },
    Ingress {
        door: u8,
        most: u8,
    },
    RemoveIngress {
        door: u8,
        most: u8,
    },
    Advance {
        door: u8,
        by: u16,
    },
    Announce {
        worker: u8,
        secs: u8,
    },
    Retire {
        worker: u8,
    },
    /// Somebody deletes a session's `own`.
    DeleteOwn {
        session: u8,
    },
    /// The last call again: its answer was lost.
    Again,
}

/// A message on its way in.
#[derive(Debug, Clone)]
pub struct Letter {
    pub session: u8,
    pub id: Option<u8>,
    pub reply_to: Option<u8>,
    pub size: Size,
    pub other_pool: bool,
    pub group: bool,
    pub resume: Option<bool>,
    /// Replicas that it asks for.
    pub asks: u8,
}

/// How long a body is.
#[derive(Debug, Clone, Copy)]
pub enum Size {
    Small,
    /// About as long as what travels with a wake, and so many bytes more.
    NearWake(u8),
    TooLarge,
}

/// An entry of a batch.
#[derive(Debug, Clone)]
pub enum Relayed {
    Letter(Letter),
    Malformed { session: Option<u8>, reply_to: Option<u8> },
}

/// A worker: the right one for the call, or any.
#[derive(Debug, Clone, Copy)]
pub enum Worker {
    /// Whoever owns the session, or nobody.
    Owner,
    /// One that is not buried, if there is one.
    Living(u8),
    Any(u8),
}

/// What a boundary writes, and what is wrong with it.
#[derive(Debug, Clone)]
pub struct Boundary {
    pub entries: u8,
    pub finish: bool,
    pub give_up: bool,
    /// If it does not finish: the turn is in the middle, and is eager if so.
    pub unfinished: Option<bool>,
    pub state: u8,
    pub backoff: Option<u16>,
    pub quarantine: bool,
    pub wrong: Wrong,
    pub page: u8,
}

/// What a writer may have wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    Nothing,
    /// It knows of an entry more.
    AheadByOne,
    /// It knows of an entry less.
    BehindByOne,
    /// The message it is done with has another number.
    OtherNumber,
    /// The message it is done with has another name.
    OtherName,
    /// It knows of a boundary more.
    OtherBoundaries,
    /// Its commit id is the last one's.
    LastCommit,
}

/// What is only looked at.
#[derive(Debug, Clone, Copy)]
pub enum Reading {
    Look(u8),
    Sessions { at: u8, after: Option<u8>, most: u8 },
    Newest { session: u8, most: u8 },
    After { session: u8, entry: Option<u8>, most: u8 },
    Dead { at: u8, after: Option<u8>, most: u8 },
    Held { at: u8, worker: u8 },
    Cursors { door: u8 },
    Members,
}

/// Sequences of at most `most` operations.
pub fn sequences(most: usize) -> impl Strategy<Value = Vec<Operation>> {
    vec(operation(), 1..=most)
}

/// True once in so many.
fn once_in(times: u32) -> impl Strategy<Value = bool> {
    prop_oneof![times - 1 => Just(false), 1 => Just(true)]
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        10 => tick(),
        18 => letter().prop_map(Operation::Send),
        5 => relay(),
        8 => renewal(),
        3 => (worker(), any::<u8>(), 0..3_u8)
            .prop_map(|(worker, at, ground)| Operation::Bury { worker, at, ground }),
        16 => claim(),
        20 => (lease(), boundary()).prop_map(|(lease, boundary)| Operation::Commit { lease, boundary }),
        8 => (lease(), any::<bool>(), 0..4_u8)
            .prop_map(|(lease, hand_off, page)| Operation::Release { lease, hand_off, page }),
        3 => (lease(), 0..4_u8).prop_map(|(lease, page)| Operation::Refresh { lease, page }),
        27 => upkeep(),
        8 => (any::<u8>(), once_in(4))
            .prop_map(|(worker, leave_suspects)| Operation::Haunt { worker, leave_suspects }),
        8 => outbox(),
        6 => reading(),
        4 => namespace(),
        2 => any::<u8>().prop_map(|session| Operation::DeleteOwn { session }),
        10 => Just(Operation::Again),
    ]
}

fn tick() -> impl Strategy<Value = Operation> {
    let steps = prop_oneof![
        6 => prop::sample::select(vec![1, 7, 100, 333, 499, 501, 1_999]),
        3 => prop::sample::select(vec![9_999, 10_000, 10_001, 60_000, 60_001]),
        1 => prop::sample::select(vec![3_600_001, 86_400_000, 86_400_001]),
        1 => prop::sample::select(vec![-1, -5_000, -3_600_000]),
    ];
    steps.prop_map(Operation::Tick)
}

fn letter() -> impl Strategy<Value = Letter> {
    let size = prop_oneof![
        16 => Just(Size::Small),
        2 => (0..40_u8).prop_map(Size::NearWake),
        1 => Just(Size::TooLarge),
    ];
    let resume = option::weighted(0.1, any::<bool>());
    let session = prop_oneof![3 => 0..2_u8, 2 => any::<u8>()];
    let asks = prop_oneof![5 => Just(0), 1 => any::<u8>()];
    (session, option::of(any::<u8>()), option::of(any::<u8>()), size, once_in(12), once_in(8), resume, asks)
        .prop_map(|(session, id, reply_to, size, other_pool, group, resume, asks)| Letter {
            session,
            id,
            reply_to,
            size,
            other_pool,
            group,
            resume,
            asks,
        })
}

/// The plain door without a number, or one with.
fn door() -> impl Strategy<Value = u8> {
    0..2_u8
}

fn relay() -> impl Strategy<Value = Operation> {
    let malformed = (option::of(any::<u8>()), option::of(any::<u8>()))
        .prop_map(|(session, reply_to)| Relayed::Malformed { session, reply_to });
    let entry = prop_oneof![5 => letter().prop_map(Relayed::Letter), 1 => malformed];
    let previous = prop_oneof![8 => Just(0), 1 => Just(1), 1 => Just(2)];
    (any::<u8>(), door(), previous, once_in(8), vec(entry, 0..5)).prop_map(
        |(at, door, previous, ids_back, batch)| Operation::Relay { at, door, previous, ids_back, batch },
    )
}

fn renewal() -> impl Strategy<Value = Operation> {
    (any::<u8>(), any::<u8>(), option::weighted(0.8, 0..4_000_u16), 0..4_u8, any::<bool>())
        .prop_map(|(worker, at, load, duty, join)| Operation::Renew { worker, at, load, duty, join })
}

fn worker() -> impl Strategy<Value = Worker> {
    prop_oneof![
        6 => Just(Worker::Owner),
        2 => any::<u8>().prop_map(Worker::Living),
        2 => any::<u8>().prop_map(Worker::Any),
    ]
}

fn claim() -> impl Strategy<Value = Operation> {
    let claimant = prop_oneof![
        8 => any::<u8>().prop_map(Worker::Living),
        1 => Just(Worker::Owner),
        1 => any::<u8>().prop_map(Worker::Any),
    ];
    let seen = prop_oneof![6 => Just(0), 1 => 1..3_000_u16];
    (claimant, any::<u8>(), once_in(8), once_in(5), seen, once_in(12), once_in(3), 0..4_u8).prop_map(
        |(worker, session, again, spare, seen, other_pool, leave_suspects, page)| Operation::Claim {
            worker,
            session,
            again,
            spare,
            seen,
            other_pool,
            leave_suspects,
            page,
        },
    )
}

/// Leases are counted from the newest: stale ones come up now and then.
fn lease() -> impl Strategy<Value = u8> {
    prop_oneof![6 => 0..3_u8, 2 => 3..8_u8, 1 => any::<u8>()]
}

fn boundary() -> impl Strategy<Value = Boundary> {
    let wrong = prop_oneof![
        12 => Just(Wrong::Nothing),
        1 => Just(Wrong::AheadByOne),
        1 => Just(Wrong::BehindByOne),
        1 => Just(Wrong::OtherNumber),
        1 => Just(Wrong::OtherName),
        1 => Just(Wrong::OtherBoundaries),
        1 => Just(Wrong::LastCommit),
    ];
    let backoff = option::weighted(0.2, prop::sample::select(vec![0, 1, 400, 5_000]));
    let finish = prop_oneof![1 => Just(false), 3 => Just(true)];
    let unfinished = option::weighted(0.7, once_in(3));
    (0..4_u8, finish, once_in(6), unfinished, 0..4_u8, backoff, once_in(25), wrong, 0..4_u8).prop_map(
        |(entries, finish, give_up, unfinished, state, backoff, quarantine, wrong, page)| Boundary {
            entries,
            finish,
            give_up,
            unfinished,
            state,
            backoff,
            quarantine,
            wrong,
            page,
        },
    )
}

fn upkeep() -> impl Strategy<Value = Operation> {
    let session = any::<u8>;
    prop_oneof![
        6 => (session(), worker(), once_in(12))
            .prop_map(|(session, from, other_pool)| Operation::Reap { session, from, other_pool }),
        3 => (any::<u8>(), once_in(3)).prop_map(|(at, other_pool)| Operation::Survey { at, other_pool }),
        4 => (session(), once_in(12)).prop_map(|(session, other_pool)| Operation::Fire { session, other_pool }),
        3 => (session(), option::of(any::<u8>()), once_in(12))
            .prop_map(|(session, except, other_pool)| Operation::Offer { session, except, other_pool }),
        4 => (session(), worker(), once_in(12), option::weighted(0.2, any::<bool>()))
            .prop_map(|(session, owner, other_pool, home)| Operation::Mend { session, owner, other_pool, home }),
        2 => (session(), once_in(2), once_in(8))
            .prop_map(|(session, drop, other_pool)| Operation::Free { session, drop, other_pool }),
        3 => (session(), once_in(8)).prop_map(|(session, other_pool)| Operation::Proceed { session, other_pool }),
        2 => (session(), worker(), once_in(6))
            .prop_map(|(session, owner, other_pool)| Operation::Delete { session, owner, other_pool }),
    ]
}

fn outbox() -> impl Strategy<Value = Operation> {
    prop_oneof![
        3 => (any::<u8>(), 0..4_u8, once_in(5)).prop_map(|(at, most, again)| Operation::Deliver { at, most, again }),
        2 => any::<u8>().prop_map(|list| Operation::TakeReply { list }),
        2 => (any::<u8>(), any::<u8>(), once_in(4), once_in(8)).prop_map(|(at, letter, again, other_pool)| {
            Operation::Revive { at, letter, again, other_pool }
        }),
        1 => (any::<u8>(), 0..3_u8).prop_map(|(at, most)| Operation::DropDead { at, most }),
    ]
}

fn reading() -> impl Strategy<Value = Operation> {
    let reading =
        prop_oneof![
            any::<u8>().prop_map(Reading::Look),
            (any::<u8>(), option::of(any::<u8>()), 0..4_u8).prop_map(|(at, after, most)| Reading::Sessions {
                at,
                after,
                most
            }),
            (any::<u8>(), 0..4_u8).prop_map(|(session, most)| Reading::Newest { session, most }),
            (any::<u8>(), option::of(any::<u8>()), 1..4_u8)
                .prop_map(|(session, entry, most)| Reading::After { session, entry, most }),
            (any::<u8>(), option::of(any::<u8>()), 1..4_u8).prop_map(|(at, after, most)| Reading::Dead {
                at,
                after,
                most
            }),
            (any::<u8>(), any::<u8>()).prop_map(|(at, worker)| Reading::Held { at, worker }),
            door().prop_map(|door| Reading::Cursors { door }),
            Just(Reading::Members),
        ];
    reading.prop_map(Operation::Read)
}

fn namespace() -> impl Strategy<Value = Operation> {
    prop_oneof![
        (door(), 0..4_u8).prop_map(|(door, fields)| Operation::Post { door, fields }),
        (door(), 0..4_u8).prop_map(|(door, most)| Operation::Ingress { door, most }),
        (door(), 0..4_u8).prop_map(|(door, most)| Operation::RemoveIngress { door, most }),
        (door(), 0..3_000_u16).prop_map(|(door, by)| Operation::Advance { door, by }),
        (any::<u8>(), 0..20_u8).prop_map(|(worker, secs)| Operation::Announce { worker, secs }),
        any::<u8>().prop_map(|worker| Operation::Retire { worker }),
    ]
}
