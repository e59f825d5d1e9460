//! What operations take and give. Losing is an answer, so every outcome is a variant.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{
    AgentName, Body, Cause, EntryId, Epoch, IdempotencyKey, Lease, Message, MessageId, Millis, NewEntry,
    NewMessage, Nonce, Partition, Pool, ReplyTo, SessionId, SessionRecord, Settings, StreamId, WorkerId,
};

/// What `configure` found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Configured {
    /// The namespace has these settings now, or had them already.
    Agreed,
    /// It has others; nothing was changed.
    Differs(Settings),
}

/// A worker, as others see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its incarnation.
    pub worker: WorkerId,
    /// The pool it serves.
    pub pool: Pool,
    /// The agents it serves.
    pub agents: Vec<AgentName>,
    /// Sessions it owns.
    pub sessions: usize,
    /// Turns under way.
    pub running: usize,
    /// Sessions it owns at most.
    pub capacity: usize,
    /// When it started.
    pub since: Millis,
    /// Whether it takes sessions.
    pub state: MemberState,
}

/// Whether a worker takes sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemberState {
    /// It does.
    Ready,
    /// It hands off what it has and ends.
    Draining,
}

/// What became of a message at a door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// It is in the inbox, under this name.
    Accepted {
        /// What it is called.
        message: MessageId,
        /// Its number in the session.
        number: u64,
    },
    /// It was accepted before. The first's reply, if there is one already, as the JSON of an [`Envelope`](crate::model::Envelope).
    Repeat {
        /// What the first is called.
        message: MessageId,
        /// The first's answer.
        answer: Option<String>,
    },
    /// It was refused; nothing was changed (at the plain door: it is in `dead`).
    Refused(Refusal),
    /// The session belongs to another pool than the sender named; nothing was changed.
    OtherPool(Pool),
}

/// Why a message was refused at a door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The session was stopped.
    Stopped,
    /// Its inbox is full.
    Full,
    /// The body is too large.
    TooLarge,
    /// The entry is not a message; only at the plain door.
    Malformed,
    /// The session was written by a newer version; only at the plain door.
    Unreadable,
}

impl Refusal {
    /// The word for it, in `dead`, in error replies and in the CLI.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Full => "full",
            Self::TooLarge => "too_large",
            Self::Malformed => "malformed",
            Self::Unreadable => "unreadable",
        }
    }

    /// A sentence for the sender. The same texts stand in `lua/prelude.lua`.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Stopped => "the session is stopped and takes no messages",
            Self::Full => "the session's inbox is full",
            Self::TooLarge => "the body is larger than the limit",
            Self::Malformed => "the entry is not a message",
            Self::Unreadable => "the session was written by a newer version",
        }
    }
}

/// An element of an inbox, as far as it can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mail {
    /// A message.
    Message(Message),
    /// A message whose body is not a JSON object of UTF-8 (its body here is what could be read, as text), and why.
    Malformed(Message, String),
    /// A record that this version cannot read, and why.
    Unreadable(String),
}

/// Who asks for a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimant {
    /// The incarnation.
    pub worker: WorkerId,
    /// Its pool.
    pub pool: Pool,
    /// Drawn for this claim; the same again is the same claim.
    pub nonce: Nonce,
    /// How long `own` is set for: six of the claimant's leases.
    pub own_ttl: std::time::Duration,
    /// The epoch is at least this: the greatest that the claimant has seen on this server, or more where it
    /// knows that the server lost claims.
    pub seen: Epoch,
    /// What to do if the owner is past its deadline and not buried.
    pub overdue: Overdue,
}

/// What a claim does with an owner that is past its deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overdue {
    /// Bury it, and take the session.
    Bury,
    /// Leave it: the server itself was away, and everybody is past their deadline.
    Spare,
}

/// What a claim gave.
#[derive(Debug, PartialEq, Eq)]
pub enum Claim {
    /// The session is the claimant's.
    Won(Box<Claimed>),
    /// Somebody else has it.
    Held {
        /// Who.
        by: WorkerId,
    },
    /// Nobody has it and there is nothing to run; it is not in `ready` (any more).
    NothingToDo,
    /// There is no such session; it is not in `ready` (any more).
    Absent,
    /// It belongs to another pool.
    OtherPool(Pool),
    /// It was written by a newer version; taken out of `ready`, else left alone.
    Unreadable(String),
    /// The claimant is buried, or never joined: it must go on as a fresh incarnation.
    Lost,
}

/// All that is needed to start.
#[derive(Debug, PartialEq, Eq)]
pub struct Claimed {
    /// The right to write.
    pub lease: Lease,
    /// The session as it stands after the claim.
    pub record: SessionRecord,
    /// The agent's state, as stored.
    pub state: Option<String>,
    /// The first messages of the inbox.
    pub mail: Vec<Mail>,
}

