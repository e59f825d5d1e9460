//! The same again: a recorded schedule, pick by pick.

use std::sync::{Arc, OnceLock};

use super::{RoundRobin, thread};
use crate::sim::{Actor, Choice, Strategy};

/// One pick of a schedule, as a trace keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pick {
    /// The choice's id.
    pub id: u64,
    /// Whose it was.
    pub actor: Actor,
    /// Which of its tasks.
    pub task: u32,
}

impl From<&Choice> for Pick {
    fn from(choice: &Choice) -> Self {
        Self { id: choice.id, actor: choice.actor, task: choice.task }
    }
}

/// Where a replay could not do what the recording did: the program has changed, or the run depends on something that
/// is not in the trace.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at step {step} the recording picked choice {expected}, which is not enabled here")]
pub struct Divergence {
    /// The step, from 1.
    pub step: u64,
    /// The id of the choice that the recording picked.
    pub expected: u64,
}

/// What is to be followed.
#[derive(Debug)]
enum Course {
    Exact(Vec<u64>),
    Loose(Vec<Pick>),
}

/// Follows a recording.
#[derive(Debug)]
pub struct Replay {
    course: Course,
    next: usize,
    step: u64,
    diverged: Arc<OnceLock<Divergence>>,
    rest: RoundRobin,
}

impl Replay {
    /// The recording to the letter. Where that is impossible the first divergence is noted, and the first enabled
    /// choice picked; after its end it goes on [in turn](RoundRobin). Ids are all that this needs.
    pub fn exact(ids: Vec<u64>) -> Self {
        Self::new(Course::Exact(ids))
    }

    /// The recording as far as it makes sense, for schedules from which something was taken out: a pick whose choice
    /// is not there stands for the task's (else the actor's) oldest, and is left out if there is none.
    pub fn loose(picks: Vec<Pick>) -> Self {
        Self::new(Course::Loose(picks))
    }

    fn new(course: Course) -> Self {
        Self { course, next: 0, step: 0, diverged: Arc::default(), rest: RoundRobin::default() }
    }

    /// Where the first divergence will be, once there is one. Of a loose replay there is none.
    pub fn divergence(&self) -> Arc<OnceLock<Divergence>> {
        self.diverged.clone()
    }

    fn follow_exactly(&self, enabled: &[Choice], expected: u64) -> usize {
        let found = enabled.binary_search_by_key(&expected, |choice| choice.id);
        found.unwrap_or_else(|_| {
            self.diverged.get_or_init(|| Divergence { step: self.step, expected });
            0
        })
    }

    fn follow_loosely(enabled: &[Choice], expected: Pick) -> Option<usize> {
        let same = enabled.iter().position(|choice| Pick::from(choice) == expected);
        let task = || enabled.iter().position(|choice| thread(choice) == (expected.actor, expected.task));
        let actor = || enabled.iter().position(|choice| choice.actor == expected.actor);
        same.or_else(task).or_else(actor)
    }
}

impl Strategy for Replay {
    fn name(&self) -> &'static str {
        "replay"
    }

    fn pick(&mut self, enabled: &[Choice]) -> usize {
        self.step += 1;
        let picked = match &self.course {
            Course::Exact(ids) => {
                let expected = ids.get(self.next).copied();
                self.next += 1;
                expected.map(|expected| self.follow_exactly(enabled, expected))
            }
            Course::Loose(picks) => {
                let rest = picks.get(self.next..).unwrap_or_default();
                let follow = |(nth, pick): (usize, &Pick)| Some((nth, Self::follow_loosely(enabled, *pick)?));
                let found = rest.iter().enumerate().find_map(follow);
                self.next += found.map_or(rest.len(), |(nth, _)| nth + 1);
                found.map(|(_, picked)| picked)
            }
        };
        picked.unwrap_or_else(|| self.rest.pick(enabled))
    }
}
