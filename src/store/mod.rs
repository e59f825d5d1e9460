//! Durable state behind one seam: one method per atomic operation.
//!
//! Every operation may be repeated: after [`StoreError::Unavailable`] the caller does not know
//! whether it took effect, and asks again with the same arguments. Losing (to another owner, to a
//! limit, to a repeat) is an outcome, not an error. Time is the server's; durations go in, moments
//! come out.
//!
//! Two stores keep this contract: [`MemoryStore`] is the specification in plain Rust, and
//! [`RedisStore`] runs one Lua file per method. One property test drives both and compares every
//! answer. [`Sealed`] is a store around either that keeps bodies and states under seal.
//!
//! # The invariant
//! Every operation restores, for each session it touches:
//! - *no owner and runnable ⇔ in `ready` of its pool and agent*;
//! - *waits for a time ⇔ in `timers`*;
//! - *owned by w ⇒ in `held` of w*.
//!
//! "Owner" is the token in the session's record; only `release`, `reap`, `delete` and a later
//! `claim` take it away. "Runnable" is [`SessionRecord::is_runnable`](crate::model::SessionRecord::is_runnable).
//!
//! # Classes
//! `send`, `relay`, `claim` and `commit` name a [`Durability`] that their outcome has reached when it is told. Where that
//! does not come in time the outcome is `Unknown`: it is written, and may yet be lost with the server. The same again
//! finds what was written, and waits for it anew.
//!
//! # An offer
//! Where an operation "offers" a session, it goes over the workers in `idle` of that pool and
//! agent, least loaded first (ties by name), at most three: it tells one; if somebody heard it, that
//! worker's load goes up by 1,000 (a session, in thousandths) and the offer is made; if nobody did, the
//! worker is taken out of `idle`. Whom it leaves out does not count among the three.

mod error;
pub mod memory;
mod outcome;
pub mod redis;
pub mod sealed;
mod snapshot;

use std::{future::Future, time::Duration};

pub use self::{error::*, memory::MemoryStore, outcome::*, redis::RedisStore, sealed::Sealed, snapshot::*};
use crate::model::{
    AgentDeclaration, AgentName, Door, Durability, Entry, Lease, MessageId, NewMessage, Partition,
    Partitions, Pool, ReplyTo, SessionId, Settings, StreamId, WorkerId,
};

/// The answer of one operation.
pub type StoreResult<T> = Result<T, StoreError>;

/// Where hints come in; see [`Store::listen`].
pub trait Listener: Send + 'static {
    /// The next hint. Waits for one; reconnects by itself, then gives [`Hint::Missed`]. May be dropped while waiting.
    fn recv(&mut self) -> impl Future<Output = Hint> + Send;
}

