//! How long what is runnable waits for somebody able to own it, where nothing stands in the way.
//!
//! The wait has a clock of its own. It stands while the scheduler keeps a worker from what it could do, for that is no
//! doing of the runtime's. What stands in the way is few and exact, and makes a wait begin anew; each is said where it is looked for,
//! here and in [`able`](super::able).

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::able::Scene;
use crate::{
    model::{AgentName, Epoch, Partition, Pool, SessionId, SessionRecord, WorkerId},
    store::{DutyWish, Presence, memory::SessionSight},
};

/// How much longer than a lease it may wait: a keeper that is gone is found out and replaced, and its work found, within this.
const BEYOND_LEASE: Duration = Duration::from_secs(2);

/// What waits for an owner, and since when.
#[derive(Default)]
pub(super) struct Unowned {
    /// Time in which everybody did at once what they could.
    clock: Duration,
    /// Time in which some worker was kept from it, since something stood in the way of all.
    held_up: Duration,
    /// Since when nothing stands in the way of all.
    clear_since: Duration,
    /// The longest lease that was granted.
    lease: Duration,
    words: BTreeMap<(WorkerId, Partition), Word>,
    able_since: BTreeMap<(WorkerId, Partition), Duration>,
    kept: BTreeMap<Partition, Kept>,
    runnable: BTreeMap<SessionId, Runnable>,
    /// The longest wait so far.
    pub(super) longest: Duration,
}

/// What a worker said of itself with its last renewal.
struct Word {
    pool: Pool,
    takes: BTreeSet<AgentName>,
    leaves: bool,
}

/// Whether somebody able keeps a partition.
#[derive(Default)]
struct Kept {
    by: Option<WorkerId>,
    /// Since when its keepers are able, or since when there is none.
    since: Duration,
}

/// A session with something to run.
struct Runnable {
    partition: Partition,
    pool: Pool,
    owner: Option<WorkerId>,
    epoch: Option<Epoch>,
    is_suspect: bool,
    /// Since when nobody able owns it.
    since: Option<Duration>,
    /// Since when nothing stands in its way in particular.
    clear_since: Duration,
}

impl Unowned {
    /// A session as it stands now.
    pub(super) fn saw(&mut self, session: &SessionId, partition: Partition, sight: &SessionSight) {
        let record = sight.record;
        if !record.is_runnable(sight.inbox.len() as u64) {
            return self.gone(session);
        }
        let before = self.runnable.remove(session);
        // Whoever claimed it meanwhile ended the wait, and gave it up since.
        let before = before.filter(|before| before.epoch == record.epoch);
        let (since, clear_since) =
            before.map_or((None, Duration::ZERO), |before| (before.since, before.clear_since));
        let seen = Runnable {
            partition,
            pool: record.pool.clone(),
            owner: record.owner.as_ref().map(|owner| owner.worker.clone()),
            epoch: record.epoch,
            is_suspect: SessionRecord::is_suspect(&record.crashes_at_claim()),
            since,
            clear_since,
        };
        self.runnable.insert(session.clone(), seen);
    }

    /// A session is no more, or has nothing to run.
    pub(super) fn gone(&mut self, session: &SessionId) {
        self.runnable.remove(session);
    }

    /// A worker's renewal was answered.
    pub(super) fn told(&mut self, partition: Partition, presence: &Presence) {
        self.lease = self.lease.max(presence.lease);
        let has_room = presence.load.is_some();
        let serves = presence.agents.iter().filter(|agent| has_room && !presence.full.contains(agent));
        let takes = serves.cloned().collect();
        let leaves = !has_room && presence.duty == DutyWish::GiveUp;
        let word = Word { pool: presence.pool.clone(), takes, leaves };
        self.words.insert((presence.worker.clone(), partition), word);
    }

    /// The server or a clock is another than before: what everybody knew is in doubt, as [brakes](crate::runtime) say, for a
    /// lease. Or a connection is healed, and what was sent over it long ago arrives.
    pub(super) fn stir(&mut self) {
        (self.clear_since, self.held_up) = (self.clock, Duration::ZERO);
    }

    /// A hint about this session is lost or late: perhaps the offer that would have found it an owner.
    pub(super) fn hint_lost(&mut self, session: &SessionId) {
        if let Some(waits) = self.runnable.get_mut(session) {
            waits.clear_since = self.clock;
        }
    }

    /// Time passes, and everything is as in `scene` meanwhile. Gives who waited for too long, and how long.
    pub(super) fn pass(&mut self, scene: &Scene, passed: Duration) -> Option<(SessionId, Duration)> {
        let began = self.clock;
        self.follow_workers(scene);
        if scene.is_held_up {
            self.hold_up(passed);
        } else {
            self.clock += passed;
        }
        if scene.is_hampered {
            self.stir();
        }
        self.follow_sessions(scene, began);
        let (session, longest) = self.waits().max_by_key(|(_, waited)| *waited)?;
        let found = (longest > self.lease + BEYOND_LEASE).then(|| (session.clone(), longest));
        self.longest = self.longest.max(longest);
        found
    }

