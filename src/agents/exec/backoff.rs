//! How soon a child that ended is started again.

use std::time::Duration;

/// After the first end.
const FIRST: Duration = Duration::from_millis(100);
/// Never longer than this.
const MOST: Duration = Duration::from_secs(30);
/// A child that lived this long was well: the next wait is the first again.
const HEALTHY: Duration = Duration::from_secs(60);

/// The wait before the next start, doubled each time.
#[derive(Debug)]
pub(super) struct Backoff(Duration);

impl Backoff {
    pub(super) fn new() -> Self {
        Self(FIRST)
    }

    /// How long to wait after a child that lived for `lived`.
    pub(super) fn after(&mut self, lived: Duration) -> Duration {
        if lived >= HEALTHY {
            self.0 = FIRST;
        }
        let wait = self.0;
        self.0 = (wait * 2).min(MOST);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_its_limit_and_begins_again_after_a_minute_of_health() {
        let mut backoff = Backoff::new();
        let ms: Vec<_> = (0..10).map(|_| backoff.after(Duration::ZERO).as_millis()).collect();
        assert_eq!(ms, [100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000]);
        assert_eq!(backoff.after(HEALTHY), FIRST);
        assert_eq!(backoff.after(HEALTHY / 2), FIRST * 2);
    }
}
