//! Weaker than linearizable: what may be asked of reads that go to a replica, a cache or a mirror.
//!
//! [`sequential`] wants one order of everything that keeps each actor's own (Lamport 1979), but not that of time. It
//! is not local: two objects that are sequentially consistent each need not be so together, so it looks at all at
//! once.
//!
//! [`causal`] wants that nobody sees an effect without its cause. Where every write has a version of its own that
//! reduces to the absence of a few patterns (Bouajjani, Enea, Guerraoui & Hamza, *On verifying causal consistency*,
//! 2017), which are looked for in polynomial time: no order has to be guessed.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Model,
    order::Relation,
    search::{Found, Interval, search},
};
use crate::sim::{
    Actor, Object,
    history::{History, Operation},
};

/// How often the model may be asked before [`sequential`] gives up.
pub const BUDGET: usize = 500_000;

/// What a search for one order of everything came to. Operations are named by their places in the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sequential {
    /// Here is one.
    Consistent(Vec<usize>),
    /// There is none; this one holds as many operations as can be, and none of the others can follow.
    Violated(Vec<usize>),
    /// The search took longer than [`BUDGET`].
    Undecided,
}

/// Looks for one order of all operations that keeps each actor's and is allowed by `model`, object by object.
pub fn sequential<M: Model>(model: &M, history: &History<M::Call, M::Answer>) -> Sequential {
    let operations = history.operations();
    let actors = numbered(operations.iter().map(|operation| operation.actor));
    let objects = numbered(operations.iter().map(|operation| operation.object));
    let intervals: Vec<Interval> = operations.iter().map(|operation| interval(operation, &actors)).collect();
    let step = |states: &Vec<Arc<M::State>>, at: usize| {
        let object = objects[&operations[at].object];
        let next = model.step(&states[object], &operations[at].call, operations[at].answer())?;
        let mut states = states.clone();
        states[object] = Arc::new(next);
        Some(states)
    };
    // All objects begin alike, so they may as well share the state they begin with.
    let initial: Vec<_> = std::iter::repeat_n(Arc::new(model.initial()), objects.len()).collect();
    match search(&intervals, initial, step, BUDGET) {
        Found::Order(order) => Sequential::Consistent(order),
        Found::Stuck(order) => Sequential::Violated(order),
        Found::TooMuch => Sequential::Undecided,
    }
}

fn numbered<T: Ord>(items: impl Iterator<Item = T>) -> BTreeMap<T, usize> {
    let mut numbers = BTreeMap::new();
    for item in items {
        let next = numbers.len();
        numbers.entry(item).or_insert(next);
    }
    numbers
}

fn interval<C, R>(operation: &Operation<C, R>, lines: &BTreeMap<Actor, usize>) -> Interval {
    Interval { invoked: operation.invoked, ended: operation.ended(), line: lines[&operation.actor] }
}

/// One read or write of one object. Actors' accesses stand in the order in which they were made.
///
/// Leave out a write without an answer, unless somebody read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// Who.
    pub actor: Actor,
    /// What.
    pub object: Object,
    /// How.
    pub kind: AccessKind,
}

/// What an access did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessKind {
    /// Wrote this version, which no other write of the object wrote.
    Write(u64),
    /// Read this version; none if nobody had written.
    Read(Option<u64>),
}

/// How much is asked of causality.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Whoever sees an effect sees its causes.
    Causal,
    /// Also: in the end all agree which of two concurrent writes came last.
    Convergent,
    /// Instead: each actor can explain all it ever saw by one order (causal memory: Ahamad et al. 1995).
    Memory,
}

/// What contradicts causality. Accesses are named by their places in the slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Anomaly {
    /// Two writes have one version, so that nothing can be said.
    #[error("accesses {first} and {second} wrote the same version")]
    Ambiguous {
        /// One.
        first: usize,
        /// The other.
        second: usize,
    },
    /// A version was read that nobody wrote.
    #[error("access {read} read a version that nobody wrote")]
    ThinAir {
        /// The read.
        read: usize,
    },
    /// An access is its own cause.
    #[error("access {access} comes before itself")]
    Cycle {
        /// One on the cycle.
        access: usize,
    },
    /// A read saw nothing, though a write of the object was among its causes.
    #[error("access {read} read nothing, though it knows of the write {write}")]
    Forgotten {
        /// The read.
        read: usize,
        /// What it should have seen.
        write: usize,
    },
    /// A read saw a version that was overwritten among its causes.
    #[error("access {read} read the version of {old}, though it knows that {new} overwrote it")]
    Stale {
        /// The read.
        read: usize,
        /// What it saw.
        old: usize,
        /// What it should have seen.
        new: usize,
    },
}

/// Looks for what contradicts causality at `level`.
///
/// # Errors
/// The first contradiction.
pub fn causal(accesses: &[Access], level: Level) -> Result<(), Anomaly> {
    let runs = Causes::of(accesses)?;
    runs.nothing_forgotten(&runs.order, |_| true)?;
    runs.nothing_stale()?;
    match level {
        Level::Causal => Ok(()),
        Level::Convergent => runs.nothing_disagreed(),
        Level::Memory => runs.everybody_has_an_order(),
    }
}

