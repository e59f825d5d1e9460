//! A whole fleet under a scheduler that is trying to break it: the deterministic simulator.
//!
//! A simulation runs the workers of a fleet, its clients and its agents on one thread, with the production runtime
//! unchanged. The server is a [`MemoryStore`](crate::store::MemoryStore). Every call to it, every timer, every hint and every
//! [checkpoint](crate::Turn::checkpoint) of an agent waits at the controller, which lets one of them happen, waits until everybody waits again, and
//! looks whether all that must hold still does. What it picks is the [`Strategy`]'s affair; what it brings down is the
//! [`Faults`]'.
//!
//! A run is a function of its seed: no clock of the machine, no thread, no random number of the system plays a part.
//! So a seed that fails fails again, and its [`Trace`] replays step by step.
//!
//! # What is simulated
//! - **Time** is virtual and stands still while anything can happen, except where letting it pass is picked
//!   ([`Kind::Time`]). Each process has a monotonic clock of its own, which may leap or drift; the server has its wall clock. Timers that
//!   are due within a few milliseconds of each other may fire in any order, so that a lease may lapse before or after
//!   the renewal that was due at the same moment.
//! - **Calls** wait before they take effect, and may be lost on the way, be late (after others that were sent later), or
//!   take effect with their answer lost. A call whose caller gave up, or died, may still arrive.
//! - **Processes** stop, start anew, drain and stand still; one that stands still finds all its timers due when it goes on.
//! - **The server** restarts, runs out of memory, has a slow disk, and is replaced by a replica that lacks what was written
//!   since it was cut off.
//!
//! # What is looked at
//! After every step, for the sessions that it touched, and for all every hundred steps and at the end: the names in
//! [`invariants`]. At the end also what [`Simulation::check`] demands. A run ends when clients are done, no fault is to
//! come, and nothing is left to do; if that takes too long after the last fault, that is a failure as well.
//!
//! # Example
//! An agent that sells from a common stock looks whether something is left, and takes it later. Two turns in the same
//! process may come between the two:
//!
//! ```
//! use std::sync::{Arc, atomic::{AtomicI64, Ordering}};
//! use tenure::{Agent, AgentError, Message, Reply, Turn, sim::{Simulation, Workload}};
//!
//! #[derive(Clone)]
//! struct Shop(Arc<AtomicI64>);
//!
//! impl Agent for Shop {
//!     type State = ();
//!
//!     async fn turn(&self, cx: &mut Turn<()>, _: Message) -> Result<Reply, AgentError> {
//!         if self.0.load(Ordering::SeqCst) == 0 {
//!             return Ok(Reply::text("sold out"));
//!         }
//!         cx.checkpoint().await; // here the shop asks the warehouse
//!         self.0.fetch_sub(1, Ordering::SeqCst);
//!         Ok(Reply::text("sold"))
//!     }
//! }
//!
//! // Six customers, each in a session of its own, all at once.
//! let customers = (0..6).fold(Workload::none(), |customers, n| {
//!     customers.client(move |client| async move {
//!         let session = format!("shop/{n}").parse().expect("a session");
//!         client.ask(session, "one, please").await.expect("an answer");
//!     })
//! });
//! let failing = (1..=50).find(|seed| {
//!     let stock = Arc::new(AtomicI64::new(3));
//!     let left = stock.clone();
//!     let report = Simulation::new(*seed)
//!         .workers(2)
//!         .agent("shop", Shop(stock))
//!         .workload(customers.clone())
//!         .check("nothing is sold twice", move |_| match left.load(Ordering::SeqCst) {
//!             0.. => Ok(()),
//!             less => Err(format!("{less} are left")),
//!         })
//!         .run();
//!     report.failure.is_some_and(|failure| failure.invariant == "nothing is sold twice")
//! });
//! assert!(failing.is_some(), "the simulation finds the race");
//! ```
//!
//! In a test, [`test()`] runs many seeds and says how to run a failing one again.

mod able;
mod asking;
mod calls;
pub mod check;
mod choice;
mod clock;
mod controller;
mod direct;
mod drawn;
mod end;
mod fates;
mod faults;
mod fleet;
mod hints;
pub mod history;
#[cfg(feature = "planted-bugs")]
mod hunt;
pub mod invariants;
mod known;
mod membership;
mod mishaps;
mod mixed;
mod names;
mod order;
mod panics;
mod plan;
mod process;
mod quiet;
mod rates;
mod record;
mod report;
mod scenario;
mod scenarios;
mod seeds;
mod server;
pub mod shrink;
mod simulation;
pub mod slice;
mod smaller;
mod store;
pub mod strategy;
mod suffering;
mod trace;
mod unowned;
mod watch;
mod words;
mod workload;
mod world;

#[cfg(feature = "planted-bugs")]
pub use crate::planted::{Bug, Planted};
pub use choice::{Actor, Choice, Feedback, Kind, Object, Op, ReadsFrom, Strategy};
pub use end::End;
pub use faults::{Cut, Fault};
pub use hints::SimListener;
#[cfg(feature = "planted-bugs")]
pub use hunt::Hunt;
pub use membership::{Reach, TICK_TIME};
pub use plan::{Faults, Planned, When};
pub use rates::Rates;
pub use report::{Failure, Report};
pub use scenario::Scenario;
pub use seeds::test;
pub use simulation::Simulation;
pub use store::SimStore;
pub use trace::{Event, Recorded, Said, Trace};
pub use workload::{Acked, Posted, SimClient, Workload};