    /// What adds up to so much that others may notice (they renew every third of a lease) is a pause like any other.
    fn hold_up(&mut self, passed: Duration) {
        self.held_up += passed;
        if self.held_up >= self.lease / 3 {
            self.stir();
        }
    }

    fn follow_workers(&mut self, scene: &Scene) {
        let clock = self.clock;
        let lost = self.able_since.keys().filter(|one| !scene.able.contains(one));
        let lost: BTreeSet<_> = lost.map(|(_, partition)| *partition).collect();
        self.able_since.retain(|one, _| scene.able.contains(one));
        for one in &scene.able {
            self.able_since.entry(one.clone()).or_insert(clock);
        }
        for (partition, keeper) in &scene.keepers {
            let kept = self.kept.entry(*partition).or_default();
            let word = |worker: &WorkerId| self.words.get(&(worker.clone(), *partition));
            let stays = |worker: &WorkerId| {
                scene.is_able(worker, *partition) && word(worker).is_none_or(|word| !word.leaves)
            };
            // Whoever kept it is gone: somebody else has to find that out first, and take its place. So has the next one, if
            // who was about to is gone before.
            let is_gone = kept.by.take_if(|worker| !stays(worker)).is_some();
            if is_gone || (kept.by.is_none() && lost.contains(partition)) {
                kept.since = clock;
            }
            // Who has only just come, or come back, spares everybody for a lease.
            let able_since = keeper.as_ref().and_then(|keeper| {
                self.able_since.get(&(keeper.clone(), *partition)).map(|since| (keeper, *since))
            });
            if let Some((keeper, since)) = able_since.filter(|(keeper, _)| stays(keeper)) {
                (kept.by, kept.since) = (Some(keeper.clone()), kept.since.max(since));
            }
        }
    }

    fn follow_sessions(&mut self, scene: &Scene, began: Duration) {
        let Self { clock, words, runnable, .. } = self;
        // A worker owns at most one suspect, so another one has to wait.
        let risky = runnable.values().filter(|one| one.is_suspect);
        let busy: BTreeSet<_> = risky.filter_map(|one| one.owner.clone()).collect();
        for (session, one) in runnable {
            let is_owned = one.owner.as_ref().is_some_and(|owner| scene.is_able(owner, one.partition));
            if is_owned {
                one.since = None;
                continue;
            }
            one.since.get_or_insert(began);
            // Nobody is there who serves it, has room, and hears of it.
            let takes = |worker: &WorkerId| {
                let word = words.get(&(worker.clone(), one.partition));
                scene.heard.contains(worker)
                    && word.is_some_and(|word| word.pool == one.pool && word.takes.contains(&session.agent()))
                    && !(one.is_suspect && busy.contains(worker))
            };
            if !scene.able.iter().any(|(worker, partition)| *partition == one.partition && takes(worker)) {
                one.clear_since = *clock;
            }
        }
    }

