//! What goes wrong, in which order, to whom, and for how long: all of it follows from the seed.

use std::{fmt, time::Duration};

use rand::{
    Rng, SeedableRng,
    rngs::StdRng,
    seq::{IndexedRandom, SliceRandom},
};
use serde::Serialize;

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Kind {
    /// `kill -9` of a worker, and another start of it.
    Kill,
    /// SIGTERM to a worker, and another start of it.
    Drain,
    /// SIGSTOP and SIGCONT of a worker within its lease.
    ShortPause,
    /// The same, for longer than its lease.
    LongPause,
    /// All connections of a worker are reset.
    Reset,
    /// A worker is cut off for longer than its lease; then what was on the way arrives late.
    Blackhole,
    /// The same, but then its connections are reset, and what was on the way is lost.
    CutCable,
    /// All that a worker says or hears takes longer.
    Delay,
    /// `kill -9` of the server, and another start of it.
    ServerKill,
    /// SIGSTOP and SIGCONT of the server, now and then for longer than the lease.
    ServerPause,
    /// The senders' connections are reset.
    SenderReset,
    /// The senders are cut off; then what was on the way arrives late.
    SenderBlackhole,
    /// All that the senders say or hear takes longer.
    SenderDelay,
}

impl Kind {
    /// What befalls workers.
    pub const OF_WORKERS: [Self; 8] = [
        Self::Kill,
        Self::Drain,
        Self::ShortPause,
        Self::LongPause,
        Self::Reset,
        Self::Blackhole,
        Self::CutCable,
        Self::Delay,
    ];
    /// What befalls the server and the senders.
    pub const OF_OTHERS: [Self; 5] =
        [Self::ServerKill, Self::ServerPause, Self::SenderReset, Self::SenderBlackhole, Self::SenderDelay];
    /// All of them, in the order of the report.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::OF_WORKERS.into_iter().chain(Self::OF_OTHERS)
    }

    /// Whether a worker does not live through it.
    fn is_deadly(self) -> bool {
        matches!(self, Self::Kill | Self::Drain)
    }

    /// For how long it is meant to last, with this lease.
    fn duration(self, lease: Duration, rng: &mut StdRng) -> Duration {
        let (least, most) = match self {
            Self::Kill | Self::Drain => (0.0, 0.5),
            Self::ShortPause => (0.05, 0.6),
            Self::LongPause | Self::Blackhole | Self::CutCable => (1.2, 1.8),
            Self::Reset | Self::SenderReset => (0.0, 0.0),
            Self::Delay | Self::SenderDelay => (0.3, 1.0),
            Self::ServerKill => (0.0, 0.6),
            Self::ServerPause => (0.1, 1.4),
            Self::SenderBlackhole => (0.2, 1.0),
        };
        lease.mul_f64(rng.random_range(least..=most))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Kill => "worker killed (-9) and started again",
            Self::Drain => "worker drained (SIGTERM) and started again",
            Self::ShortPause => "worker stopped (SIGSTOP) within its lease",
            Self::LongPause => "worker stopped for longer than its lease",
            Self::Reset => "worker's connections reset",
            Self::Blackhole => "worker cut off for longer than its lease, then all arrives late",
            Self::CutCable => "worker cut off for longer than its lease, then reset",
            Self::Delay => "worker's network slow",
            Self::ServerKill => "Redis killed (-9) and started again",
            Self::ServerPause => "Redis stopped (SIGSTOP)",
            Self::SenderReset => "senders' connections reset",
            Self::SenderBlackhole => "senders cut off, then all arrives late",
            Self::SenderDelay => "senders' network slow",
        })
    }
}

/// One fault that is to be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Fault {
    pub kind: Kind,
    /// Which worker, if it is about one.
    pub worker: Option<usize>,
    /// Quiet before it.
    pub after: Duration,
    /// For how long.
    pub lasts: Duration,
    /// By how much a slow network is slow.
    pub delay: Duration,
}

/// Faults for one part of the whole, one after the other, without end.
///
/// Drawn like cards: no kind comes a second time before each has come once.
pub struct Plan {
    rng: StdRng,
    scope: Scope,
    deck: Vec<Kind>,
}

/// What a plan may draw.
#[derive(Debug, Clone)]
pub struct Scope {
    /// What may happen.
    pub kinds: Vec<Kind>,
    /// To which workers, if it is about workers.
    pub workers: Vec<usize>,
    /// A worker that nothing deadly befalls, so that its memory can be looked at in the end.
    pub survivor: usize,
    pub lease: Duration,
    /// How long it is quiet between two faults, at most.
    pub quiet: Duration,
}

impl Plan {
    /// The faults of part number `part` under `seed`.
    pub fn new(seed: u64, part: u64, scope: Scope) -> Self {
        let rng = StdRng::seed_from_u64(seed.wrapping_mul(31).wrapping_add(part));
        Self { rng, scope, deck: Vec::new() }
    }

    fn draw(&mut self) -> Option<Kind> {
        if self.deck.is_empty() {
            self.deck = self.scope.kinds.clone();
            self.deck.shuffle(&mut self.rng);
        }
        self.deck.pop()
    }

    fn worker(&mut self, kind: Kind) -> Option<usize> {
        let may_be = |worker: &&usize| !kind.is_deadly() || **worker != self.scope.survivor;
        let workers: Vec<_> = self.scope.workers.iter().filter(may_be).collect();
        workers.choose(&mut self.rng).map(|worker| **worker)
    }
}

impl Iterator for Plan {
    type Item = Fault;

    fn next(&mut self) -> Option<Fault> {
        let kind = self.draw()?;
        let worker = self.worker(kind);
        let after = self.scope.quiet.mul_f64(self.rng.random_range(0.2..=1.0));
        let lasts = kind.duration(self.scope.lease, &mut self.rng);
        let delay = Duration::from_millis(self.rng.random_range(5..=100));
        Some(Fault { kind, worker, after, lasts, delay })
    }
}

#[test]
fn a_plan_follows_from_its_seed_brings_every_kind_in_turn_and_spares_the_survivor() {
    let drawn = |seed| {
        let second = Duration::from_secs(1);
        let (kinds, workers) = (Kind::OF_WORKERS.to_vec(), vec![2, 3]);
        let scope = Scope { kinds, workers, survivor: 3, lease: second, quiet: second };
        Plan::new(seed, 1, scope).take(400).collect::<Vec<_>>()
    };
    assert_eq!(drawn(1), drawn(1));
    assert_ne!(drawn(1), drawn(2));
    for deck in drawn(1).chunks(Kind::OF_WORKERS.len()) {
        let kinds: std::collections::BTreeSet<_> = deck.iter().map(|fault| fault.kind).collect();
        assert_eq!(kinds.len(), Kind::OF_WORKERS.len(), "each kind once before any comes again");
    }
    assert!(drawn(1).iter().all(|fault| !fault.kind.is_deadly() || fault.worker == Some(2)));
    assert!(drawn(1).iter().any(|fault| fault.worker == Some(3)));
}
