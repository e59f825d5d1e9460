//! What is particular to the store on Redis: connections that break, servers that refuse, scripts
//! that are forgotten, bytes that somebody else wrote. What every store does is the contract's.

#[path = "../support/mod.rs"]
mod support;

mod at_once;
mod classes;
mod connections;
mod deliveries;
mod desk;
mod direct_door;
mod hints;
mod records;
mod refusals;
mod scripts;

use support::proxy;
