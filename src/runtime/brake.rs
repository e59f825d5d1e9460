//! A server's outage must not look like the fleet's death.
//!
//! While the server was away nobody could renew, and when it is back everybody is past their
//! deadline. So for one lease after a sign of such an outage nobody is buried by deadline. Signs are
//! an own renewal that was not answered within a third of a lease, and server time that ran off from
//! one's own clock.

use std::{collections::BTreeMap, sync::Mutex, time::Duration};

use super::env::Moment;
use crate::{
    model::{Millis, Partition},
    store::Overdue,
};

/// One incarnation's judgement on whether deadlines count.
#[derive(Debug)]
pub(super) struct Brake {
    lease: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    until: Moment,
    /// Per partition, the last answered renewal: own clock and server's.
    last: BTreeMap<Partition, (Moment, Millis)>,
}

impl Brake {
    /// A brake that is off; `lease` is how long it stays on.
    pub(super) fn new(lease: Duration) -> Self {
        Self { lease, state: Mutex::default() }
    }

    /// An own renewal was answered at `now` by a server whose clock said `server`.
    pub(super) fn answered(&self, partition: Partition, now: Moment, server: Millis) {
        let mut state = self.lock();
        if let Some((then, server_then)) = state.last.insert(partition, (now, server)) {
            let own = i128::try_from(now.since(then).as_millis()).unwrap_or(i128::MAX);
            let its = i128::from(server.0) - i128::from(server_then.0);
            let allowed = i128::try_from((self.lease / 3).as_millis()).unwrap_or(i128::MAX);
            if (own - its).abs() > allowed {
                state.until = state.until.max(now.plus(self.lease));
            }
        }
    }

    /// An own renewal, asked for at `asked`, has no answer at `now`.
    pub(super) fn unanswered(&self, asked: Moment, now: Moment) {
        if now.since(asked) > self.lease / 3 {
            self.pull(now);
        }
    }

    /// The server is known to have been away until `now`.
    pub(super) fn pull(&self, now: Moment) {
        let mut state = self.lock();
        state.until = state.until.max(now.plus(self.lease));
    }

    /// What to do with those past their deadline.
    pub(super) fn overdue(&self, now: Moment) -> Overdue {
        if now < self.lock().until { Overdue::Spare } else { Overdue::Bury }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics while looking at the brake")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(9);

    fn at(ms: u64) -> Moment {
        Moment::default().plus(Duration::from_millis(ms))
    }

    #[test]
    fn a_renewal_unanswered_for_a_third_of_a_lease_spares_everybody_for_a_lease() {
        let brake = Brake::new(LEASE);
        brake.unanswered(at(0), at(3_000));
        assert_eq!(brake.overdue(at(3_000)), Overdue::Bury);
        brake.unanswered(at(0), at(3_001));
        assert_eq!(brake.overdue(at(12_000)), Overdue::Spare);
        assert_eq!(brake.overdue(at(12_001)), Overdue::Bury);
    }

    #[test]
    fn server_time_that_runs_off_spares_everybody_in_either_direction() {
        for server in [Millis(10_000), Millis(1_003_000)] {
            let brake = Brake::new(LEASE);
            brake.answered(Partition(0), at(0), Millis(500_000));
            brake.answered(Partition(0), at(3_000), Millis(503_000));
            assert_eq!(brake.overdue(at(3_000)), Overdue::Bury);
            brake.answered(Partition(0), at(6_000), server);
            assert_eq!(brake.overdue(at(6_000)), Overdue::Spare);
        }
    }
}
