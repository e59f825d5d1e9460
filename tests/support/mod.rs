//! Fixtures that the tests share. Each test binary uses some of them.
#![allow(dead_code, unused_imports, reason = "every test binary takes what it needs")]

mod clock;
pub mod containers;
mod port;
mod server;
mod wait;

pub use clock::Clock;
pub use server::{Builder, RedisServer};
pub use wait::{eventually, wait_until};
