//! The pure middle: what the words mean, and every rule that needs no clock, no server and no task.
//!
//! Nothing here is async, reads a clock or draws a random number. Whoever needs a moment or a
//! nonce is handed one.

mod address;
mod body;
mod config;
mod door;
mod durability;
mod duration;
mod entry;
mod lease;
mod loss;
mod message;
mod policy;
pub mod seal;
mod session;
mod timestamp;
mod turn;
mod watch;

pub(crate) use address::crc16;
pub use address::{
    AgentName, BadAddress, Group, IdempotencyKey, Namespace, Partition, Partitions, Pool, ReplyTo, SessionId,
    WorkerId, WorkerName,
};
pub use body::{BadBody, Body};
pub use config::{BadConfig, Limits, Settings, WorkerConfig};
pub use door::Door;
pub use durability::Durability;
pub use duration::{ShownDuration, parse_duration};
pub use entry::{Entry, EntryId, EntryKind, NewEntry, StreamId};
pub(crate) use lease::millis;
pub use lease::{BadLeaseTimes, Epoch, Lease, LeaseTimes, Millis, Nonce, Token};
pub use loss::{Acknowledged, Loss};
pub use message::{Envelope, ErrorReply, Message, MessageId, NewMessage};
pub use policy::{AgentDeclaration, Backoff, Resume, TurnPolicy};
pub use session::{Cause, Crash, Hold, SessionRecord, Status, Unfinished};
pub use timestamp::Timestamp;
pub use turn::{Effect, Event, Failure, IllegalEvent, Phase, Verdict};
pub(crate) use watch::{AGAIN_AFTER, Finding, Watch, is_outage, look_every, ring};
