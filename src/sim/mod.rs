//! A whole fleet under a scheduler that is trying to break it: the deterministic simulator.

pub mod check;
mod choice;
pub mod history;
pub mod shrink;
pub mod slice;
pub mod strategy;

pub use choice::{Actor, Choice, Feedback, Kind, Object, Op, ReadsFrom, Strategy};
