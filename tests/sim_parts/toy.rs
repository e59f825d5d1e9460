//! Programs of a few threads and objects, run one step at a time under a strategy.

use std::{collections::BTreeMap, time::Duration};

use tenure::sim::{
    Actor, Choice, Feedback, Kind, Object, Op, ReadsFrom, Strategy,
    strategy::{Campaign, StrategyName},
};

/// What one thread does, one after the other: which object, and whether it writes.
pub type Thread = Vec<(u32, bool)>;

/// A read of this object ends its thread, unless it sees the write of the same number.
pub const GUARDED: u32 = 100;

/// A run: whose steps happened, in order, and what was picked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Run {
    pub picks: Vec<Choice>,
    pub valid: bool,
}

impl Run {
    /// The threads in the order of their steps; the passing of time is left out.
    pub fn threads(&self) -> Vec<u16> {
        self.picks.iter().filter_map(|choice| as_thread(choice.actor)).collect()
    }

    /// How many steps of `thread` came before the `nth` (from 0) of `other`.
    pub fn before(&self, thread: u16, other: u16, nth: usize) -> usize {
        let threads = self.threads();
        let at = threads.iter().enumerate().filter(|(_, one)| **one == other).nth(nth).expect("it ran").0;
        threads[..at].iter().filter(|one| **one == thread).count()
    }
}

fn as_thread(actor: Actor) -> Option<u16> {
    match actor {
        Actor::Worker(thread) => Some(thread),
        Actor::Client(_) | Actor::World => None,
    }
}

/// Runs `program` to its end; time may pass at every step while `time` lasts.
pub fn run(program: &[Thread], time: usize, strategy: &mut dyn Strategy) -> Run {
    let mut done = vec![0; program.len()];
    let mut ids: BTreeMap<usize, u64> = (0..program.len()).zip(0..).collect();
    let mut next_id = ids.len() as u64;
    let mut written = BTreeMap::new();
    let mut run = Run { picks: Vec::new(), valid: true };
    let mut time = time;
    loop {
        let mut enabled: Vec<Choice> = (0..program.len())
            .filter_map(|thread| {
                program[thread]
                    .get(done[thread])
                    .map(|&step| choice(ids[&thread], thread, step, done[thread]))
            })
            .collect();
        if enabled.is_empty() {
            return run;
        }
        enabled.sort_by_key(|choice| choice.id);
        enabled.extend((time > 0).then_some(TIME));
        let index = strategy.pick(&enabled);
        let Some(&picked) = enabled.get(index) else { return Run { valid: false, ..run } };
        run.picks.push(picked);
        let mut reads = None;
        match as_thread(picked.actor).map(usize::from) {
            None => time -= 1,
            Some(thread) => {
                done[thread] += 1;
                ids.insert(thread, next_id);
                next_id += 1;
                let (object, Kind::Call(op)) = (picked.object, picked.kind) else {
                    unreachable!("threads only call")
                };
                let writer: Option<(Actor, Op)> = written.get(&object).copied();
                reads = Some(ReadsFrom { writer, reader: (picked.actor, op) });
                if object == Some(Object(GUARDED))
                    && !picked.writes
                    && writer.is_none_or(|(_, write)| write != op)
                {
                    done[thread] = program[thread].len();
                }
                if picked.writes {
                    written.insert(object, (picked.actor, op));
                }
            }
        }
        let step = run.picks.len() as u64;
        strategy.saw(&picked, &Feedback { step, time: Duration::ZERO, reads });
    }
}

const TIME: Choice =
    Choice { id: Choice::TIME, actor: Actor::World, task: 0, kind: Kind::Time, object: None, writes: false };

/// The nth step of a thread; each has an operation of its own, so that pairs of a write and a read can be told apart.
fn choice(id: u64, thread: usize, (object, writes): (u32, bool), nth: usize) -> Choice {
    Choice {
        id,
        actor: Actor::Worker(u16::try_from(thread).unwrap()),
        task: 1,
        kind: Kind::Call(Op::ALL[nth % Op::ALL.len()]),
        object: Some(Object(object)),
        writes,
    }
}

pub fn named(name: &str) -> StrategyName {
    name.parse().unwrap()
}

/// Runs `program` under each of the first `seeds` seeds of the strategy called `name`.
pub fn runs(program: &[Thread], name: &str, seeds: u64) -> Vec<Run> {
    let mut campaign = Campaign::new(named(name));
    (1..=seeds).map(|seed| run(program, 0, &mut *campaign.strategy(seed))).collect()
}

/// In how many of the first `seeds` seeds `bug` shows.
pub fn found(program: &[Thread], name: &str, seeds: u64, bug: impl Fn(&Run) -> bool) -> usize {
    runs(program, name, seeds).iter().filter(|run| bug(run)).count()
}
