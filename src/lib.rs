//! Durable sessions on Redis: one owner at a time, never orphaned.

pub mod client;
pub mod model;
pub mod runtime;
pub mod store;
