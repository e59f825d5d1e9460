//! A server's wall clock in the hand of a test.
//!
//! libfaketime was tried first and does not work: Debian's `redis-server` is linked with jemalloc,
//! which asks for the time before libfaketime has found the real functions, and the server hangs
//! ("Cannot recover from unexpected recursive calls to clock_gettime"). `clock.c` is what is
//! needed of it, in forty lines that allocate nothing.
//!
//! Found on Redis 7.0.15 and 8.2.3 and on Valkey 8.1.8 and 9.1.2: time is *frozen* between moves, exact to
//! the microsecond, and the very next command sees a move. `TIME`, `TIME` in a script, `PTTL`,
//! expiry, and the ids of `XADD *` all follow. What to know:
//!
//! - A key with `PX 100` is there at +100 ms and gone at +101: the deadline itself is still inside.
//! - What the server itself measures in wall time stands still too: the timeouts of blocking
//!   commands and `WAIT`, the lag of replicas, the one second of `appendfsync everysec`. An answer
//!   to a blocking command comes when something is written or the clock is moved.
//! - Valkey 9.1 reckons the time of day from the processor's ticks between looks at the real one,
//!   which `clock.c` talks it out of. A server that does not follow all the same is noticed at the
//!   start, and its test is named as not run.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use super::preload;

/// The wall clock of one server: stands still until it is moved.
#[derive(Debug)]
pub struct Clock {
    path: PathBuf,
    file: File,
    now_micros: Mutex<u64>,
}

impl Clock {
    /// Where the clock of a server stands whose test does not care.
    pub const START_MS: u64 = 1_800_000_000_000;

    pub(super) fn new(folder: &Path, now_ms: u64) -> Self {
        let path = folder.join("clock");
        let file = File::create(&path).expect("the folder can be written");
        let clock = Self { path, file, now_micros: Mutex::new(0) };
        clock.set_ms(now_ms);
        clock
    }

    /// Moves the clock to `now`, milliseconds since 1970, forward or back. The server's next
    /// command sees it.
    pub fn set_ms(&self, now: u64) {
        let mut micros = self.now_micros.lock().expect("no holder panics");
        self.write(&mut micros, now * 1_000);
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        let mut micros = self.now_micros.lock().expect("no holder panics");
        let by = u64::try_from(by.as_micros()).expect("less than 584,000 years");
        let now = *micros + by;
        self.write(&mut micros, now);
    }

    /// What the server answers to `TIME`, in milliseconds since 1970.
    pub fn now_ms(&self) -> u64 {
        *self.now_micros.lock().expect("no holder panics") / 1_000
    }

    /// One aligned write of eight bytes, which the server maps: it sees the old time or the new.
    fn write(&self, micros: &mut u64, now: u64) {
        self.file.write_all_at(&now.to_ne_bytes(), 0).expect("the clock file can be written");
        *micros = now;
    }

    pub(super) fn hand_to(&self, server: &mut Command) {
        server
            .env("LD_PRELOAD", preload::library("clock", include_str!("clock.c")))
            .env("TENURE_TEST_CLOCK", &self.path);
    }
}
