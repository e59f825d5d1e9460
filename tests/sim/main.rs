//! The simulator on the fleet's own agents.

mod faults;
mod fleet;
mod schedules;
