//! What a controller may let happen next, and who picks: the seam between simulation and strategy.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One thing that may happen next. Of all that are enabled a [`Strategy`] picks one, and nothing else happens until
/// everybody waits again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// The order of creation; the same seed gives the same ids. [`TIME`](Self::TIME) is the greatest.
    pub id: u64,
    /// Whose it is.
    pub actor: Actor,
    /// Which of the actor's tasks waits for it, by first appearance in the run; 0 where there is no task.
    pub task: u32,
    /// What it is.
    pub kind: Kind,
    /// What it touches, if one thing: choices of different objects commute.
    pub object: Option<Object>,
    /// Whether it may change that.
    pub writes: bool,
}

impl Choice {
    /// The id of the choice to let time pass, though something else could happen now.
    pub const TIME: u64 = u64::MAX;

    /// Whether the order of these two may matter: they touch the same object and one of them may change it.
    pub fn races_with(&self, other: &Self) -> bool {
        self.object.is_some() && self.object == other.object && (self.writes || other.writes)
    }
}

/// Who does something, by number in order of declaration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// A worker, whichever of its incarnations.
    Worker(u16),
    /// A client.
    Client(u16),
    /// The simulation itself: time and faults.
    World,
}

/// What may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A call to the server takes effect.
    Call(Op),
    /// The answer to a call arrives.
    Reply(Op),
    /// A timer fires whose time has come by its owner's clock.
    Timer,
    /// A hint arrives.
    Hint,
    /// An agent goes on from a checkpoint.
    Step,
    /// Time passes up to the next timer.
    Time,
    /// A fault happens; never left to a strategy.
    Fault,
}

/// What a choice touches: a session, a partition or the namespace, by number in order of first appearance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Object(pub u32);

macro_rules! operations {
    ($($op:ident $word:literal $writes:literal,)*) => {
        /// An operation of the [`Store`](crate::store::Store).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(missing_docs)]
        pub enum Op { $($op,)* }

        impl Op {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$op,)*];

            /// The method's name.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$op => $word,)* }
            }

            /// Whether it may change what it touches.
            pub fn writes(self) -> bool {
                match self { $(Self::$op => $writes,)* }
            }
        }
    };
}

operations! {
    Uptime "uptime" false,
    Configure "configure" true,
    Declare "declare" true,
    Reach "reach" false,
    Agents "agents" false,
    Announce "announce" true,
    Retire "retire" true,
    Members "members" false,
    Send "send" true,
    TakeReply "take_reply" true,
    Ingress "ingress" false,
    Post "post" true,
    RemoveIngress "remove_ingress" true,
    AdvanceIngress "advance_ingress" true,
    Cursors "cursors" false,
    Relay "relay" true,
    Join "join" true,
    Renew "renew" true,
    Bury "bury" true,
    Held "held" false,
    Listen "listen" true,
    Vital "vital" false,
    TellToDrain "tell_to_drain" true,
    Claim "claim" true,
    Release "release" true,
    Refresh "refresh" true,
    Reap "reap" true,
    Commit "commit" true,
    Survey "survey" true,
    Fire "fire" true,
    Offer "offer" true,
    Mend "mend" true,
    Deliver "deliver" true,
    Look "look" false,
    Sessions "sessions" false,
    History "history" false,
    Dead "dead" false,
    Revive "revive" true,
    DropDead "drop_dead" true,
    Delete "delete" true,
    Free "free" true,
    Proceed "proceed" true,
    Lacks "lacks" false,
}

/// What a step led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Feedback {
    /// The step's number, from 1.
    pub step: u64,
    /// Virtual time since the start.
    pub time: Duration,
    /// If it read something: from whom.
    pub reads: Option<ReadsFrom>,
}

/// Whose write an operation read, whatever the object: two runs with the same set of these behaved alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReadsFrom {
    /// Who wrote the object last, and how; none if nobody did.
    pub writer: Option<(Actor, Op)>,
    /// Who read it, and how.
    pub reader: (Actor, Op),
}

/// Decides what happens next. Holds its own random numbers, so that its picks are a function of its seed and of what
/// it was asked.
pub trait Strategy {
    /// Its name, as it is chosen by.
    fn name(&self) -> &'static str;

    /// Picks one of `enabled`, by index; called once per step. `enabled` is never empty and sorted by id.
    fn pick(&mut self, enabled: &[Choice]) -> usize;

    /// Tells what became of the last pick.
    fn saw(&mut self, chosen: &Choice, feedback: &Feedback) {
        let _ = (chosen, feedback);
    }
}
