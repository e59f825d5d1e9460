//! A server's outage must not look like the fleet's death.
//!
//! While a server was away nobody could renew, and when it is back everybody is past their
//! deadline. So for one lease after a sign of such an outage nobody is buried by deadline. The signs:
//! an own renewal went unanswered for a third of a lease, server time ran off from one's own clock,
//! the server has only just started, or another one answers. That last sign may come too late, so a burial
//! names the start of the server that it is meant for.
//!
//! Who has only just come has seen no sign. In its first lease it buries those alone that are not heard either.

use std::{collections::BTreeMap, sync::Mutex, time::Duration};

use super::env::Moment;
use crate::{
    model::{LeaseTimes, Millis, Partition},
    planted::{Bug, planted},
    store::{Overdue, Reckoning, Run},
};

/// One incarnation's judgement on whether deadlines count, partition by partition.
#[derive(Debug)]
pub(super) struct Brake {
    lease: LeaseTimes,
    /// The start of the server that lifelines are at; where nothing else is known it has all partitions.
    run: Mutex<Option<Run>>,
    partitions: Mutex<BTreeMap<Partition, Answers>>,
}

/// What is to be done with those past their deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judgement {
    /// They are dead, if the server is as this worker reckons.
    Bury(Reckoning),
    /// The same of those whose lifeline is broken as well.
    BuryUnheard(Reckoning),
    /// Nothing.
    Spare,
}

/// Who lives is subscribed again within this, where the server was replaced just before somebody came.
const HEARD_AGAIN: Duration = Duration::from_millis(600);

/// What the answered renewals of one partition told.
#[derive(Debug, Clone, Copy)]
struct Answers {
    /// The first one, by the own clock.
    first: Moment,
    /// The last one: by the own clock, and by the server's.
    last: (Moment, Millis),
    /// When that was asked for.
    asked: Moment,
    /// Until when nobody is buried.
    spare_until: Moment,
    /// The start of the server that has this partition, where that may be another than the lifelines'.
    run: Option<Run>,
}

impl Brake {
    /// A brake that is on wherever nothing has been answered yet.
    pub(super) fn new(lease: LeaseTimes) -> Self {
        Self { lease, run: Mutex::default(), partitions: Mutex::default() }
    }

    /// The first answer of a partition, at `now`, by a server that has been up for `up`.
    pub(super) fn first_answer(&self, partition: Partition, now: Moment, server: Millis, up: Duration) {
        let spare_until = now.plus(self.lease.ttl().saturating_sub(up));
        let answers = Answers { first: now, last: (now, server), asked: now, spare_until, run: None };
        self.lock().insert(partition, answers);
    }

    /// This start of the server answers, at `now`: what another one was told it may not know.
    pub(super) fn served_by(&self, run: Run, now: Moment) {
        let before = self.run.lock().expect("nobody panics while looking at the brake").replace(run);
        if before.is_some_and(|before| before != run) {
            // Whoever has just come judges by lifelines, too, whatever server the partition is at.
            let in_doubt = |answers: &&mut Answers| answers.run.is_none() || self.is_new(answers, now);
            for answers in self.lock().values_mut().filter(in_doubt) {
                answers.spare_until = now.plus(self.lease.ttl());
            }
        }
    }

    /// Whether this start of the server is the one that lifelines are at.
    pub(super) fn is_served_by(&self, run: Run) -> bool {
        *self.run.lock().expect("nobody panics while looking at the brake") == Some(run)
    }

    /// The same of the server that has `partition`, which is another than others': it alone is in doubt.
    pub(super) fn kept_by(&self, partition: Partition, run: Run, now: Moment) -> bool {
        let mut partitions = self.lock();
        let Some(answers) = partitions.get_mut(&partition) else { return false };
        let is_another = answers.run.replace(run).is_some_and(|before| before != run);
        if is_another {
            answers.spare_until = now.plus(self.lease.ttl());
        }
        is_another
    }

    fn is_new(&self, answers: &Answers, now: Moment) -> bool {
        now.since(answers.first) < self.lease.ttl()
    }

