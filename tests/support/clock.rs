//! A server's wall clock in the hand of a test.
//!
//! libfaketime was tried first and does not work: Debian's `redis-server` is linked with jemalloc,
//! which asks for the time before libfaketime has found the real functions, and the server hangs
//! ("Cannot recover from unexpected recursive calls to clock_gettime"). `clock.c` is what is
//! needed of it, in forty lines that allocate nothing.
//!
//! Found on Redis 7.0.15 and 8.2.3 and on Valkey 8.1.8: time is *frozen* between moves, exact to
//! the microsecond, and the very next command sees a move. `TIME`, `TIME` in a script, `PTTL`,
//! expiry, and the ids of `XADD *` all follow. What to know:
//!
//! - A key with `PX 100` is there at +100 ms and gone at +101: the deadline itself is still inside.
//! - What the server itself measures in wall time stands still too: the timeouts of blocking
//!   commands and `WAIT`, the lag of replicas, the one second of `appendfsync everysec`. An answer
//!   to a blocking command comes when something is written or the clock is moved.
//! - Valkey 9.1 reckons the time of day from the monotonic clock between looks at the real one, so
//!   its clock cannot be held. The fixture notices at the start and says so.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use tempfile::NamedTempFile;

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
        server.env("LD_PRELOAD", preload()).env("TENURE_TEST_CLOCK", &self.path);
    }
}

/// The compiled `clock.c`; compiled by the first test that needs it.
fn preload() -> PathBuf {
    const SOURCE: &str = include_str!("clock.c");
    let mut hasher = DefaultHasher::new();
    SOURCE.hash(&mut hasher);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let library = folder.join(format!("clock-{:016x}.so", hasher.finish()));
    if !library.exists() {
        compile(SOURCE, folder, &library);
    }
    library
}

/// Into a file of its own first: tests that run at once must never load half a library.
fn compile(source: &str, folder: &Path, library: &Path) {
    fs::create_dir_all(folder).expect("cargo's folder for tests can be made");
    let input = tempfile::Builder::new().suffix(".c").tempfile_in(folder).expect("a file");
    fs::write(&input, source).expect("the source can be written");
    let output = NamedTempFile::new_in(folder).expect("a file");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
        .args([output.path(), input.path()])
        .status()
        .expect("`cc` is there: rustc links with it");
    assert!(compiled.success(), "cc cannot compile tests/support/clock.c: {compiled}");
    output.persist(library).expect("a rename within one folder");
}
