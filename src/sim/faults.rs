//! What can go wrong, when, and how often.

use std::time::Duration;

use rand::{Rng, SeedableRng, rngs::StdRng};
use serde::{Deserialize, Serialize};

/// Something that goes wrong. Workers talk only to the server, so a partition cuts a worker (or client) from the
/// server, or the server from its replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum Fault {
    /// This call is lost before it takes effect; its caller gives up after a while.
    LoseCall,
    /// This call takes effect and its answer is lost; its caller gives up after a while.
    LoseReply,
    /// This call, or hint, arrives so much later, also after others that were sent later.
    Delay {
        /// How much later.
        by: Duration,
    },
    /// The answer to this call arrives as a step of its own.
    SlowReply {
        /// At the earliest so much later.
        by: Duration,
    },
    /// This hint is lost.
    LoseHint,
    /// A worker and the server do not reach each other any more.
    Partition {
        /// The worker, from 0.
        worker: u16,
        /// What becomes of what is sent meanwhile.
        how: Cut,
    },
    /// They do again.
    Heal {
        /// The worker, from 0.
        worker: u16,
    },
    /// A worker's process dies, as of `kill -9`. What it sent may still arrive.
    Stop {
        /// The worker, from 0.
        worker: u16,
    },
    /// A worker's process is asked to end, as by SIGTERM, and does so in good order.
    Drain {
        /// The worker, from 0.
        worker: u16,
    },
    /// A worker's process starts anew under the same name, if it does not run.
    Start {
        /// The worker, from 0.
        worker: u16,
    },
    /// A worker's process stands still (SIGSTOP): its clock goes on, its code does not.
    Pause {
        /// The worker, from 0.
        worker: u16,
        /// For so long.
        lasting: Duration,
    },
    /// A worker's monotonic clock leaps forward.
    Leap {
        /// The worker, from 0.
        worker: u16,
        /// By so much.
        by: Duration,
    },
    /// A worker's monotonic clock goes at another pace from now on.
    Drift {
        /// The worker, from 0.
        worker: u16,
        /// How much faster than the server's, in millionths.
        ppm: i32,
    },
    /// The server's wall clock is set.
    SetServerClock {
        /// How much later it is, in milliseconds; negative is earlier.
        by_ms: i64,
    },
    /// The server starts anew with what it held, and without its connections: each sees one failure.
    RestartServer,
    /// The replica does not get the server's writes any more.
    CutReplica,
    /// It does again, and catches up.
    HealReplica,
    /// The replica takes the server's place, without the writes that it did not get.
    Failover,
    /// The server is out of memory: it refuses what brings more.
    FillMemory {
        /// For so long.
        lasting: Duration,
    },
    /// The server answers each write only after its disk did.
    SlowFsync {
        /// How long the disk takes.
        by: Duration,
        /// For so long.
        lasting: Duration,
    },
}

/// What becomes of what is sent over a connection that is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cut {
    /// It is lost.
    Drop,
    /// It arrives when the connection is healed.
    Defer,
}

/// When a fault happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// So long after the start, by virtual time.
    At(Duration),
    /// Before this step, from 1.
    Step(u64),
    /// Before this step, and not before this time: the step before it may be long ago.
    StepAt(u64, Duration),
    /// To the call or hint of this [id](super::Choice::id).
    To(u64),
}

/// A fault of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Planned {
    /// When it happens.
    pub when: When,
    /// What happens.
    #[serde(flatten)]
    pub fault: Fault,
}

impl Planned {
    /// `fault`, so long after the start.
    pub fn at(time: Duration, fault: Fault) -> Self {
        Self { when: When::At(time), fault }
    }

    /// `fault`, before this step.
    pub fn before_step(step: u64, fault: Fault) -> Self {
        Self { when: When::Step(step), fault }
    }

    /// `fault`, before this step and not before this time.
    pub(super) fn before_step_at(step: u64, time: Duration, fault: Fault) -> Self {
        Self { when: When::StepAt(step, time), fault }
    }
}

/// Which faults a simulation has.
#[derive(Debug, Clone, PartialEq)]
pub enum Faults {
    /// These and no others.
    Plan(Vec<Planned>),
    /// The seed draws them at these rates.
    Rates(Rates),
    /// Both.
    Both(Vec<Planned>, Rates),
}

