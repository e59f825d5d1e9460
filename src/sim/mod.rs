//! A whole fleet under a scheduler that is trying to break it: the deterministic simulator.

mod choice;
pub mod strategy;

pub use choice::{Actor, Choice, Feedback, Kind, Object, Op, ReadsFrom, Strategy};
