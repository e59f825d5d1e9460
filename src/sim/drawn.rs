//! The faults of machines and servers that a seed brings.

use std::time::Duration;

use rand::{Rng, SeedableRng, rngs::StdRng};

use super::{
    faults::{Cut, Fault},
    mixed::mixed,
    plan::Planned,
    rates::Rates,
};

impl Rates {
    /// The faults of machines that this seed brings to a fleet of `workers`.
    pub(super) fn plan(&self, seed: u64, workers: u16) -> Vec<Planned> {
        let mut plan = Drawn { rng: StdRng::seed_from_u64(mixed(seed)), rates: self, plan: Vec::new() };
        if workers > 0 {
            plan.machines(workers);
        }
        plan.servers();
        if workers > 0 {
            plan.lifelines(workers);
        }
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

    /// Last, as what is drawn here changes nothing of the rest.
    fn lifelines(&mut self, workers: u16) {
        for _ in 0..self.count(self.rates.lifelines) {
            let worker = self.rng.random_range(0..workers);
            let (at, lasting) = self.window();
            self.plan.push(Planned::at(at, Fault::BreakLifeline { worker, lasting }));
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