/// How often things go wrong where the seed draws the faults.
#[derive(Debug, Clone, PartialEq)]
pub struct Rates {
    /// Calls lost, in thousandths.
    pub lose_call: u32,
    /// Answers lost, in thousandths of calls.
    pub lose_reply: u32,
    /// Calls and hints delayed, in thousandths.
    pub delay: u32,
    /// Answers that are a step of their own, in thousandths of calls.
    pub slow_reply: u32,
    /// Hints lost, in thousandths.
    pub lose_hint: u32,
    /// The longest delay.
    pub longest_delay: Duration,
    /// Until when things go wrong.
    pub until: Duration,
    /// How many workers die and are started anew.
    pub stops: u32,
    /// How many workers are drained and started anew.
    pub drains: u32,
    /// How many workers are cut off for a while.
    pub partitions: u32,
    /// How many workers stand still for a while.
    pub pauses: u32,
    /// How often the server starts anew.
    pub restarts: u32,
    /// How often a replica without the last writes takes over.
    pub failovers: u32,
    /// How often a clock leaps or goes astray.
    pub clocks: u32,
    /// How often memory is full for a while.
    pub full: u32,
    /// How often the disk is slow for a while.
    pub slow_fsync: u32,
    /// The longest time that anything of this lasts.
    pub longest: Duration,
}

impl Rates {
    /// Nothing goes wrong.
    pub fn none() -> Self {
        Self {
            lose_call: 0,
            lose_reply: 0,
            delay: 0,
            slow_reply: 0,
            lose_hint: 0,
            longest_delay: Duration::ZERO,
            until: Duration::ZERO,
            stops: 0,
            drains: 0,
            partitions: 0,
            pauses: 0,
            restarts: 0,
            failovers: 0,
            clocks: 0,
            full: 0,
            slow_fsync: 0,
            longest: Duration::ZERO,
        }
    }

    /// What a bad hour brings: everything that loses nothing which was accepted.
    pub fn rough() -> Self {
        Self {
            lose_call: 10,
            lose_reply: 15,
            delay: 15,
            slow_reply: 60,
            lose_hint: 100,
            longest_delay: Duration::from_secs(4),
            until: Duration::from_secs(6),
            stops: 1,
            drains: 1,
            partitions: 1,
            pauses: 1,
            restarts: 1,
            failovers: 0,
            clocks: 0,
            full: 1,
            slow_fsync: 1,
            longest: Duration::from_secs(5),
        }
    }

    /// What happens to the call or hint of this id, if anything.
    pub(super) fn fate(&self, seed: u64, id: u64, is_hint: bool) -> Option<Fault> {
        let drawn = mixed(seed ^ mixed(id));
        let at = u32::try_from(drawn % 1000).expect("below 1000");
        let more = mixed(drawn);
        if is_hint {
            return match at {
                at if at < self.lose_hint => Some(Fault::LoseHint),
                at if at < self.lose_hint + self.delay => Some(Fault::Delay { by: self.delay(more) }),
                _ => None,
            };
        }
        let bounds = [self.lose_call, self.lose_reply, self.delay, self.slow_reply];
        let mut sum = 0;
        let which = bounds.iter().position(|rate| {
            sum += rate;
            at < sum
        })?;
        Some(match which {
            0 => Fault::LoseCall,
            1 => Fault::LoseReply,
            2 => Fault::Delay { by: self.delay(more) },
            // Most answers are only overtaken; some take their time.
            _ if !more.is_multiple_of(4) => Fault::SlowReply { by: Duration::ZERO },
            _ => Fault::SlowReply { by: self.delay(mixed(more)) },
        })
    }

    /// Short ones are likelier.
    fn delay(&self, drawn: u64) -> Duration {
        let longest = u64::try_from(self.longest_delay.as_micros()).unwrap_or(u64::MAX).max(1);
        let shift = (drawn >> 40) % 10;
        Duration::from_micros(drawn % (longest >> shift).max(1))
    }

    /// The faults of machines that this seed brings to a fleet of `workers`.
    pub(super) fn plan(&self, seed: u64, workers: u16) -> Vec<Planned> {
        let mut plan = Drawn { rng: StdRng::seed_from_u64(mixed(seed)), rates: self, plan: Vec::new() };
        if workers > 0 {
            plan.machines(workers);
        }
        plan.servers();
        plan.plan.sort();
        plan.plan
    }
}

/// A plan on its way.
struct Drawn<'r> {
    rng: StdRng,
    rates: &'r Rates,
    plan: Vec<Planned>,
}

