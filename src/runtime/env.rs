//! Clock and randomness, given from outside: the one place that reads the machine's own.

#![allow(clippy::disallowed_methods)]

use std::{
    fmt,
    pin::Pin,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rand::{Rng, RngCore, SeedableRng, rngs::StdRng};
use uuid::Uuid;

use crate::model::{MessageId, Millis, Nonce};

/// A moment of a process' own monotonic clock: how long after its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(Duration);

impl Moment {
    /// The moment `by` later.
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(by))
    }

    /// How long after `earlier` this is; zero if it is before.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// How long after the clock's start.
    pub fn elapsed(self) -> Duration {
        self.0
    }
}

/// A wait that [`Clock::sleep_until`] gives.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A process' clocks. A simulation brings its own.
pub trait Clock: Send + Sync + 'static {
    /// Monotonic: what trust in a lease is measured by.
    fn now(&self) -> Moment;

    /// Milliseconds since 1970: only for ids; nothing is decided by it.
    fn wall(&self) -> Millis;

    /// Waits until `now` is at least `at`.
    fn sleep_until(&self, at: Moment) -> Sleep;

    /// A point where something else may happen first. Nothing by a real clock; a simulation schedules it.
    fn checkpoint(&self) -> Sleep {
        Box::pin(std::future::ready(()))
    }
}

/// What a run is a function of, besides its store: a clock and a source of random numbers.
#[derive(Clone)]
pub struct Env {
    clock: Arc<dyn Clock>,
    random: Arc<Mutex<StdRng>>,
}

impl Env {
    /// The machine's own clock and randomness.
    pub fn system() -> Self {
        Self::new(Arc::new(TokioClock::of_the_system()), StdRng::from_os_rng())
    }

    /// Tokio's clock (virtual where that is paused), from a fixed date, and random numbers from `seed`.
    pub fn seeded(seed: u64) -> Self {
        Self::new(Arc::new(TokioClock::from_a_fixed_date()), StdRng::seed_from_u64(seed))
    }

    /// Any clock, and random numbers from `seed`.
    pub fn with_clock(clock: Arc<dyn Clock>, seed: u64) -> Self {
        Self::new(clock, StdRng::seed_from_u64(seed))
    }

    fn new(clock: Arc<dyn Clock>, random: StdRng) -> Self {
        Self { clock, random: Arc::new(Mutex::new(random)) }
    }

    /// The same clock with random numbers of its own, drawn from this one's: for a second worker.
    pub fn fork(&self) -> Self {
        let seed = self.draw(|rng| rng.next_u64());
        Self::new(self.clock.clone(), StdRng::seed_from_u64(seed))
    }

    /// The monotonic clock.
    pub fn now(&self) -> Moment {
        self.clock.now()
    }

    /// Milliseconds since 1970.
    pub fn wall(&self) -> Millis {
        self.clock.wall()
    }

    /// Waits for `duration`.
    pub fn sleep(&self, duration: Duration) -> Sleep {
        self.clock.sleep_until(self.now().plus(duration))
    }

    /// Waits until `at`.
    pub fn sleep_until(&self, at: Moment) -> Sleep {
        self.clock.sleep_until(at)
    }

    /// Lets a simulation do something else first; nothing in production.
    pub fn checkpoint(&self) -> Sleep {
        self.clock.checkpoint()
    }

    /// Runs `work` for at most `limit`; `None` if it took longer, and was dropped.
    pub async fn timeout<F: Future>(&self, limit: Duration, work: F) -> Option<F::Output> {
        tokio::select! {
            biased;
            done = work => Some(done),
            () = self.sleep(limit) => None,
        }
    }

    /// A new message's name: UUID v7 of this clock.
    pub fn message_id(&self) -> MessageId {
        let random: [u8; 10] = self.draw(|rng| rng.random());
        MessageId(uuid::Builder::from_unix_timestamp_millis(self.wall().0, &random).into_uuid())
    }

    /// A random UUID (v4).
    pub fn uuid(&self) -> Uuid {
        uuid::Builder::from_random_bytes(self.draw(|rng| rng.random())).into_uuid()
    }

    /// A claim's nonce.
    pub fn nonce(&self) -> Nonce {
        Nonce(self.draw(|rng| rng.next_u64()))
    }

    /// A random number.
    pub fn random_u32(&self) -> u32 {
        self.draw(|rng| rng.next_u32())
    }

    /// A random number below `limit`, which must not be 0.
    pub fn random_below(&self, limit: u64) -> u64 {
        self.draw(|rng| rng.random_range(0..limit))
    }

    fn draw<T>(&self, what: impl FnOnce(&mut StdRng) -> T) -> T {
        what(&mut self.random.lock().expect("nobody panics while drawing"))
    }
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Env")
    }
}

/// Where seals get their nonces.
impl crate::store::sealed::Nonces for Env {
    fn draw(&self) -> crate::model::seal::Nonce24 {
        Self::draw(self, |rng| rng.random())
    }
}

/// An embedded store's server shares its process' clock.
impl crate::store::memory::ServerClock for Env {
    fn now(&self) -> Millis {
        self.wall()
    }
}

/// Tokio's clock; virtual in a runtime whose time is paused.
struct TokioClock {
    start: tokio::time::Instant,
    wall: Wall,
}

enum Wall {
    System,
    From(Millis),
}

impl TokioClock {
    /// 2026-01-01T00:00:00Z: where simulated dates begin.
    const FIXED_DATE: Millis = Millis(1_767_225_600_000);

    fn of_the_system() -> Self {
        Self { start: tokio::time::Instant::now(), wall: Wall::System }
    }

    fn from_a_fixed_date() -> Self {
        Self { start: tokio::time::Instant::now(), wall: Wall::From(Self::FIXED_DATE) }
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Moment {
        Moment(tokio::time::Instant::now() - self.start)
    }

    fn wall(&self) -> Millis {
        match self.wall {
            Wall::System => {
                let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Millis::default().plus(since_1970)
            }
            Wall::From(date) => date.plus(self.now().elapsed()),
        }
    }

    fn sleep_until(&self, at: Moment) -> Sleep {
        Box::pin(tokio::time::sleep_until(self.start + at.0))
    }
}