    /// How long each waits that does.
    fn waits(&self) -> impl Iterator<Item = (&SessionId, Duration)> {
        self.runnable.iter().filter_map(|(session, one)| {
            let kept = self.kept.get(&one.partition).map_or(Duration::ZERO, |kept| kept.since);
            let since = one.since?.max(one.clear_since).max(self.clear_since).max(kept);
            Some((session, self.clock - since))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;
    use crate::{
        model::{Millis, Nonce, Token},
        store::Mail,
    };

    const P: Partition = Partition(0);

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn worker(name: &str) -> WorkerId {
        name.parse().unwrap()
    }

    fn presence(name: &str) -> Presence {
        Presence {
            worker: worker(name),
            lease: secs(3),
            pool: Pool::default(),
            agents: vec!["a".parse().unwrap()],
            full: BTreeSet::new(),
            load: Some(0),
            duty: DutyWish::Take,
        }
    }

    /// Who is able, and who of them keeps the partition.
    fn scene(able: &[&str], keeper: &str) -> Scene {
        Scene {
            able: able.iter().map(|name| (worker(name), P)).collect(),
            heard: able.iter().map(|name| worker(name)).collect(),
            keepers: [(P, Some(worker(keeper)))].into(),
            is_hampered: false,
            is_held_up: false,
        }
    }

    /// `x-1` owns a session with work and `y-1` keeps its partition; both are able, and have been for a while.
    fn settled() -> Unowned {
        let mut unowned = Unowned::default();
        unowned.told(P, &presence("x-1"));
        unowned.told(P, &presence("y-1"));
        sees(&mut unowned, Some("x-1"), 1);
        assert_eq!(unowned.pass(&scene(&["x-1", "y-1"], "y-1"), secs(60)), None);
        unowned
    }

    fn session() -> SessionId {
        "a/1".parse().unwrap()
    }

    fn sees(unowned: &mut Unowned, owner: Option<&str>, epoch: u64) {
        let mut record = SessionRecord::made(Pool::default(), Millis(0));
        let epoch = Epoch(epoch);
        record.owner = owner.map(|name| Token { worker: worker(name), epoch, nonce: Nonce(1) });
        record.epoch = Some(epoch);
        let sight = SessionSight {
            record: &record,
            inbox: &VecDeque::from([Mail::Unreadable("mail".to_owned())]),
            history: &[],
            is_ready: true,
            timer: None,
            is_held: true,
            is_indexed: true,
        };
        unowned.saw(&session(), P, &sight);
    }

    /// Whether it waited for too long after these times passed in these scenes.
    fn too_long(unowned: &mut Unowned, scenes: &[(&Scene, u64)]) -> bool {
        scenes.iter().any(|(scene, passed)| unowned.pass(scene, secs(*passed)).is_some())
    }

    #[test]
    fn it_waits_from_when_its_owner_ceased_to_be_able_also_while_somebody_else_takes_it_from_him() {
        let (mut unowned, alone) = (settled(), scene(&["y-1"], "y-1"));
        assert_eq!(unowned.pass(&alone, secs(4)), None);
        sees(&mut unowned, None, 1);
        assert_eq!(unowned.pass(&alone, secs(1)), None, "a lease and two seconds");
        assert_eq!(unowned.longest, secs(5));
        let waited = unowned.pass(&alone, Duration::from_millis(1));
        assert_eq!(waited, Some((session(), Duration::from_millis(5_001))));
    }

    #[test]
    fn whoever_claims_it_ends_the_wait_though_it_is_given_up_in_the_same_moment() {
        let (mut unowned, alone) = (settled(), scene(&["y-1"], "y-1"));
        assert!(!too_long(&mut unowned, &[(&alone, 4)]));
        sees(&mut unowned, None, 2);
        assert!(!too_long(&mut unowned, &[(&alone, 5)]));
        assert!(too_long(&mut unowned, &[(&alone, 1)]));
    }

    #[test]
    fn what_the_scheduler_holds_up_does_not_count_and_is_a_pause_if_it_is_long() {
        let alone = scene(&["y-1"], "y-1");
        let held_up = Scene { is_held_up: true, ..scene(&["y-1"], "y-1") };
        let mut unowned = settled();
        let short = Duration::from_millis(999);
        assert!(!too_long(&mut unowned, &[(&alone, 5)]));
        assert_eq!(unowned.pass(&held_up, short), None);
        assert!(too_long(&mut unowned, &[(&alone, 1)]), "it counts on");
        let mut unowned = settled();
        assert!(!too_long(&mut unowned, &[(&alone, 4), (&held_up, 1), (&alone, 5)]), "it counts anew");
        assert!(too_long(&mut unowned, &[(&alone, 1)]));
    }

    #[test]
    fn it_counts_anew_after_what_stood_in_the_way() {
        let hampered = Scene { is_hampered: true, ..scene(&["y-1"], "y-1") };
        let nobody_hears = Scene { heard: BTreeSet::new(), ..scene(&["y-1"], "y-1") };
        let alone = scene(&["y-1"], "y-1");
        for obstacle in [&hampered, &nobody_hears, &scene(&[], "y-1")] {
            let mut unowned = settled();
            assert!(!too_long(&mut unowned, &[(&alone, 4), (obstacle, 30), (&alone, 5)]));
            assert!(too_long(&mut unowned, &[(&alone, 1)]));
        }
    }

    #[test]
    fn who_has_no_room_is_nobody_who_could_take_it() {
        let (mut unowned, alone) = (settled(), scene(&["y-1"], "y-1"));
        unowned.told(P, &Presence { load: None, ..presence("y-1") });
        assert!(!too_long(&mut unowned, &[(&alone, 30)]));
        unowned.told(P, &Presence { full: ["a".parse().unwrap()].into(), ..presence("y-1") });
        assert!(!too_long(&mut unowned, &[(&alone, 30)]));
        unowned.told(P, &presence("y-1"));
        assert!(too_long(&mut unowned, &[(&alone, 6)]));
    }

    #[test]
    fn a_keeper_that_falls_silent_has_to_be_replaced_within_the_bound() {
        let mut unowned = settled();
        unowned.told(P, &presence("z-1"));
        let (before, after) = (scene(&["y-1", "z-1"], "y-1"), scene(&["z-1"], "y-1"));
        assert!(!too_long(&mut unowned, &[(&before, 4), (&after, 5)]));
        assert!(too_long(&mut unowned, &[(&after, 1)]), "nobody took its place");
    }

    #[test]
    fn so_has_who_was_about_to_replace_it() {
        let mut unowned = settled();
        unowned.told(P, &presence("z-1"));
        let (two, one) = (scene(&["v-1", "z-1"], "y-1"), scene(&["z-1"], "y-1"));
        assert!(!too_long(&mut unowned, &[(&two, 4), (&one, 5)]));
        assert!(too_long(&mut unowned, &[(&one, 1)]));
    }

    #[test]
    fn who_has_only_just_come_spares_for_a_lease_what_it_keeps() {
        let mut unowned = settled();
        unowned.told(P, &presence("z-1"));
        let (before, after) = (scene(&["y-1"], "x-1"), scene(&["y-1", "z-1"], "z-1"));
        assert!(!too_long(&mut unowned, &[(&before, 4), (&after, 5)]));
        assert!(too_long(&mut unowned, &[(&after, 1)]));
    }
}
