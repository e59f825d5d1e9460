//! The same scripts without a worker: `send`, then `commit`, by the benchmark itself as the owner.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use futures_util::future::try_join_all;
use tenure::{
    Env,
    model::{Durability, EntryKind, Epoch, Lease, NewEntry, NewMessage, Pool, SessionId, WorkerId},
    store::{
        Boundary, Claim, Claimant, Commit, Done, DutyWish, Overdue, Presence, Purpose, Renewal, StateChange,
        Store, Suspect,
    },
};

use super::load::{Plan, accepted, message};
use crate::failure::{Exit, Failure};

/// Long enough that nothing has to be renewed.
const LEASE: Duration = Duration::from_secs(300);
/// Waiting messages that a commit returns, as a worker asks for.
const PAGE: usize = 16;

/// A session that the benchmark owns.
struct Owned {
    lease: Lease,
    seq: u64,
    turns: u64,
}

/// The benchmark as the owner of all sessions of a plan.
pub(super) struct Raw<'a, S> {
    store: &'a S,
    env: &'a Env,
    slots: Vec<Vec<Owned>>,
}

impl<'a, S: Store> Raw<'a, S> {
    /// Joins every partition, and claims every session, each with one turn behind it.
    pub(super) async fn claim(store: &'a S, env: &'a Env, plan: &Plan) -> Result<Self, Failure> {
        let worker = WorkerId::incarnation(&"bench-raw".parse().expect("a name"), env.random_u32());
        for partition in store.partitions().all() {
            let presence = presence(&worker);
            if store.join(partition, &presence).await? == Renewal::Lost {
                return Err(unexpected("join", "lost"));
            }
        }
        // A session's turns follow one another, so each belongs to one slot.
        let mut slots: Vec<_> = (0..plan.in_flight.min(plan.sessions.len())).map(|_| Vec::new()).collect();
        let count = slots.len();
        for (index, session) in plan.sessions.iter().enumerate() {
            let first = message(env, session, plan, None);
            let number = accepted(store.send(&first).await?)?;
            let lease = claim(store, env, session, &worker).await?;
            let mut owned = Owned { lease, seq: 0, turns: 0 };
            commit(store, env, &mut owned, &first, number).await?;
            slots[index % count].push(owned);
        }
        Ok(Self { store, env, slots })
    }

    /// As many turns as `plan` has messages; how long each took. `done` counts them.
    pub(super) async fn run(&mut self, plan: &Plan, done: &AtomicUsize) -> Result<Vec<Duration>, Failure> {
        let next = AtomicUsize::new(0);
        let slots = self.slots.iter_mut().map(|slot| run_slot(self.store, self.env, slot, plan, &next, done));
        Ok(try_join_all(slots).await?.concat())
    }
}

async fn run_slot<S: Store>(
    store: &S,
    env: &Env,
    slot: &mut [Owned],
    plan: &Plan,
    next: &AtomicUsize,
    done: &AtomicUsize,
) -> Result<Vec<Duration>, Failure> {
    let mut latencies = Vec::new();
    for turn in 0.. {
        if next.fetch_add(1, Ordering::Relaxed) >= plan.messages {
            break;
        }
        let at = turn % slot.len();
        let owned = &mut slot[at];
        let began = env.now();
        let message = message(env, owned.lease.session(), plan, None);
        let number = accepted(store.send(&message).await?)?;
        commit(store, env, owned, &message, number).await?;
        latencies.push(env.now().since(began));
        done.fetch_add(1, Ordering::Relaxed);
    }
    Ok(latencies)
}

fn presence(worker: &WorkerId) -> Presence {
    Presence {
        worker: worker.clone(),
        lease: LEASE,
        pool: Pool::default(),
        agents: Vec::new(),
        full: Default::default(),
        load: None,
        duty: DutyWish::Leave,
    }
}

async fn claim<S: Store>(
    store: &S,
    env: &Env,
    session: &SessionId,
    worker: &WorkerId,
) -> Result<Lease, Failure> {
    let claimant = Claimant {
        worker: worker.clone(),
        pool: Pool::default(),
        nonce: env.nonce(),
        own_ttl: LEASE,
        seen: Epoch(0),
        overdue: Overdue::Spare,
        suspect: Suspect::Take,
        purpose: Purpose::Run,
        class: Durability::MEMORY,
    };
    match store.claim(session, &claimant, PAGE).await? {
        Claim::Won(claimed) => Ok(claimed.lease),
        other => Err(unexpected("claim", other)),
    }
}

/// Ends a turn that echoes `message`, as a worker would.
async fn commit<S: Store>(
    store: &S,
    env: &Env,
    owned: &mut Owned,
    message: &NewMessage,
    number: u64,
) -> Result<(), Failure> {
    let entry = |kind| NewEntry { kind, message: Some(message.message), body: message.body.clone() };
    let turn = owned.turns + 1;
    let boundary = Boundary {
        commit: env.uuid().to_string(),
        after: owned.seq,
        turn,
        turns: turn,
        entries: vec![entry(EntryKind::User), entry(EntryKind::Assistant)],
        state: StateChange::Keep,
        boundaries: 0,
        of: None,
        done: Some(Done {
            number,
            message: message.message,
            id: None,
            reply_to: None,
            answer: String::new(),
            sealed: false,
            dead: None,
        }),
        unfinished: None,
        tries: 0,
        backoff: None,
        quarantine: None,
        own_ttl: LEASE,
        page: PAGE,
        class: message.class,
    };
    match store.commit(&owned.lease, &boundary).await? {
        Commit::Done { .. } => {
            owned.seq += 2;
            owned.turns = turn;
            Ok(())
        }
        other => Err(unexpected("commit", other)),
    }
}

fn unexpected(operation: &str, outcome: impl std::fmt::Debug) -> Failure {
    Failure::new(Exit::Failed, format!("{operation} came to {outcome:?}: run it again, alone on this server"))
}