    /// A renewal that was sent at `asked` was answered at `now` by a server whose clock said `server`.
    pub(super) fn answered(&self, partition: Partition, asked: Moment, now: Moment, server: Millis) {
        let mut partitions = self.lock();
        let Some(answers) = partitions.get_mut(&partition) else { return };
        answers.asked = asked;
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

    /// What a claim is to do, at `now`, with an owner past its deadline.
    pub(super) fn overdue(&self, partition: Partition, now: Moment) -> Overdue {
        match self.judge(partition, now) {
            Judgement::Bury(reckoning) => Overdue::BuryUnder(reckoning),
            Judgement::BuryUnheard(_) | Judgement::Spare => Overdue::Spare,
        }
    }

    /// What to do, at `now`, with those past their deadline.
    pub(super) fn judge(&self, partition: Partition, now: Moment) -> Judgement {
        let run = *self.run.lock().expect("nobody panics while looking at the brake");
        let (partitions, Some(run)) = (self.lock(), run) else { return Judgement::Spare };
        let Some(answers) = partitions.get(&partition) else { return Judgement::Spare };
        let run = answers.run.unwrap_or(run);
        let counts = now >= answers.spare_until && now.since(answers.last.0) <= self.silence();
        let reckoning = Reckoning { run, until: self.latest(answers, now) };
        match now.since(answers.first) {
            _ if !counts => Judgement::Spare,
            _ if planted(Bug::NewcomerBuries) => Judgement::Bury(reckoning),
            here if here >= self.lease.ttl() => Judgement::Bury(reckoning),
            here if here >= HEARD_AGAIN => Judgement::BuryUnheard(reckoning),
            _ => Judgement::Spare,
        }
    }

    /// How late it can be by the server's clock when it does what it is told at `now`, unless that clock was set. The server
    /// answered after it was asked; that much, if it is little, and the time that the order takes are allowed for: each half
    /// of the margin between the end of an owner's trust and its deadline, so that who is past it by then trusts no more.
    fn latest(&self, answers: &Answers, now: Moment) -> Millis {
        let half = self.lease.ttl() / 20;
        let (answered, server_then) = answers.last;
        let asked_before = answered.since(answers.asked).min(half);
        server_then.plus(now.since(answered) + asked_before + half)
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
        brake.served_by(run(), at(0));
        brake.first_answer(P, at(0), Millis(500_000), Duration::from_secs(3600));
        brake
    }

    /// One that is not new any more: renewed until 12,000.
    fn settled() -> Brake {
        let brake = brake();
        for ms in [3_000, 6_000, 9_000, 12_000] {
            brake.answered(P, at(ms), at(ms), Millis(500_000 + ms));
        }
        brake
    }

    fn run() -> Run {
        Run::named("1")
    }

    /// Of a server whose clock went as the own one did, at `ms`.
    fn reckoning(ms: u64) -> Reckoning {
        Reckoning { run: run(), until: Millis(500_000 + ms + 450) }
    }

    #[test]
    fn a_renewal_unanswered_for_a_third_of_a_lease_spares_everybody_until_a_lease_after_the_next_answer() {
        let brake = settled();
        assert_eq!(brake.overdue(P, at(18_000)), Overdue::BuryUnder(reckoning(18_000)));
        assert_eq!(
            brake.overdue(P, at(18_001)),
            Overdue::Spare,
            "nothing heard since the renewal due at 15,000"
        );
        brake.answered(P, at(30_000), at(30_000), Millis(530_000));
        assert_eq!(brake.overdue(P, at(38_999)), Overdue::Spare);
        brake.answered(P, at(35_000), at(35_000), Millis(535_000));
        assert_eq!(brake.overdue(P, at(39_000)), Overdue::BuryUnder(reckoning(39_000)));
    }

    #[test]
    fn another_start_of_the_server_spares_everybody_for_a_lease() {
        let brake = settled();
        brake.served_by(run(), at(12_000));
        assert_eq!(brake.overdue(P, at(12_000)), Overdue::BuryUnder(reckoning(12_000)), "it is the same");
        let other = Run::named("2");
        brake.served_by(other, at(12_100));
        assert_eq!(brake.overdue(P, at(12_100)), Overdue::Spare);
        for ms in [15_000, 18_000, 21_000] {
            brake.answered(P, at(ms), at(ms), Millis(500_000 + ms));
        }
        assert_eq!(brake.overdue(P, at(21_099)), Overdue::Spare);
        assert_eq!(
            brake.overdue(P, at(21_100)),
            Overdue::BuryUnder(Reckoning { run: other, ..reckoning(21_100) })
        );
    }

    #[test]
    fn a_partition_on_a_server_of_its_own_is_in_doubt_with_that_alone() {
        let (brake, own, other) = (settled(), Run::named("own"), Run::named("other"));
        brake.kept_by(P, own, at(12_000));
        let under = |ms| Overdue::BuryUnder(Reckoning { run: own, ..reckoning(ms) });
        assert_eq!(brake.overdue(P, at(12_000)), under(12_000), "it is not new, only known now");
        brake.served_by(other, at(12_100));
        assert!(brake.is_served_by(other) && !brake.is_served_by(own));
        assert_eq!(brake.overdue(P, at(12_100)), under(12_100), "that is where lifelines are");
        brake.kept_by(P, other, at(12_200));
        assert_eq!(brake.overdue(P, at(12_200)), Overdue::Spare);
    }

    #[test]
    fn who_has_just_come_doubts_its_partitions_with_the_lifelines_too() {
        let brake = brake();
        brake.kept_by(P, Run::named("own"), at(0));
        assert!(matches!(brake.judge(P, at(600)), Judgement::BuryUnheard(_)));
        brake.served_by(Run::named("2"), at(600));
        assert_eq!(brake.judge(P, at(600)), Judgement::Spare);
    }

    #[test]
    fn who_has_just_come_buries_those_alone_that_are_not_heard() {
        let brake = brake();
        assert_eq!(brake.judge(P, at(599)), Judgement::Spare, "who lives may not be subscribed again yet");
        assert_eq!(brake.judge(P, at(600)), Judgement::BuryUnheard(reckoning(600)));
        assert_eq!(brake.overdue(P, at(600)), Overdue::Spare, "a claim does not look who is heard");
        brake.answered(P, at(3_000), at(3_000), Millis(503_000));
        brake.answered(P, at(6_000), at(6_000), Millis(506_000));
        assert_eq!(brake.judge(P, at(8_999)), Judgement::BuryUnheard(reckoning(8_999)));
        assert_eq!(brake.judge(P, at(9_000)), Judgement::Bury(reckoning(9_000)));
    }

    #[test]
    fn server_time_that_runs_off_spares_everybody_in_either_direction() {
        for server in [Millis(490_000), Millis(1_003_000)] {
            let brake = settled();
            brake.answered(P, at(15_000), at(15_000), server);
            assert_eq!(brake.overdue(P, at(15_000)), Overdue::Spare);
        }
    }

    #[test]
    fn a_clock_that_ran_off_is_noticed_by_whoever_sees_it_first() {
        let brake = settled();
        brake.seen(P, at(13_000), Millis(513_000));
        assert_eq!(brake.overdue(P, at(13_000)), Overdue::BuryUnder(reckoning(13_000)));
        brake.seen(P, at(13_100), Millis(573_100));
        assert_eq!(brake.overdue(P, at(13_100)), Overdue::Spare);
    }

    #[test]
    fn a_server_that_has_just_started_spares_everybody_for_the_rest_of_a_lease() {
        let brake = brake();
        brake.first_answer(P, at(0), Millis(500_000), Duration::from_secs(4));
        assert_eq!(brake.judge(P, at(4_999)), Judgement::Spare);
        assert_eq!(brake.judge(P, at(5_000)), Judgement::BuryUnheard(reckoning(5_000)));
        assert_eq!(brake.judge(Partition(1), at(5_000)), Judgement::Spare, "nothing heard there yet");
    }

    #[test]
    fn a_slow_answer_allows_for_a_later_clock_but_never_beyond_an_owners_trust() {
        let until = |asked: u64| {
            let brake = settled();
            brake.answered(P, at(asked), at(15_000), Millis(514_900));
            let Judgement::Bury(reckoning) = brake.judge(P, at(15_000)) else {
                panic!("nothing is in doubt")
            };
            reckoning.until.0
        };
        assert_eq!(until(15_000), 514_900 + 450);
        assert_eq!(until(14_800), 514_900 + 450 + 200);
        assert_eq!(
            until(12_500),
            514_900 + 2 * 450,
            "a tenth of a lease is all that lies between trust and deadline"
        );
    }
}
