//! The simulator on the fleet's own agents.

mod fleet;
mod schedules;
