//! The pure parts of the simulator: strategies on toy programs, and checks on made-up histories.

#[path = "sim_parts/consistency.rs"]
mod consistency;
#[path = "sim_parts/linear.rs"]
mod linear;
#[path = "sim_parts/register.rs"]
mod register;
#[path = "sim_parts/session.rs"]
mod session;
#[path = "sim_parts/shrinking.rs"]
mod shrinking;
#[path = "sim_parts/strategies.rs"]
mod strategies;
#[path = "sim_parts/toy.rs"]
mod toy;