/// A point where the session becomes durable: everything one `commit` writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boundary {
    /// Drawn for this boundary; the same again is the same boundary.
    pub commit: String,
    /// The number of the last entry the writer knows of.
    pub after: u64,
    /// The turn that its entries belong to.
    pub turn: u64,
    /// Turns that have ended once this is written.
    pub turns: u64,
    /// Entries to append, in order.
    pub entries: Vec<NewEntry>,
    /// What becomes of the agent's state.
    pub state: StateChange,
    /// The message that is done, if one is: it must be at the head of the inbox.
    pub done: Option<Done>,
    /// Failed runs of the message that is at the head afterwards.
    pub tries: u32,
    /// If set, the session is not runnable until this much later.
    pub backoff: Option<std::time::Duration>,
    /// If set, the session is set aside, with its mail kept: the cause and a sentence.
    pub quarantine: Option<(Cause, String)>,
    /// How long `own` is lengthened to.
    pub own_ttl: std::time::Duration,
    /// How many waiting messages to return.
    pub page: usize,
}

/// What a boundary does to the agent's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateChange {
    /// It stays.
    Keep,
    /// It becomes this.
    Set(String),
    /// There is none any more.
    Clear,
}

/// A message that is done with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// Its number.
    pub number: u64,
    /// Its name.
    pub message: MessageId,
    /// The sender's own key, if any: the answer is kept under it.
    pub id: Option<IdempotencyKey>,
    /// Where the answer goes, if anywhere.
    pub reply_to: Option<ReplyTo>,
    /// The JSON of an [`Envelope`](crate::model::Envelope).
    pub answer: String,
    /// If set, the message is given up on, for this reason and after this many tries.
    pub dead: Option<(String, u32)>,
}

/// What a commit came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Commit {
    /// It is written, now or by an earlier call with the same commit id (then `out` is empty: the duty delivers).
    Done {
        /// Replies that may be handed out now.
        out: Vec<OutReply>,
        /// The first waiting messages.
        mail: Vec<Mail>,
    },
    /// A later claim came, or the session was reaped or deleted; nothing was changed, and never will be by this lease.
    Fenced,
    /// The writer is buried or unknown; nothing was changed.
    Lost,
    /// The server has fewer entries than the writer knows of, or another message at the head: it lost writes. Nothing was changed.
    Behind {
        /// The number of the last entry it has.
        seq: u64,
    },
}

/// How a session is given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaving {
    /// Only if there is nothing to run.
    IfIdle,
    /// In any case; if there is something to run it goes into `ready` and is offered to another worker.
    HandOff,
}

/// What a release came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Release {
    /// It has no owner any more.
    Released,
    /// It has something to run and stays owned (only with [`Leaving::IfIdle`]): the first messages.
    Runnable(Vec<Mail>),
    /// It was not the caller's (any more); nothing was changed.
    Fenced,
}

/// What the slow round found of one session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refresh {
    /// Still the caller's; `own` stands for six leases again.
    Held {
        /// As it stands.
        record: Box<SessionRecord>,
        /// The first messages.
        mail: Vec<Mail>,
    },
    /// Not the caller's any more.
    Fenced,
}

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
    /// Its load in thousandths of a session (with random thousandths, so that ties fall at random), or none if it has no room. An offer adds 1,000.
    pub load: Option<u64>,
    /// What it wants with the partition's duty.
    pub duty: DutyWish,
}

/// What a worker wants with a partition's duty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DutyWish {
    /// Have it, if nobody within its deadline does.
    Take,
    /// Nothing: keep it if it has it.
    Leave,
    /// Give it up, if it has it.
    GiveUp,
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
}

/// On what ground somebody is buried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ground {
    /// Its deadline has passed; checked in the same step.
    Overdue,
    /// It says so itself.
    OwnWish,
}

/// What reaping one session came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reap {
    /// It has no owner any more; if it was runnable it is in `ready` and was offered.
    Reaped {
        /// Whether it was.
        runnable: bool,
    },
    /// The worker named is not buried; nothing was changed.
    Alive,
    /// The session is not that worker's (any more); only taken out of its `held`.
    NotTheirs,
    /// The session belongs to another pool than the caller named; nothing was changed.
    OtherPool(Pool),
}

/// What firing a session's timer came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fire {
    /// Its time has come: the wait is over, and whoever must know was told.
    Fired,
    /// It is not due, or was fired before.
    NotDue,
    /// The session belongs to another pool than the caller named; nothing was changed.
    OtherPool(Pool),
}

/// What an offer came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Offer {
    /// This worker was told.
    Told(WorkerId),
    /// No worker with room was there to hear it.
    Nobody,
    /// The session is not in `ready` (any more).
    Gone,
}

/// What one session's upkeep came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mend {
    /// All indexes agree with it.
    Fine,
    /// Some did not, and do now.
    Mended,
    /// Its owner is buried or unknown: reap it.
    Orphan {
        /// The owner.
        of: WorkerId,
    },
    /// Another owner than the caller named has it; nothing was changed. Ask again with this one.
    OtherOwner(Option<WorkerId>),
    /// It belongs to another pool than the caller named; nothing was changed. Ask again with this one.
    OtherPool(Pool),
    /// There is no such session; taken out of the index.
    Absent,
}

