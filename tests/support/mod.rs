//! Fixtures that the tests share. Each test binary uses some of them.
#![allow(dead_code, unused_imports, reason = "every test binary takes what it needs")]

mod clock;
pub mod cluster;
pub mod compose;
pub mod containers;
pub mod http;
pub mod not_run;
pub mod pki;
pub mod port;
mod preload;
mod process;
pub mod proxy;
pub mod sentinel;
mod server;
mod synced;
mod tls;
mod wait;
mod worker;
pub mod worker_container;

pub use clock::Clock;
pub use cluster::RedisCluster;
pub use server::{Builder, RedisServer};
pub use wait::{eventually, wait_until};
pub use worker::WorkerProcess;
