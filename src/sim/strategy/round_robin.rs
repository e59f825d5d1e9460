//! Everybody in turn: the tamest schedule there is.

use super::{Thread, thread};
use crate::sim::{Choice, Strategy};

/// Picks the task that comes after the last one, by actor and number; time passes when nothing else can happen.
///
/// Takes no seed. What fails under it needs no scheduler to be found.
#[derive(Debug, Clone, Default)]
pub struct RoundRobin {
    last: Option<Thread>,
}

impl Strategy for RoundRobin {
    fn name(&self) -> &'static str {
        "round-robin"
    }

    fn pick(&mut self, enabled: &[Choice]) -> usize {
        let is_time = |at: &usize| enabled[*at].id == Choice::TIME;
        let rank = |at: &usize| {
            let thread = thread(&enabled[*at]);
            (is_time(at), Some(thread) <= self.last, thread)
        };
        let picked = (0..enabled.len()).min_by_key(rank).expect("something is enabled");
        if !is_time(&picked) {
            self.last = Some(thread(&enabled[picked]));
        }
        picked
    }
}