/// What needs upkeep in one partition, by one look that changes nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey {
    /// The server's time.
    pub now: Millis,
    /// Sessions whose timer is due, at most 100.
    pub due: Vec<SessionId>,
    /// Workers past their deadline and not buried.
    pub overdue: Vec<WorkerId>,
    /// Workers that are buried.
    pub buried: Vec<WorkerId>,
    /// Per pool and agent asked for that has idle workers: sessions in `ready`, oldest first, at most 100 each.
    pub ready: BTreeMap<(Pool, AgentName), Vec<SessionId>>,
    /// Replies that nobody else will deliver (any more): written by a door or a buried worker, or older than 2 s;
    /// at most 100.
    pub out: Vec<OutReply>,
}

/// A reply in the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutReply {
    /// Where it stands in `out`.
    pub id: StreamId,
    /// Where it goes.
    pub to: ReplyTo,
    /// The JSON of an [`Envelope`](crate::model::Envelope).
    pub payload: String,
}

/// What was read at the plain door.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ingress {
    /// The oldest entries, in order.
    pub entries: Vec<IngressEntry>,
    /// The last id the stream ever gave.
    pub last: StreamId,
}

/// An entry of the plain door, unchecked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IngressEntry {
    /// Its id.
    pub id: StreamId,
    /// Its fields as given, in order; any bytes.
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
}

/// An entry of the plain door, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relayed {
    /// Its id.
    pub id: StreamId,
    /// What it is.
    pub what: RelayedKind,
}

/// What an entry of the plain door is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RelayedKind {
    /// A message: into its inbox, or, if the session refuses it, into `dead`.
    Message(Box<NewMessage>),
    /// None: into `dead`, and to its `reply_to`.
    Refuse(Box<Refused>),
}

/// An entry that goes to `dead` unread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The session, where one could be read.
    pub session: Option<SessionId>,
    /// The sender's own key, where one could be read.
    pub id: Option<IdempotencyKey>,
    /// Where the error goes, where that could be read.
    pub reply_to: Option<ReplyTo>,
    /// `malformed` or `ambiguous`.
    pub reason: String,
    /// A sentence.
    pub sentence: String,
    /// What it held.
    pub body: Body,
}

/// What relaying a batch came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Relay {
    /// All of it was taken, each with its own outcome, and the cursor moved.
    Taken(Vec<Sent>),
    /// The cursor is elsewhere than the caller thought; nothing was taken.
    Elsewhere(Option<StreamId>),
    /// The session of this entry belongs to another pool than named; nothing was taken.
    OtherPool {
        /// Which entry of the batch, from 0.
        index: usize,
        /// The right pool.
        pool: Pool,
    },
}

/// A message or entry that was given up on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The partition it lies in.
    pub partition: Partition,
    /// Where it stands in `dead`.
    pub id: StreamId,
    /// The session, where one could be read.
    pub session: Option<SessionId>,
    /// The message, if it was accepted.
    pub message: Option<MessageId>,
    /// One word: why.
    pub reason: String,
    /// Runs that failed.
    pub tries: u32,
    /// When it was given up on.
    pub time: Millis,
    /// Where its reply was to go.
    pub reply_to: Option<ReplyTo>,
    /// What it held.
    pub body: Body,
}

impl DeadLetter {
    /// The reason of a reply that its key could not take.
    pub const REPLY_TO: &str = "reply_to";
}

/// What retrying a dead letter came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revive {
    /// It is back in its session's inbox, under a new name, and not in `dead` any more; or it was refused and stays.
    Sent(Sent),
    /// There is no such letter (any more).
    Gone,
}

/// What looking at a session found. Unavailable is an error, never one of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// It is there.
    Here(Box<Sight>),
    /// There is no such session.
    Absent,
    /// It was written by a newer version.
    Unreadable(String),
}

/// A session, looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sight {
    /// Its record.
    pub record: SessionRecord,
    /// Messages in its inbox.
    pub waiting: u64,
}

/// What deleting a session came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delete {
    /// It is gone.
    Deleted,
    /// Up to 100 waiting messages went to `dead`, and there are more: ask again.
    More,
    /// There was no such session.
    Absent,
}

/// Which part of a history is wanted; always given oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistoryRange {
    /// The newest so many; 0 is all.
    Newest(usize),
    /// At most so many after this entry (all from the start if none).
    After(Option<EntryId>, usize),
}

/// Something a worker is told. A hint may be lost or late; nothing may hang on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hint {
    /// Look at this session, which is yours; perhaps with the message that arrived.
    Wake {
        /// The session.
        session: SessionId,
        /// What arrived.
        mail: Option<Box<Mail>>,
    },
    /// This session wants an owner.
    Offer {
        /// The session.
        session: SessionId,
    },
    /// Hints may have been lost: look at everything.
    Missed,
}
