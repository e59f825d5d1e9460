//! The contract of [`Store`](tenure::store::Store), claim by claim.

pub mod ground;
pub mod on_redis;
pub mod world;

pub mod asking;
pub mod at_once;
pub mod claiming;
pub mod deleting;
pub mod delivering;
pub mod leases;
pub mod letters;
pub mod namespace;
pub mod offering;
pub mod quarantine;
pub mod reading;
pub mod reaping;
pub mod relaying;
pub mod releasing;
pub mod sending;
pub mod turns;
pub mod unfinished;
pub mod upkeep;
