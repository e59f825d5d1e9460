//! A whole fleet under a scheduler that is trying to break it: the deterministic simulator.

mod basic;
mod calls;
mod choice;
mod clock;
mod controller;
mod end;
mod fates;
mod faults;
mod fleet;
mod hints;
mod names;
mod panics;
mod process;
mod report;
mod scenario;
mod scenarios;
mod server;
mod simulation;
mod store;
mod trace;
mod watch;
mod words;
mod workload;
mod world;

pub use choice::{Actor, Choice, Feedback, Kind, Object, Op, ReadsFrom, Strategy};
pub use end::End;
pub use faults::{Cut, Fault, Faults, Planned, Rates, When};
pub use hints::SimListener;
pub use report::{Failure, Report};
pub use scenario::Scenario;
pub use simulation::Simulation;
pub use store::SimStore;
pub use trace::{Event, Recorded, Said, Trace};
pub use watch::invariants;
pub use workload::{Acked, SimClient, Workload};
