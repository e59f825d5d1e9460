//! A server's outage must not look like the fleet's death.
//!
//! While a server was away nobody could renew, and when it is back everybody is past their
//! deadline. So for one lease after a sign of such an outage nobody is buried by deadline. The signs:
//! an own renewal went unanswered for a third of a lease, server time ran off from one's own clock,
//! or the server has only just started.

use std::{collections::BTreeMap, sync::Mutex, time::Duration};

use super::env::Moment;
use crate::{
    model::{LeaseTimes, Millis, Partition},
    store::Overdue,
};

/// One incarnation's judgement on whether deadlines count, partition by partition.
#[derive(Debug)]
pub(super) struct Brake {
    lease: LeaseTimes,
    partitions: Mutex<BTreeMap<Partition, Answers>>,
}

/// What the answered renewals of one partition told.
#[derive(Debug, Clone, Copy)]
struct Answers {
    /// The last one: by the own clock, and by the server's.
    last: (Moment, Millis),
    /// Until when nobody is buried.
    spare_until: Moment,
}

impl Brake {
    /// A brake that is on wherever nothing has been answered yet.
    pub(super) fn new(lease: LeaseTimes) -> Self {
        Self { lease, partitions: Mutex::default() }
    }

    /// The first answer of a partition, at `now`, by a server that has been up for `up`.
    pub(super) fn first_answer(&self, partition: Partition, now: Moment, server: Millis, up: Duration) {
        let spare_until = now.plus(self.lease.ttl().saturating_sub(up));
        self.lock().insert(partition, Answers { last: (now, server), spare_until });
    }

    /// A renewal was answered at `now` by a server whose clock said `server`.
    pub(super) fn answered(&self, partition: Partition, now: Moment, server: Millis) {
        let mut partitions = self.lock();
        let Some(answers) = partitions.get_mut(&partition) else { return };
        let (then, server_then) = std::mem::replace(&mut answers.last, (now, server));
        let silent = now.since(then) > self.silence();
        if silent || self.ran_off((then, server_then), (now, server)) {
            answers.spare_until = now.plus(self.lease.ttl());
        }
    }

    /// The server's clock, as something else than a renewal saw it: what it says of deadlines must not be believed
    /// before it was compared with the own clock.
    pub(super) fn seen(&self, partition: Partition, now: Moment, server: Millis) {
        let mut partitions = self.lock();
        let Some(answers) = partitions.get_mut(&partition) else { return };
        if self.ran_off(answers.last, (now, server)) {
            answers.spare_until = now.plus(self.lease.ttl());
        }
    }

    /// Whether the server's clock and the own one went differently far from one moment to another.
    fn ran_off(&self, (then, server_then): (Moment, Millis), (now, server): (Moment, Millis)) -> bool {
        let theirs = Duration::from_millis(server.0.abs_diff(server_then.0));
        server < server_then || theirs.abs_diff(now.since(then)) > self.lease.ttl() / 3
    }

    /// What to do, at `now`, with those past their deadline.
    pub(super) fn overdue(&self, partition: Partition, now: Moment) -> Overdue {
        match self.lock().get(&partition) {
            Some(answers) if now >= answers.spare_until && now.since(answers.last.0) <= self.silence() => {
                Overdue::Bury
            }
            _ => Overdue::Spare,
        }
    }

    /// The longest time from one answer to the next that is no sign of an outage.
    fn silence(&self) -> Duration {
        self.lease.renew_every() + self.lease.ttl() / 3
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Partition, Answers>> {
        self.partitions.lock().expect("nobody panics while looking at the brake")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const P: Partition = Partition(0);

    fn at(ms: u64) -> Moment {
        Moment::default().plus(Duration::from_millis(ms))
    }

    fn brake() -> Brake {
        let brake = Brake::new(LeaseTimes::new(Duration::from_secs(9)).unwrap());
        brake.first_answer(P, at(0), Millis(500_000), Duration::from_secs(3600));
        brake
    }

    #[test]
    fn a_renewal_unanswered_for_a_third_of_a_lease_spares_everybody_until_a_lease_after_the_next_answer() {
        let brake = brake();
        assert_eq!(brake.overdue(P, at(6_000)), Overdue::Bury);
        assert_eq!(
            brake.overdue(P, at(6_001)),
            Overdue::Spare,
            "nothing heard since the renewal due at 3,000"
        );
        brake.answered(P, at(20_000), Millis(520_000));
        assert_eq!(brake.overdue(P, at(28_999)), Overdue::Spare);
        brake.answered(P, at(25_000), Millis(525_000));
        assert_eq!(brake.overdue(P, at(29_000)), Overdue::Bury);
    }

    #[test]
    fn server_time_that_runs_off_spares_everybody_in_either_direction() {
        for server in [Millis(490_000), Millis(1_003_000)] {
            let brake = brake();
            brake.answered(P, at(3_000), server);
            assert_eq!(brake.overdue(P, at(3_000)), Overdue::Spare);
        }
    }

    #[test]
    fn a_clock_that_ran_off_is_noticed_by_whoever_sees_it_first() {
        let brake = brake();
        brake.seen(P, at(1_000), Millis(501_000));
        assert_eq!(brake.overdue(P, at(1_000)), Overdue::Bury);
        brake.seen(P, at(1_100), Millis(561_100));
        assert_eq!(brake.overdue(P, at(1_100)), Overdue::Spare);
    }

    #[test]
    fn a_server_that_has_just_started_spares_everybody_for_the_rest_of_a_lease() {
        let brake = brake();
        brake.first_answer(P, at(0), Millis(500_000), Duration::from_secs(4));
        assert_eq!(brake.overdue(P, at(4_999)), Overdue::Spare);
        assert_eq!(brake.overdue(P, at(5_000)), Overdue::Bury);
        assert_eq!(brake.overdue(Partition(1), at(5_000)), Overdue::Spare, "nothing heard there yet");
    }
}
