//! What is written to the log while a test runs, on its own thread.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;

/// A log that is read by a test, as long as it is there.
pub struct Log {
    written: Written,
    _guard: DefaultGuard,
}

impl Log {
    /// Warnings, and what is worse.
    pub fn of_warnings() -> Self {
        let written = Written::default();
        let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).with_ansi(false);
        let subscriber = subscriber.with_writer(written.clone()).finish();
        Self { written, _guard: tracing::subscriber::set_default(subscriber) }
    }

    /// Those of its lines that have `words`.
    pub fn lines_with(&self, words: &str) -> Vec<String> {
        let written = self.written.0.lock().unwrap();
        let text = String::from_utf8_lossy(&written);
        text.lines().filter(|line| line.contains(words)).map(str::to_owned).collect()
    }
}

/// Clones are the same.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Written {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
