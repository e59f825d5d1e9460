//! The pure parts of the simulator: strategies on toy programs, and checks on made-up histories.

#[path = "sim_parts/strategies.rs"]
mod strategies;
#[path = "sim_parts/toy.rs"]
mod toy;