impl Drawn<'_> {
    fn machines(&mut self, workers: u16) {
        let counts = [
            self.rates.stops,
            self.rates.drains,
            self.rates.partitions,
            self.rates.pauses,
            self.rates.clocks,
        ];
        for (which, most) in counts.into_iter().enumerate() {
            for _ in 0..self.count(most) {
                let worker = self.rng.random_range(0..workers);
                self.machine(which, worker);
            }
        }
    }

    fn machine(&mut self, which: usize, worker: u16) {
        let (from, lasting) = self.window();
        let to = from + lasting;
        match which {
            0 => self.pair(from, Fault::Stop { worker }, to, Fault::Start { worker }),
            1 => self.pair(from, Fault::Drain { worker }, to, Fault::Start { worker }),
            2 => {
                let how = if self.rng.random() { Cut::Drop } else { Cut::Defer };
                self.pair(from, Fault::Partition { worker, how }, to, Fault::Heal { worker });
            }
            3 => self.plan.push(Planned::at(from, Fault::Pause { worker, lasting })),
            _ => match self.rng.random_range(0..3) {
                0 => self.plan.push(Planned::at(from, Fault::Leap { worker, by: lasting })),
                1 => {
                    let ppm = self.rng.random_range(-20_000..20_000);
                    self.pair(from, Fault::Drift { worker, ppm }, to, Fault::Drift { worker, ppm: 0 });
                }
                _ => {
                    let by_ms = self.rng.random_range(-3_600_000..3_600_000);
                    self.plan.push(Planned::at(from, Fault::SetServerClock { by_ms }));
                }
            },
        }
    }

    fn servers(&mut self) {
        for _ in 0..self.count(self.rates.restarts) {
            let (at, _) = self.window();
            self.plan.push(Planned::at(at, Fault::RestartServer));
        }
        for _ in 0..self.count(self.rates.failovers) {
            let (from, lasting) = self.window();
            // Replication lags by little; what is lost is what was written within that.
            self.pair(from, Fault::CutReplica, from + lasting / 20, Fault::Failover);
        }
        for _ in 0..self.count(self.rates.full) {
            let (at, lasting) = self.window();
            self.plan.push(Planned::at(at, Fault::FillMemory { lasting }));
        }
        for _ in 0..self.count(self.rates.slow_fsync) {
            let (at, lasting) = self.window();
            self.plan.push(Planned::at(at, Fault::SlowFsync { by: lasting / 20, lasting }));
        }
    }

    fn pair(&mut self, from: Duration, one: Fault, to: Duration, other: Fault) {
        self.plan.extend([Planned::at(from, one), Planned::at(to, other)]);
    }

    /// Up to `most`, less being likely.
    fn count(&mut self, most: u32) -> u32 {
        self.rng.random_range(0..=most)
    }

    /// A part of the time in which things go wrong.
    fn window(&mut self) -> (Duration, Duration) {
        let at = |rng: &mut StdRng, limit: Duration| {
            Duration::from_micros(rng.random_range(0..u64::try_from(limit.as_micros()).unwrap_or(1).max(1)))
        };
        (at(&mut self.rng, self.rates.until), at(&mut self.rng, self.rates.longest))
    }
}

/// A number that looks like no other's neighbour (SplitMix64's finalizer, Steele et al. 2014).
pub(super) fn mixed(n: u64) -> u64 {
    let n = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

impl Fault {
    /// The worker it happens to, if it is one's.
    pub fn worker(self) -> Option<u16> {
        match self {
            Self::Partition { worker, .. }
            | Self::Heal { worker }
            | Self::Stop { worker }
            | Self::Drain { worker }
            | Self::Start { worker }
            | Self::Pause { worker, .. }
            | Self::Leap { worker, .. }
            | Self::Drift { worker, .. } => Some(worker),
            _ => None,
        }
    }

    /// Its name, as counted in summaries.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LoseCall => "call_lost",
            Self::LoseReply => "reply_lost",
            Self::Delay { .. } => "delay",
            Self::SlowReply { .. } => "slow_reply",
            Self::LoseHint => "hint_lost",
            Self::Partition { .. } => "partition",
            Self::Heal { .. } => "heal",
            Self::Stop { .. } => "stop",
            Self::Drain { .. } => "drain",
            Self::Start { .. } => "start",
            Self::Pause { .. } => "pause",
            Self::Leap { .. } => "leap",
            Self::Drift { .. } => "drift",
            Self::SetServerClock { .. } => "server_clock",
            Self::RestartServer => "server_restart",
            Self::CutReplica => "cut_replica",
            Self::HealReplica => "heal_replica",
            Self::Failover => "failover",
            Self::FillMemory { .. } => "memory_full",
            Self::SlowFsync { .. } => "slow_fsync",
        }
    }
}
