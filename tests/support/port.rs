//! Loopback ports for servers of tests.

use std::net::{Ipv4Addr, TcpListener};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

/// Below what systems hand to outgoing connections, so that a port stays ours between a server's
/// death and its restart.
const FIRST: u32 = 10_000;
const COUNT: u32 = 20_000;

/// A port that nobody listens on. Somebody may yet: whoever starts a server on it has to look
/// whether it is theirs that answers.
pub fn free() -> u16 {
    static TRIED: AtomicU32 = AtomicU32::new(0);
    // Spreads processes that run at once over the range.
    let start = process::id().wrapping_mul(2_654_435_761) >> 8;
    (0..COUNT)
        .map(|_| FIRST + (start + TRIED.fetch_add(1, Ordering::Relaxed)) % COUNT)
        .map(|port| u16::try_from(port).expect("the range ends below 65,536"))
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .expect("one of 20,000 ports is free")
}
