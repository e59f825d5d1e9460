//! Bugs that are planted on purpose, to show that the simulations would find them.
//!
//! Each is a few words in the place where the real bug would be, and there only with the feature
//! `planted-bugs`: without it [`planted`] is `false` when the program is compiled, and nothing of this is left in it.

use std::{fmt, str::FromStr};

macro_rules! bugs {
    ($($(#[doc = $about:literal])* $bug:ident $name:literal,)*) => {
        /// A bug that can be planted.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Bug { $($(#[doc = $about])* $bug,)* }

        impl Bug {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$bug,)*];

            /// What it is called.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$bug => $name,)* }
            }
        }
    };
}

bugs! {
    /// A commit is taken from whoever sends it.
    CommitWithoutToken "no-token-check-in-commit",
    /// A renewal counts from when it is asked for, whether or not it is answered.
    RenewalIgnoresFailure "renewal-that-ignores-failure",
    /// A session is released though mail has come meanwhile.
    ReleaseIgnoresInbox "release-that-does-not-look-at-the-inbox",
    /// What waits in `ready` is offered when it gets there, and never again.
    NoUpkeep "wake-only-by-hint",
    /// Who is dead is reaped after once, whatever came of it.
    ReapOnce "reaper-that-runs-once",
    /// A renewal brings back a worker that is buried.
    RenewRevives "renewal-that-brings-back-the-buried",
    /// A reap takes a session from whoever has it by now.
    StaleReap "reap-on-a-stale-read",
    /// A session without its `own` row is taken from its owner, who lives.
    RobbedWithoutOwn "live-worker-robbed-when-own-is-gone",
    /// A death counts when the next owner has done its work, not when it claims.
    CrashAfterClaim "crashes-counted-after-the-claim",
    /// Ids of messages are not remembered.
    DedupeForgets "dedupe-that-forgets",
    /// A relayed batch is taken wherever the cursor stands, and moves it forward.
    HighWaterMark "relay-cursor-as-a-high-water-mark",
    /// A partition remembers the last entry that it took, and not of which plain door.
    OneCursor "one-cursor-for-all-doors",
    /// A commit takes the first message of the inbox for the one that is done.
    AckByCount "acknowledgement-by-count",
    /// A lease is trusted from when the answer came.
    ClockFromReply "lease-clock-from-the-reply",
    /// A commit that is repeated appends its entries again.
    CommitTwice "repeated-commit-appends-twice",
    /// An epoch follows the last one that the server knows of, and nothing else.
    EpochGoesBack "epoch-that-goes-back-after-a-failover",
    /// A timer fires again though its session waits for another time by now.
    TimerTwice "timer-fired-twice",
    /// A turn that goes on after a boundary writes its message once more.
    UserTwice "user-entry-written-again",
    /// A lazy turn goes on when its owner is dead, with no word.
    LazyGoesOn "lazy-turn-that-goes-on-by-itself",
    /// A lifeline that was missed once is broken.
    OneMiss "one-miss-is-enough",
    /// What was seen before the server started anew is missed afterwards.
    OtherRunCounts "look-under-another-run",
    /// However many lifelines are missed at once, their workers are dead.
    NoBrake "lifelines-without-a-brake",
    /// Who has just come buries by deadline like anybody else.
    NewcomerBuries "newcomer-that-buries-by-deadline",
    /// A repeated commit finds itself written, writes nothing, and takes the wait behind it for an acknowledgement.
    WaitAfterRead "acknowledgement-by-a-wait-after-a-read",
    /// The duties of who is gone are left to the next renewal that is due anyway.
    NoHeir "duty-left-until-the-next-renewal",
}

impl fmt::Display for Bug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Bug {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|bug| bug.as_str() == name);
        found.copied().ok_or_else(|| format!("there is no planted bug `{name}`: see `tenure sim planted`"))
    }
}

#[cfg(feature = "planted-bugs")]
mod here {
    use std::{cell::Cell, sync::OnceLock};

    use super::Bug;

    /// Planted in all threads.
    static EVERYWHERE: OnceLock<Bug> = OnceLock::new();

    thread_local! {
        static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// While this lives, the bug is in everything that this thread runs.
    #[derive(Debug)]
    #[must_use = "the bug is gone when this is dropped"]
    pub struct Planted(Option<Bug>);

    impl Bug {
        /// Plants it, in this thread.
        pub fn plant(self) -> Planted {
            Planted(PLANTED.replace(Some(self)))
        }

        /// Plants it in every thread, for good; one at most.
        pub fn plant_everywhere(self) {
            EVERYWHERE.get_or_init(|| self);
        }
    }

    impl Drop for Planted {
        fn drop(&mut self) {
            PLANTED.set(self.0);
        }
    }

    /// Whether this bug is planted here.
    pub(crate) fn planted(bug: Bug) -> bool {
        PLANTED.get().or(EVERYWHERE.get().copied()) == Some(bug)
    }
}

#[cfg(not(feature = "planted-bugs"))]
mod here {
    /// No bug is.
    pub(crate) const fn planted(_: super::Bug) -> bool {
        false
    }
}

#[cfg(feature = "planted-bugs")]
pub use here::Planted;
pub(crate) use here::planted;