/// Accesses with their causes.
struct Causes<'a> {
    accesses: &'a [Access],
    /// The write that each read read.
    read_from: Vec<Option<usize>>,
    /// What comes before what: by the actor's order and by reading, closed.
    order: Relation,
}

impl<'a> Causes<'a> {
    fn of(accesses: &'a [Access]) -> Result<Self, Anomaly> {
        let writes = writes(accesses)?;
        let read_from = reads(accesses, &writes)?;
        let mut order = Relation::empty(accesses.len());
        let mut last: BTreeMap<Actor, usize> = BTreeMap::new();
        for (at, access) in accesses.iter().enumerate() {
            for cause in last.insert(access.actor, at).into_iter().chain(read_from[at]) {
                order.add(cause, at);
            }
        }
        order.close();
        match order.cycle() {
            Some(access) => Err(Anomaly::Cycle { access }),
            None => Ok(Self { accesses, read_from, order }),
        }
    }

    /// No read of nothing comes after a write of its object, by `order` and among the reads that `asked` accepts.
    fn nothing_forgotten(&self, order: &Relation, asked: impl Fn(usize) -> bool) -> Result<(), Anomaly> {
        for read in (0..self.accesses.len()).filter(|&at| asked(at)) {
            let blind = self.accesses[read].kind == AccessKind::Read(None);
            let known = blind.then(|| self.writes_before(read, order).next()).flatten();
            if let Some(write) = known {
                return Err(Anomaly::Forgotten { read, write });
            }
        }
        Ok(())
    }

    /// No read's version was overwritten among its causes.
    fn nothing_stale(&self) -> Result<(), Anomaly> {
        for (read, old) in self.reads() {
            let newer = self.writes_before(read, &self.order).find(|&write| self.order.has(old, write));
            if let Some(new) = newer {
                return Err(Anomaly::Stale { read, old, new });
            }
        }
        Ok(())
    }

    /// Writes of one object that are known to a reader of another one lost to that one; nobody may see it otherwise.
    fn nothing_disagreed(&self) -> Result<(), Anomaly> {
        let mut order = self.order.clone();
        for (read, winner) in self.reads() {
            for loser in self.writes_before(read, &self.order).filter(|&write| write != winner) {
                order.add(loser, winner);
            }
        }
        order.close();
        order.cycle().map_or(Ok(()), |access| Err(Anomaly::Cycle { access }))
    }

    /// Each actor, at its end, has an order of all it knows that explains its own reads.
    fn everybody_has_an_order(&self) -> Result<(), Anomaly> {
        let ends: BTreeMap<Actor, usize> =
            self.accesses.iter().enumerate().map(|(at, access)| (access.actor, at)).collect();
        for (actor, end) in ends {
            let order = self.as_seen_by(actor, end);
            if let Some(access) = order.cycle() {
                return Err(Anomaly::Cycle { access });
            }
            self.nothing_forgotten(&order, |at| self.accesses[at].actor == actor)?;
        }
        Ok(())
    }

    /// What comes before what in the eyes of `actor`, whose last access is `end`: the least relation in which
    /// every write known at one of its reads comes before the write that this one saw.
    fn as_seen_by(&self, actor: Actor, end: usize) -> Relation {
        let mut order = self.order.restricted_to(|at| at == end || self.order.has(at, end));
        loop {
            let mut more = false;
            for (read, winner) in self.reads().filter(|&(read, _)| self.accesses[read].actor == actor) {
                let losers: Vec<usize> =
                    self.writes_before(read, &order).filter(|&at| at != winner).collect();
                for loser in losers {
                    more |= order.add(loser, winner);
                }
            }
            if !more {
                return order;
            }
            order.close();
        }
    }

    /// Reads of something, with the writes that they read.
    fn reads(&self) -> impl Iterator<Item = (usize, usize)> {
        self.read_from.iter().enumerate().filter_map(|(read, from)| from.map(|write| (read, write)))
    }

    /// Writes of the read's object that come before it.
    fn writes_before(&self, read: usize, order: &Relation) -> impl Iterator<Item = usize> {
        let object = self.accesses[read].object;
        (0..self.accesses.len()).filter(move |&at| {
            let Access { object: written, kind, .. } = self.accesses[at];
            matches!(kind, AccessKind::Write(_)) && written == object && order.has(at, read)
        })
    }
}

/// Which access wrote which version.
type Writes = BTreeMap<(Object, u64), usize>;

fn writes(accesses: &[Access]) -> Result<Writes, Anomaly> {
    let mut writes = Writes::new();
    for (second, access) in accesses.iter().enumerate() {
        let AccessKind::Write(version) = access.kind else { continue };
        if let Some(first) = writes.insert((access.object, version), second) {
            return Err(Anomaly::Ambiguous { first, second });
        }
    }
    Ok(writes)
}

fn reads(accesses: &[Access], writes: &Writes) -> Result<Vec<Option<usize>>, Anomaly> {
    let from = |(read, access): (usize, &Access)| match access.kind {
        AccessKind::Read(Some(version)) => {
            let write = writes.get(&(access.object, version)).copied();
            write.map(Some).ok_or(Anomaly::ThinAir { read })
        }
        AccessKind::Read(None) | AccessKind::Write(_) => Ok(None),
    };
    accesses.iter().enumerate().map(from).collect()
}
