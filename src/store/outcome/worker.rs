//! A worker's own lease in a partition.

use std::{collections::BTreeSet, str::FromStr};

use crate::model::{AgentName, Millis, Pool, WorkerId};

/// What a renewal came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Renewal {
    /// The deadline is set.
    Renewed {
        /// The server's time.
        now: Millis,
        /// Who has the partition's duty.
        duty: Option<WorkerId>,
        /// Workers within their deadline here, the caller included.
        alive: usize,
    },
    /// Buried, or never joined: the process must go on as a fresh incarnation.
    Lost,
}

/// What a worker tells a partition with every renewal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence {
    /// The incarnation.
    pub worker: WorkerId,
    /// Its lease.
    pub lease: std::time::Duration,
    /// Its pool.
    pub pool: Pool,
    /// The agents it serves.
    pub agents: Vec<AgentName>,
    /// Those of them that take no more, whatever the load: as many of their turns run as may.
    pub full: BTreeSet<AgentName>,
    /// Its load in thousandths of a session (this partition's share of all, with random thousandths, so that ties fall at random), or none if it has no room. An offer adds 1,000.
    pub load: Option<u64>,
    /// What it wants with the partition's duty.
    pub duty: DutyWish,
}

/// What a worker wants with a partition's duty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DutyWish {
    /// Have it, if nobody within its deadline does, or who does yields it.
    Take,
    /// Nothing: keep it if it has it.
    Leave,
    /// Keep it until somebody else wants it, if it has it: a duty is not without a holder meanwhile.
    Yield,
    /// Give it up at once, if it has it.
    GiveUp,
}

/// A partition's duty, written as its holder's name, with `.yielded` behind it where that is so: to an older version
/// that is the name of somebody who is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duty {
    /// Who has it.
    pub holder: WorkerId,
    /// Whether whoever wants it may have it.
    pub is_yielded: bool,
}

impl FromStr for Duty {
    type Err = <WorkerId as FromStr>::Err;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let holder = text.strip_suffix(".yielded");
        Ok(Self { holder: holder.unwrap_or(text).parse()?, is_yielded: holder.is_some() })
    }
}

/// What a burial came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bury {
    /// It is buried, now or before.
    Buried,
    /// It is within its deadline; nothing was changed.
    Alive,
    /// Nobody of that name joined this partition.
    Unknown,
    /// Another start of the server than the one named would have answered: nothing was changed.
    OtherRun,
    /// The server's clock is past what the caller reckoned with: nothing was changed.
    Later,
}

/// On what ground somebody is buried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ground {
    /// Its deadline has passed; checked in the same step.
    Overdue,
    /// The same, where the server is as the caller reckons: what else it says of deadlines proves nothing yet.
    OverdueUnder(Reckoning),
    /// Its lifeline broke, and whoever watched it is sure.
    Lifeline,
    /// It says so itself.
    OwnWish,
}

/// What a caller knows of the server by whose clock a deadline has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reckoning {
    /// Which start of it answers: another one may not have heard of renewals.
    pub run: Run,
    /// How late it may be by its clock, from the last look at it and the caller's own clock: a clock that was set forward
    /// since then makes everybody late.
    pub until: Millis,
}

/// A start of a server: what one was told may not be known to the next, or to a replica that took its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Run(u64);

impl Run {
    /// The start that the server calls by this name.
    pub fn named(name: &str) -> Self {
        // FNV-1a: any number will do that differs where names do.
        let number = name.bytes().fold(0xcbf2_9ce4_8422_2325, |number, byte| {
            (number ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self(number)
    }
}

/// One look at lifelines; see [`Store::vital`](crate::store::Store::vital).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vitals {
    /// Which start of the server answered: what was seen under another one counts no more.
    pub run: String,
    /// Whether each of those asked for is there, in the order they were asked for.
    pub present: Vec<bool>,
}
