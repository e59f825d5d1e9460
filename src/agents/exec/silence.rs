//! For how long a child has owed an answer without saying anything at all.

use std::time::Duration;

use crate::runtime::Moment;

/// Since it was given a turn and has been silent.
#[derive(Debug, Default)]
pub(super) struct Silence(Option<Since>);

#[derive(Debug)]
struct Since {
    moment: Moment,
    /// How many lines it had said by then.
    heard: u64,
}

impl Silence {
    /// The child, which has said so many lines, is given a turn.
    pub(super) fn given(&mut self, moment: Moment, heard: u64) {
        // One that never spoke may still be starting, however long that takes.
        let begins = heard > 0 && self.0.as_ref().is_none_or(|since| since.heard != heard);
        if begins {
            self.0 = Some(Since { moment, heard });
        }
    }

    /// How long it has lasted.
    pub(super) fn lasted(&self, now: Moment, heard: u64) -> Duration {
        let since = self.0.as_ref().filter(|since| since.heard == heard);
        since.map_or(Duration::ZERO, |since| now.since(since.moment))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::Env;

    #[test]
    fn silence_lasts_from_the_first_turn_that_was_owed_to_the_next_word() {
        let (start, mut silence) = (Env::seeded(1).now(), Silence::default());
        let at = |second| start.plus(Duration::from_secs(second));
        silence.given(at(0), 0);
        assert_eq!(silence.lasted(at(9), 0), Duration::ZERO, "it may be starting");
        silence.given(at(10), 1);
        silence.given(at(15), 1);
        assert_eq!(silence.lasted(at(20), 1), Duration::from_secs(10));
        assert_eq!(silence.lasted(at(20), 2), Duration::ZERO);
        silence.given(at(30), 2);
        assert_eq!(silence.lasted(at(31), 2), Duration::from_secs(1));
    }
}
