//! What a failure depends on: the part of a trace that is worth reading.
//!
//! A backward slice (Weiser, *Program slicing*, 1981; of one run: Korel & Laski 1988) of a run that is one long sequence of
//! events. An event depends on the last write of whatever it read, on the message it received (a message is a cell that is
//! written once), and on what its own task did just before. All else happened, but made no difference to it.

use std::collections::{BTreeMap, BTreeSet};

/// What a slice has to know of one event of a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event<T, C> {
    /// The task that did it; what one task does depends on what it did before.
    pub task: T,
    /// What it read or received.
    pub reads: Vec<C>,
    /// What it wrote or sent. A cell that is written without being read loses what it held.
    pub writes: Vec<C>,
}

/// Why an event depends on an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Because<C> {
    /// It read what that one wrote.
    Read(C),
    /// It is the same task's.
    SameTask,
}

/// The events that some event depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice<C> {
    /// The event that was asked about.
    pub of: usize,
    /// What each event of the slice depends on directly, and why; events are named by their places in the trace.
    pub causes: BTreeMap<usize, BTreeSet<(usize, Because<C>)>>,
}

impl<C: Copy + Ord> Slice<C> {
    /// The slice of the event at `of` in `events`, which are all events of a run in order.
    ///
    /// # Panics
    /// If there is no such event.
    pub fn new<T: Copy + Ord>(events: &[Event<T, C>], of: usize) -> Self {
        let mut causes = BTreeMap::new();
        let direct = direct_causes(&events[..=of]);
        let mut open = vec![of];
        while let Some(event) = open.pop() {
            if causes.insert(event, direct[event].clone()).is_none() {
                open.extend(direct[event].iter().map(|&(cause, _)| cause));
            }
        }
        Self { of, causes }
    }

    /// The events of the slice, in order.
    pub fn events(&self) -> impl Iterator<Item = usize> {
        self.causes.keys().copied()
    }

    /// The trace without what made no difference: `line` writes one event; how many were left out is said between.
    pub fn render(&self, line: impl Fn(usize) -> String) -> String {
        let mut lines = Vec::new();
        let mut next = 0;
        for event in self.events() {
            if event > next {
                lines.push(format!("  … {} without influence", event - next));
            }
            let mark = if event == self.of { '✗' } else { ' ' };
            lines.push(format!("{mark} {}", line(event)));
            next = event + 1;
        }
        lines.join("\n")
    }
}

fn direct_causes<T: Copy + Ord, C: Copy + Ord>(events: &[Event<T, C>]) -> Vec<BTreeSet<(usize, Because<C>)>> {
    let mut last_of: BTreeMap<T, usize> = BTreeMap::new();
    let mut last_write: BTreeMap<C, usize> = BTreeMap::new();
    let mut all = Vec::with_capacity(events.len());
    for (at, event) in events.iter().enumerate() {
        let read = |cell: &C| last_write.get(cell).map(|&write| (write, Because::Read(*cell)));
        let mut causes: BTreeSet<_> = event.reads.iter().filter_map(read).collect();
        causes.extend(last_of.insert(event.task, at).map(|before| (before, Because::SameTask)));
        last_write.extend(event.writes.iter().map(|&cell| (cell, at)));
        all.push(causes);
    }
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn event(task: char, reads: &str, writes: &str) -> Event<char, char> {
        Event { task, reads: reads.chars().collect(), writes: writes.chars().collect() }
    }

    fn kept(events: &[Event<char, char>], of: usize) -> Vec<usize> {
        Slice::new(events, of).events().collect()
    }

    #[test]
    fn a_slice_holds_what_was_read_and_what_led_to_it() {
        let events = [
            event('a', "", "x"),
            event('b', "", "y"),
            event('c', "x", "z"),
            event('b', "y", "y"),
            event('d', "z", ""),
        ];
        assert_eq!(kept(&events, 4), [0, 2, 4]);
    }

    #[test]
    fn what_was_overwritten_unread_made_no_difference() {
        let events = [event('a', "", "x"), event('b', "", "x"), event('c', "x", "")];
        assert_eq!(kept(&events, 2), [1, 2]);
        let read_first = [event('a', "", "x"), event('b', "x", "x"), event('c', "x", "")];
        assert_eq!(kept(&read_first, 2), [0, 1, 2]);
    }

    #[test]
    fn a_task_depends_on_what_it_did_before() {
        let events = [event('a', "", ""), event('b', "", "x"), event('a', "x", ""), event('b', "", "x")];
        assert_eq!(kept(&events, 2), [0, 1, 2]);
    }

    #[test]
    fn the_rendering_says_what_it_left_out() {
        let events = [event('a', "", "x"), event('b', "", ""), event('b', "", ""), event('c', "x", "")];
        let told = Slice::new(&events, 3).render(|at| format!("event {at}"));
        assert_eq!(told, "  event 0\n  … 2 without influence\n✗ event 3");
    }

    proptest! {
        /// Whatever is read within the slice was last written within it: played alone, it reads the same.
        #[test]
        fn the_slice_alone_reads_what_the_whole_run_read(
            run in prop::collection::vec((0..4u8, prop::collection::vec(0..5u8, 0..3), prop::collection::vec(0..5u8, 0..3)), 1..60)
        ) {
            let events: Vec<Event<u8, u8>> =
                run.into_iter().map(|(task, reads, writes)| Event { task, reads, writes }).collect();
            let slice = Slice::new(&events, events.len() - 1);
            let part: Vec<usize> = slice.events().collect();
            let alone: Vec<_> = part.iter().map(|&at| events[at].clone()).collect();
            for (at, causes) in direct_causes(&alone).iter().enumerate() {
                let named: BTreeSet<_> = causes.iter().map(|&(cause, why)| (part[cause], why)).collect();
                prop_assert_eq!(&named, &slice.causes[&part[at]]);
            }
        }
    }
}
