//! How often things go wrong where the seed says what does.

use std::time::Duration;

use super::{faults::Fault, mixed::mixed};

/// How often things go wrong where the seed draws the faults.
#[derive(Debug, Clone, PartialEq)]
pub struct Rates {
    /// Calls lost, in thousandths.
    pub lose_call: u32,
    /// Answers lost, in thousandths of calls.
    pub lose_reply: u32,
    /// Calls and hints delayed, in thousandths.
    pub delay: u32,
    /// Answers that are a step of their own, in thousandths of calls.
    pub slow_reply: u32,
    /// Hints lost, in thousandths.
    pub lose_hint: u32,
    /// The longest delay.
    pub longest_delay: Duration,
    /// Until when things go wrong.
    pub until: Duration,
    /// How many workers die and are started anew.
    pub stops: u32,
    /// How many workers are drained and started anew.
    pub drains: u32,
    /// How many workers are cut off for a while.
    pub partitions: u32,
    /// How many workers stand still for a while.
    pub pauses: u32,
    /// How many workers' lifelines break for a while, though they live.
    pub lifelines: u32,
    /// How often the server starts anew.
    pub restarts: u32,
    /// How often a replica without the last writes takes over.
    pub failovers: u32,
    /// How often a clock leaps or goes astray.
    pub clocks: u32,
    /// How often memory is full for a while.
    pub full: u32,
    /// How often the disk is slow for a while.
    pub slow_fsync: u32,
    /// The longest time that anything of this lasts.
    pub longest: Duration,
}

impl Rates {
    /// Nothing goes wrong.
    pub fn none() -> Self {
        Self {
            lose_call: 0,
            lose_reply: 0,
            delay: 0,
            slow_reply: 0,
            lose_hint: 0,
            longest_delay: Duration::ZERO,
            until: Duration::ZERO,
            stops: 0,
            drains: 0,
            partitions: 0,
            pauses: 0,
            lifelines: 0,
            restarts: 0,
            failovers: 0,
            clocks: 0,
            full: 0,
            slow_fsync: 0,
            longest: Duration::ZERO,
        }
    }

    /// What a bad hour brings: everything that loses nothing which was accepted.
    pub fn rough() -> Self {
        Self {
            lose_call: 10,
            lose_reply: 15,
            delay: 15,
            slow_reply: 60,
            lose_hint: 100,
            longest_delay: Duration::from_secs(4),
            until: Duration::from_secs(6),
            stops: 1,
            drains: 1,
            partitions: 1,
            pauses: 1,
            lifelines: 1,
            restarts: 1,
            failovers: 0,
            clocks: 0,
            full: 1,
            slow_fsync: 1,
            longest: Duration::from_secs(5),
        }
    }

    /// What happens to the call or hint of this id, if anything.
    pub(super) fn fate(&self, seed: u64, id: u64, is_hint: bool) -> Option<Fault> {
        let drawn = mixed(seed ^ mixed(id));
        let at = u32::try_from(drawn % 1000).expect("below 1000");
        let more = mixed(drawn);
        if is_hint {
            return match at {
                at if at < self.lose_hint => Some(Fault::LoseHint),
                at if at < self.lose_hint + self.delay => Some(Fault::Delay { by: self.delay(more) }),
                _ => None,
            };
        }
        let bounds = [self.lose_call, self.lose_reply, self.delay, self.slow_reply];
        let mut sum = 0;
        let which = bounds.iter().position(|rate| {
            sum += rate;
            at < sum
        })?;
        Some(match which {
            0 => Fault::LoseCall,
            1 => Fault::LoseReply,
            2 => Fault::Delay { by: self.delay(more) },
            // Most answers are only overtaken; some take their time.
            _ if !more.is_multiple_of(4) => Fault::SlowReply { by: Duration::ZERO },
            _ => Fault::SlowReply { by: self.delay(mixed(more)) },
        })
    }

    /// Short ones are likelier.
    fn delay(&self, drawn: u64) -> Duration {
        let longest = u64::try_from(self.longest_delay.as_micros()).unwrap_or(u64::MAX).max(1);
        let shift = (drawn >> 40) % 10;
        Duration::from_micros(drawn % (longest >> shift).max(1))
    }
}
