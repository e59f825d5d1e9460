//! The server, as a benchmark sees it: its CPU time and the replies.

use std::time::Duration;

use redis::{AsyncCommands, Direction, aio::MultiplexedConnection};
use tenure::model::ReplyTo;

use crate::{
    connect::{self, unavailable},
    failure::Failure,
    global::Global,
};

/// Replies taken at once.
const BATCH: usize = 512;
/// How long one look for replies waits, in seconds.
const LOOK: f64 = 1.0;

/// A connection of the benchmark's own.
pub(super) struct Server {
    conn: MultiplexedConnection,
}

impl Server {
    pub(super) async fn connect(global: &Global) -> Result<Self, Failure> {
        Ok(Self { conn: connect::connection(global, Duration::from_secs_f64(LOOK)).await? })
    }

    /// CPU time that the server has used since its start.
    pub(super) async fn cpu(&mut self) -> Result<Duration, Failure> {
        let info: String =
            redis::cmd("INFO").arg("cpu").query_async(&mut self.conn).await.map_err(unavailable)?;
        Ok(read_cpu(&info))
    }

    /// What stands at `list` from number `first` on, and stays there.
    pub(super) async fn standing(&mut self, list: &ReplyTo, first: usize) -> Result<Vec<String>, Failure> {
        let first = isize::try_from(first).expect("a list that fits into memory");
        self.conn.lrange(list.as_str(), first, -1).await.map_err(unavailable)
    }

    /// The next replies at `list`; none if a second passed without one.
    pub(super) async fn replies(&mut self, list: &ReplyTo) -> Result<Vec<String>, Failure> {
        let taken: Option<(String, Vec<String>)> =
            self.conn.blmpop(LOOK, 1, list.as_str(), Direction::Left, BATCH).await.map_err(unavailable)?;
        Ok(taken.map(|(_, replies)| replies).unwrap_or_default())
    }
}

fn read_cpu(info: &str) -> Duration {
    let seconds = |name: &str| -> f64 {
        let value = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value.and_then(|value| value.trim().parse().ok()).unwrap_or_default()
    };
    Duration::from_secs_f64(seconds("used_cpu_user") + seconds("used_cpu_sys"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_the_sum_of_user_and_system_time() {
        let info = "# CPU\r\nused_cpu_sys:1.250\r\nused_cpu_user:2.500\r\nused_cpu_user_children:9.0\r\n";
        assert_eq!(read_cpu(info), Duration::from_millis(3750));
        assert_eq!(read_cpu(""), Duration::ZERO);
    }
}
