//! Clocks that the simulation turns: one per worker and client, each with its own offset, drift and jumps.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use super::{choice::Actor, world::World};
use crate::{
    model::Millis,
    runtime::{Clock, Moment, Sleep},
};

/// 2026-01-01T00:00:00Z: where simulated dates begin.
pub(super) const START: Millis = Millis(1_767_225_600_000);

/// How one process' own clock follows virtual time.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LocalClock {
    /// Where it stood, by both clocks, when it was last set.
    base: (Duration, Duration),
    /// How much faster than virtual time it goes, in millionths.
    drift_ppm: i32,
}

impl LocalClock {
    /// A clock that stands at zero at virtual time `now`.
    pub(super) fn started(now: Duration) -> Self {
        Self { base: (now, Duration::ZERO), drift_ppm: 0 }
    }

    /// What it shows at virtual time `now`.
    pub(super) fn at(&self, now: Duration) -> Moment {
        let passed = now.saturating_sub(self.base.0);
        Moment::default().plus(self.base.1 + scaled(passed, self.pace(), ONE))
    }

    /// The virtual time at which it shows `local`.
    pub(super) fn when(&self, local: Moment) -> Duration {
        let ahead = local.elapsed().saturating_sub(self.base.1);
        let exact = self.base.0.saturating_add(scaled(ahead, ONE, self.pace()));
        // Rounded up: a timer must never be too early by its own clock.
        if self.at(exact) < local { exact + Duration::from_nanos(1) } else { exact }
    }

    /// From `now` on it goes at this pace.
    pub(super) fn drift(&mut self, now: Duration, ppm: i32) {
        self.base = (now, self.at(now).elapsed());
        self.drift_ppm = ppm;
    }

    /// Leaps forward; a monotonic clock never goes back.
    pub(super) fn jump(&mut self, now: Duration, by: Duration) {
        self.base = (now, self.at(now).elapsed() + by);
    }

    fn pace(&self) -> u64 {
        ONE.saturating_add_signed(self.drift_ppm.into())
    }
}

const ONE: u64 = 1_000_000;

fn scaled(time: Duration, to: u64, from: u64) -> Duration {
    if to == from {
        return time;
    }
    let nanos = time.as_nanos().saturating_mul(to.into()) / u128::from(from.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// One process' clocks, for its [`Env`](crate::Env).
pub(super) struct SimClock {
    pub(super) world: Arc<World>,
    pub(super) actor: Actor,
    /// The start of the process that this clock belongs to; timers of an older one never fire.
    pub(super) generation: u32,
}

impl Clock for SimClock {
    fn now(&self) -> Moment {
        self.world.state().local_time(self.actor)
    }

    fn wall(&self) -> Millis {
        START.plus(self.world.state().now())
    }

    fn sleep_until(&self, at: Moment) -> Sleep {
        let (world, actor, generation) = (self.world.clone(), self.actor, self.generation);
        Box::pin(Timer { world, actor, generation, at, stage: Stage::New, always: false })
    }

    fn checkpoint(&self) -> Sleep {
        let (world, actor, generation) = (self.world.clone(), self.actor, self.generation);
        Box::pin(Timer { world, actor, generation, at: Moment::default(), stage: Stage::New, always: true })
    }
}

/// A wait for a process' own clock: a scheduling point, unless that time is over already.
struct Timer {
    world: Arc<World>,
    actor: Actor,
    generation: u32,
    at: Moment,
    stage: Stage,
    /// Waits for its turn though its time is over.
    always: bool,
}

enum Stage {
    New,
    Waiting(u64),
    Fired,
}

impl Future for Timer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context) -> Poll<()> {
        let this = &mut *self;
        let mut state = this.world.state();
        match this.stage {
            Stage::Fired => return Poll::Ready(()),
            Stage::New => {
                if !this.always && state.local_time(this.actor) >= this.at {
                    drop(state);
                    this.stage = Stage::Fired;
                    return Poll::Ready(());
                }
                let id = state.start_timer(this.actor, this.generation, this.at, this.always, cx.waker());
                this.stage = Stage::Waiting(id);
            }
            Stage::Waiting(id) => {
                if !state.still_waits(this.actor, this.at, id, cx.waker()) {
                    this.stage = Stage::Fired;
                    return Poll::Ready(());
                }
            }
        }
        Poll::Pending
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if let Stage::Waiting(id) = self.stage {
            self.world.state().forget_timer(self.actor, self.at, id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn a_clock_that_drifts_reaches_a_moment_when_it_shows_it_and_not_before() {
        for ppm in [-300_000, -7, 0, 13, 250_000] {
            let mut clock = LocalClock::started(secs(5));
            clock.drift(secs(7), ppm);
            for ms in [2_001, 2_777, 9_999, 1_000_003] {
                let local = Moment::default().plus(Duration::from_millis(ms));
                let when = clock.when(local);
                assert!(clock.at(when) >= local, "{ppm} {ms}");
                assert!(clock.at(when - Duration::from_nanos(2)) < local, "{ppm} {ms}");
            }
        }
    }

    #[test]
    fn a_clock_that_jumped_is_ahead_by_that_much() {
        let mut clock = LocalClock::started(secs(1));
        clock.jump(secs(3), secs(60));
        assert_eq!(clock.at(secs(4)).elapsed(), secs(63));
        assert_eq!(clock.when(Moment::default().plus(secs(10))), secs(3), "long over");
    }
}
