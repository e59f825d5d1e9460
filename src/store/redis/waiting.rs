//! Connections for commands that block: each command has one of its own, and its own patience.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use redis::{Cmd, Value};

use super::target::{Connected, Target};
use crate::store::StoreResult;

/// How many connections are kept for the next that waits.
const KEPT: usize = 16;

/// How long one blocking command blocks at most: a longer wait is several, so that a connection that
/// went half-open is noticed.
const LONGEST_BLOCK: Duration = Duration::from_secs(5);

/// Runs commands that block.
#[derive(Clone)]
pub(super) struct Waiting {
    target: Arc<Target>,
    idle: Arc<Mutex<Vec<Connected>>>,
}

impl Waiting {
    pub(super) fn new(target: Arc<Target>) -> Self {
        Self { target, idle: Arc::default() }
    }

    /// Runs the command that `block` makes for a time, again and again until it answers other than nil or `wait` is over.
    ///
    /// Dropped while it waits, it closes its connection: what the server would have answered is lost with it.
    pub(super) async fn run(&self, wait: Duration, block: impl Fn(Duration) -> Cmd) -> StoreResult<Value> {
        let mut left = wait;
        loop {
            let now = left.min(LONGEST_BLOCK);
            let value = self.once(now, &block(now)).await?;
            left -= now;
            if value != Value::Nil || left.is_zero() {
                return Ok(value);
            }
        }
    }

    async fn once(&self, block: Duration, command: &Cmd) -> StoreResult<Value> {
        // While it waits nobody else has the connection: taken, and put back only after an answer.
        let mut connected = match self.kept() {
            Some(connected) => connected,
            None => self.target.connect_plain().await?,
        };
        let Connected { connection, term, .. } = &mut connected;
        let asked = async { connection.send_packed_command(command).await?.extract_error() };
        let answered = tokio::time::timeout(block + self.target.timeout, term.outlasts(asked)).await;
        let error = match answered {
            Ok(Some(Ok(value))) => {
                self.keep(connected);
                return Ok(value);
            }
            Ok(Some(Err(error))) => self.target.error(error),
            Ok(None) => self.target.moved(),
            Err(_) => self.target.too_late(),
        };
        self.idle().clear();
        Err(error)
    }

    fn kept(&self) -> Option<Connected> {
        let mut idle = self.idle();
        idle.retain(|connected| !connected.term.is_over());
        idle.pop()
    }

    fn keep(&self, connected: Connected) {
        let mut idle = self.idle();
        if idle.len() < KEPT {
            idle.push(connected);
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connected>> {
        self.idle.lock().expect("nobody panics with the lock held")
    }
}