/// A namespace's durable state.
pub trait Store: Clone + Send + Sync + 'static {
    /// What [`listen`](Self::listen) gives.
    type Listener: Listener;

    /// The namespace's partitions.
    fn partitions(&self) -> &Partitions;

    /// How long the server has been up, at least; an embedded one is as old as can be.
    fn uptime(&self) -> impl Future<Output = StoreResult<Duration>> + Send;

    /// Which start of which server has `partition`, as far as that is known. None also where one server has all: then it
    /// is the one that [`vital`](Self::vital) names.
    fn run(&self, _partition: Partition) -> impl Future<Output = Option<Run>> + Send {
        std::future::ready(None)
    }

    // ---- the namespace

    /// Makes `wanted` the namespace's settings if it has none. `lua/configure.lua`
    fn configure(&self, wanted: &Settings) -> impl Future<Output = StoreResult<Configured>> + Send;

    /// Makes known how `agent` is served; the last word counts. But for one: a declaration in another pool than the one
    /// before is refused while members other than `worker`, who declares, are alive and serve the agent there. `lua/declare.lua`
    fn declare(
        &self,
        worker: &WorkerId,
        agent: &AgentName,
        how: &AgentDeclaration,
    ) -> impl Future<Output = StoreResult<Declared>> + Send;

    /// Whether all that was written to `partition` before has reached `class`, by a write of its own and a wait behind that.
    fn reach(
        &self,
        partition: Partition,
        class: Durability,
    ) -> impl Future<Output = StoreResult<Reach>> + Send;

    /// What the server of `partition` lacks to honour `class`; none if it can. Changes nothing, and waits for nobody: a
    /// class that can be honoured may still be [`Unknown`](Reach::Unknown).
    fn lacks(
        &self,
        partition: Partition,
        class: Durability,
    ) -> impl Future<Output = StoreResult<Option<Lack>>> + Send;

    /// All declared agents; of those that cannot be read the names.
    fn agents(&self) -> impl Future<Output = StoreResult<Agents>> + Send;

    /// Shows `member` to everybody for `ttl`, and forgets members whose time is over. `lua/announce.lua`
    fn announce(&self, member: &Member, ttl: Duration) -> impl Future<Output = StoreResult<()>> + Send;

    /// Takes a member off the list. `lua/retire.lua`
    fn retire(&self, worker: &WorkerId) -> impl Future<Output = StoreResult<()>> + Send;

    /// The members whose time is not over, by incarnation.
    fn members(&self) -> impl Future<Output = StoreResult<Vec<Member>>> + Send;

    // ---- doors

    /// Puts a message into its session's inbox, making the session if there is none. `lua/send.lua`
    ///
    /// In this order: an unreadable record is an error; an `id` seen within a day, or the very message accepted last by this session, is
    /// `Repeat` (with a `reply_to` and an `id`: an answer that is there goes to it through `out`,
    /// else it is added to those the answer will go to, 100 at most and each once); a body over the limit, a
    /// stopped session and then a full inbox refuse; another pool than the record's is `OtherPool`. Else it is accepted: numbered,
    /// pushed, indexed, with the `durability` it asks for; `group` counts only when the session is made, `resume` whenever given; the
    /// `id` is remembered for a day. Then, if the session has an owner: a [`Hint::Wake`] if the inbox
    /// was empty, with the message if its record is at most 1 KiB. If it has none: it is not suspended any more, and if it
    /// is runnable goes into `ready` and, if the inbox was empty or it was suspended, is offered.
    fn send(&self, message: &NewMessage) -> impl Future<Output = StoreResult<Sent>> + Send;

    /// Waits up to `wait` for a reply at `key` and takes it. Zero looks once.
    fn take_reply(
        &self,
        key: &ReplyTo,
        wait: Duration,
    ) -> impl Future<Output = StoreResult<Option<String>>> + Send;

    /// The oldest entries of a plain door, at most `limit`; waits up to `wait` for the first.
    fn ingress(
        &self,
        door: Door,
        limit: usize,
        wait: Duration,
    ) -> impl Future<Output = StoreResult<Ingress>> + Send;

    /// Adds an entry to a plain door, as any client would with `XADD`.
    fn post(
        &self,
        door: Door,
        fields: &[(Vec<u8>, Vec<u8>)],
    ) -> impl Future<Output = StoreResult<StreamId>> + Send;

    /// Removes entries that were taken.
    fn remove_ingress(&self, door: Door, ids: &[StreamId]) -> impl Future<Output = StoreResult<()>> + Send;

    /// Makes a plain door give only ids greater than `past` from now on. `lua/advance.lua`
    fn advance_ingress(&self, door: Door, past: StreamId) -> impl Future<Output = StoreResult<()>> + Send;

    /// The last entry of a plain door that each of these partitions took, each by itself: one that does not answer keeps
    /// nobody from the others. An error where none of them answers.
    fn cursors(&self, door: Door, of: &[Partition]) -> impl Future<Output = StoreResult<Cursors>> + Send;

    /// Takes a batch of a plain door's entries (at most 100) that belong to `partition`, in order, all or none. `lua/relay.lua`
    ///
    /// `previous` is the last entry of that door the caller believes this partition took; if that is not so:
    /// `Elsewhere`. If a message names another pool than its session's (of a session that the batch makes:
    /// than its first message there): `OtherPool`. Else each goes
    /// the way of [`send`](Self::send), except that what is refused goes to `dead`, and with a
    /// `reply_to` an error goes to `out`. The cursor becomes the greater of itself and the last id.
    fn relay(
        &self,
        partition: Partition,
        door: Door,
        previous: Option<StreamId>,
        batch: &[Relayed],
    ) -> impl Future<Output = StoreResult<Relay>> + Send;

    // ---- a worker's own lease

    /// Makes a fresh incarnation known to a partition, with a deadline one lease away. `lua/renew.lua`
    ///
    /// A repeat renews; one that was buried since is `Lost`.
    fn join(
        &self,
        partition: Partition,
        presence: &Presence,
    ) -> impl Future<Output = StoreResult<Renewal>> + Send;

    /// Sets the deadline one lease from now; past it but not buried is fine. `lua/renew.lua`
    ///
    /// Cuts deadlines further away than their own lease to that, as [`survey`](Self::survey) does: where the clock went
    /// back, the duty of a dead worker must not be waited for until the clock has caught up.
    /// Sets the worker's load in `idle` of each of its agents, or takes it out where it, or that agent, has no
    /// room, and grants its wish about the duty: `Take` if the holder is nobody, buried, unknown or past its deadline.
    fn renew(
        &self,
        partition: Partition,
        presence: &Presence,
    ) -> impl Future<Output = StoreResult<Renewal>> + Send;

    /// Declares an incarnation dead in a partition: it leaves `idle`, and its duty, if it has that, is free. `lua/bury.lua`
    ///
    /// On [`Ground::OverdueUnder`] another start of the server changes nothing: [`Bury::OtherRun`]. Nor does one whose clock
    /// is later than the caller reckons: [`Bury::Later`].
    /// What it holds stays in `held` until it is reaped. Unless it was its own wish it is told: [`Hint::Buried`].
    fn bury(
        &self,
        partition: Partition,
        worker: &WorkerId,
        ground: Ground,
    ) -> impl Future<Output = StoreResult<Bury>> + Send;

    /// Sessions that `worker` holds in a partition, at most `limit`, in no particular order.
    fn held(
        &self,
        partition: Partition,
        worker: &WorkerId,
        limit: usize,
    ) -> impl Future<Output = StoreResult<Vec<SessionId>>> + Send;

    /// Hints for `worker`, from all partitions. The listener is the worker's *lifeline* too: as long as it
    /// lives the worker is there for [`vital`](Self::vital), and the server notices when its process dies.
    fn listen(&self, worker: &WorkerId) -> impl Future<Output = StoreResult<Self::Listener>> + Send;

    /// Which of `workers` listen, by one look.
    ///
    /// One that does not may have died, or be about to connect again: a look alone proves nothing.
    fn vital(&self, workers: &[WorkerId]) -> impl Future<Output = StoreResult<Vitals>> + Send;

    /// Tells `worker` to hand off everything and end; whether it heard. [`Hint::Drain`]
    fn tell_to_drain(&self, worker: &WorkerId) -> impl Future<Output = StoreResult<bool>> + Send;

    // ---- ownership

    /// Takes a session that nobody has. `lua/claim.lua`
    ///
    /// In this order: a claimant that is buried or unknown in the partition is `Lost`; `Absent`;
    /// `Unreadable`; the same worker with the same nonce gets the same lease again (and `own`, if it is missing); another pool is
    /// `OtherPool`. An owner that is another worker and within its deadline: `Held`; past it: `Held`
    /// with [`Overdue::Spare`], or [`Overdue::BuryUnder`] another start of the server, else it is buried as by [`bury`](Self::bury); an owner that is buried
    /// or unknown is cleared (all but its `held`, see [`reap`](Self::reap)), and the session is orphaned if it
    /// was runnable, and suspended as by [`reap`](Self::reap). The claimant's own older claim is simply superseded. With no owner and nothing runnable: `NothingToDo`.
    /// An orphaned session's death counts as a crash now; with the third it is `Quarantined`. From the second on it is a
    /// suspect, and with [`Suspect::Leave`] it waits in `ready` behind the others: `Suspect`.
    /// Else a new token: epoch = max(last + 1, now in ms, `seen`); the crash is written down; `own` and `held` are set, it leaves `ready`, and the
    /// history refuses older epochs. Returns at most `page` messages.
    fn claim(
        &self,
        session: &SessionId,
        claimant: &Claimant,
        page: usize,
    ) -> impl Future<Output = StoreResult<Claim>> + Send;

    /// Gives a session back. `lua/release.lua`
    ///
    /// Not the owner: `Fenced`, except that a repeat by the one who owned it last is `Released`
    /// as long as nobody claimed since (also if it was reaped meanwhile: it is given back either way).
    fn release(
        &self,
        lease: &Lease,
        leaving: Leaving,
        page: usize,
    ) -> impl Future<Output = StoreResult<Release>> + Send;

    /// The slow round's look at one session: lengthens `own` (sets it again if it is missing). `lua/refresh.lua`
    fn refresh(
        &self,
        lease: &Lease,
        own_ttl: Duration,
        page: usize,
    ) -> impl Future<Output = StoreResult<Refresh>> + Send;

    /// Takes a session from an owner that is buried. `lua/reap.lua`
    ///
    /// In this order: a worker that is not buried is `Alive` (one that the partition does not know counts as
    /// buried); `NotTheirs`; `OtherPool`. Else the session is orphaned if it was runnable. If its turn is unfinished and
    /// lazy, by its own policy or else by what the last boundary says, and its message the only one, it is suspended
    /// ([`is_suspended_by_death`](crate::model::SessionRecord::is_suspended_by_death)). If it is still runnable it
    /// goes into `ready` and is offered.
    fn reap(
        &self,
        session: &SessionId,
        from: &WorkerId,
        pool: &Pool,
    ) -> impl Future<Output = StoreResult<Reap>> + Send;

    // ---- the turn

    /// Makes a boundary durable. `lua/commit.lua`
    ///
    /// In this order: a commit id that is the session's last is `Done` again; a writer that is buried
    /// or unknown is `Lost`; another token than the record's is `Fenced`; a last entry other than
    /// `after`, a turn at the head with other `boundaries`, or a head other than `done` or `of`, is `Behind`. Else all of it is written; crashes become 0;
    /// answers go to `out` for `reply_to` and for everybody who asked again by `id` (each once, in the order
    /// of their names), and are kept under the `id` for another day, unless it was forgotten and stands for
    /// another message by now. A message given up on goes to `dead`.
    ///
    /// At class `memory` the answer is pushed to `reply_to` in the same step, as by [`deliver`](Self::deliver), and is
    /// then not in `out`; but not where the key does not take it, nor on a cluster, where it may be on another server.
    fn commit(&self, lease: &Lease, boundary: &Boundary) -> impl Future<Output = StoreResult<Commit>> + Send;

    // ---- upkeep

    /// One look at what a partition needs; changes nothing but deadlines further away than their
    /// own lease (a clock that went back), which it cuts to that, and workers buried over a day ago, which it
    /// forgets. Of `out` it looks at the oldest 100. `lua/survey.lua`
    fn survey(
        &self,
        partition: Partition,
        agents: &[(Pool, AgentName)],
    ) -> impl Future<Output = StoreResult<Survey>> + Send;

    /// Ends a session's wait if its time has come: an owner gets a [`Hint::Wake`]; without one, and runnable, into `ready` and offered. `lua/fire.lua`
    ///
    /// Also where it is not due its timer is made to agree: taken out where the session waits for nothing, is not there or
    /// cannot be read, so that nothing stands for ever before those that are due.
    fn fire(&self, session: &SessionId, pool: &Pool) -> impl Future<Output = StoreResult<Fire>> + Send;

    /// Offers a session that is in `ready` to the least loaded worker other than `except`. `lua/offer.lua`
    fn offer(
        &self,
        session: &SessionId,
        pool: &Pool,
        except: Option<&WorkerId>,
    ) -> impl Future<Output = StoreResult<Offer>> + Send;

    /// Restores the invariant for one session. `lua/mend.lua`
    ///
    /// `pool` and `owner` are the caller's idea of it. In this order: `Absent`; an unreadable record is an error;
    /// `OtherPool`; `OtherOwner`; a session that was never claimed moves to `home`, its agent's declared pool;
    /// `Orphan`. An owner whose `own` is missing gets a [`Hint::Wake`]. Nothing is offered: that is the duty's next look.
    fn mend(
        &self,
        session: &SessionId,
        pool: &Pool,
        owner: Option<&WorkerId>,
        home: Option<&Pool>,
    ) -> impl Future<Output = StoreResult<Mend>> + Send;

    /// Pushes replies to their keys, each of which then expires after an hour, and takes them out of `out`.
    ///
    /// A key that cannot take it: into `dead`, reason `reply_to`. A repeat pushes only what is still in `out`, but not
    /// everywhere by [`Deliverer::Writer`]: replies are at most repeated, never lost.
    fn deliver(
        &self,
        partition: Partition,
        replies: &[OutReply],
        by: Deliverer,
    ) -> impl Future<Output = StoreResult<()>> + Send;

    // ---- reading and operating

    /// Looks at one session.
    fn look(&self, session: &SessionId) -> impl Future<Output = StoreResult<Look>> + Send;

    /// The sessions of a partition in order of their ids, after `after`, at most `limit`.
    fn sessions(
        &self,
        partition: Partition,
        after: Option<&SessionId>,
        limit: usize,
    ) -> impl Future<Output = StoreResult<Vec<SessionId>>> + Send;

    /// Part of a session's history; with [`HistoryRange::After`] waits up to `wait` for the first entry.
    fn history(
        &self,
        session: &SessionId,
        range: HistoryRange,
        wait: Duration,
    ) -> impl Future<Output = StoreResult<Vec<Entry>>> + Send;

    /// The dead letters of a partition after `after`, oldest first, at most `limit`.
    fn dead(
        &self,
        partition: Partition,
        after: Option<StreamId>,
        limit: usize,
    ) -> impl Future<Output = StoreResult<Vec<DeadLetter>>> + Send;

    /// Puts a dead letter back into its session's inbox as a message of its own, called `message`. `lua/revive.lua`
    ///
    /// It keeps its body, `reply_to` and `durability`, but not its `id`: that has its answer. A repeat is told `Repeat` as long as
    /// it is the last message that the session accepted, and `Gone` after that. A letter without a session is malformed.
    fn revive(
        &self,
        letter: &DeadLetter,
        message: MessageId,
        pool: &Pool,
    ) -> impl Future<Output = StoreResult<Revive>> + Send;

    /// Drops dead letters; how many there were.
    fn drop_dead(
        &self,
        partition: Partition,
        ids: &[StreamId],
    ) -> impl Future<Output = StoreResult<usize>> + Send;

    /// Lets a quarantined session go on, as if nothing had happened to it. `lua/free.lua`
    ///
    /// In this order: `Absent`; an unreadable record is an error; `OtherPool`; `NotQuarantined`; `Owned`. A repeat is
    /// `NotQuarantined`. A message that is to be dropped is given up on by the next owner, as one whose tries are over.
    /// An unfinished turn stays that, from its last boundary.
    fn free(
        &self,
        session: &SessionId,
        pool: &Pool,
        first: FirstMessage,
    ) -> impl Future<Output = StoreResult<Free>> + Send;

    /// Lets the unfinished turn of a suspended session go on, with no message. `lua/continue.lua`
    ///
    /// In this order: `Absent`; an unreadable record is an error; `OtherPool`; `NotSuspended` (also where it is
    /// stopped or set aside). Else, if it is runnable, into `ready` and offered. A repeat is `NotSuspended`.
    fn proceed(&self, session: &SessionId, pool: &Pool) -> impl Future<Output = StoreResult<Proceed>> + Send;

    /// Deletes a session with all its keys. `lua/delete.lua`
    ///
    /// Its owner is fenced and sends are refused from the first call on; mail still waiting goes to
    /// `dead`, reason `deleted`, and as an error to all who wait for its answer, 100 a call. `id`s stay
    /// known, with that error as the answer where there was none. `pool` and `owner` are the caller's idea of it; where they are wrong, indexes that were missed are left to `mend`.
    fn delete(
        &self,
        session: &SessionId,
        pool: &Pool,
        owner: Option<&WorkerId>,
    ) -> impl Future<Output = StoreResult<Delete>> + Send;
}
