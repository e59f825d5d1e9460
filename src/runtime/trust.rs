//! How long this process believes in its own leases, partition by partition.
//!
//! The server grants a lease; its holder trusts it for less: nine tenths of it, by its own
//! monotonic clock, counted from before the request was sent. When trust ends the partition's
//! sessions are dropped without a word to the server. That is safe: whatever they would still
//! write is fenced or harmless, and a later renewal finds them again.

use std::{
    collections::BTreeMap,
    future::poll_fn,
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
};

use tokio_util::sync::CancellationToken;

use super::env::{Env, Moment};
use crate::model::{Partition, Partitions};

/// One incarnation's trust in its leases.
#[derive(Debug)]
pub(super) struct Trust {
    partitions: Mutex<BTreeMap<Partition, Window>>,
}

/// A partition's trust window, for those who act within it. Clones are the same window.
#[derive(Debug, Clone)]
pub(super) struct Window {
    /// Nanoseconds of the process' clock.
    until: Arc<AtomicU64>,
    /// Cancelled when the window ends; a new window gets a new one.
    over: CancellationToken,
}

impl Window {
    fn over() -> Self {
        let over = CancellationToken::new();
        over.cancel();
        Self { until: Arc::default(), over }
    }

    /// Waits until it ends: by the clock at every look, and not only when somebody says so. A process that stood
    /// still finds its lease over before it does anything else.
    pub(super) async fn ended(&self, env: &Env) {
        let mut told = pin!(self.over.cancelled());
        poll_fn(|cx| if self.holds(env.now()) { told.as_mut().poll(cx) } else { Poll::Ready(()) }).await;
    }

    fn holds(&self, now: Moment) -> bool {
        nanos(now) < self.until.load(Ordering::Relaxed) && !self.over.is_cancelled()
    }

    fn extend(&self, until: Moment) {
        self.until.fetch_max(nanos(until), Ordering::Relaxed);
    }

    fn until(&self) -> Moment {
        Moment::default().plus(std::time::Duration::from_nanos(self.until.load(Ordering::Relaxed)))
    }
}

fn nanos(moment: Moment) -> u64 {
    u64::try_from(moment.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// What an answered renewal did to a partition's window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extended {
    /// It goes on.
    Held,
    /// It had ended, or never began: what is held there must be looked for.
    Anew,
}

impl Trust {
    /// No trust in any of `partitions`.
    pub(super) fn none(partitions: &Partitions) -> Self {
        let partitions = partitions.all().map(|partition| (partition, Window::over())).collect();
        Self { partitions: Mutex::new(partitions) }
    }

    /// A renewal was answered at `now`: trust lasts until `until`.
    pub(super) fn extend(&self, partition: Partition, now: Moment, until: Moment) -> Extended {
        let mut partitions = self.lock();
        let window = partitions.get_mut(&partition).expect("every partition has a window");
        let extended = if !window.holds(now) {
            // Who acts within it may have seen that by the clock, and left.
            window.over.cancel();
            *window = Window { until: Arc::default(), over: CancellationToken::new() };
            Extended::Anew
        } else {
            Extended::Held
        };
        window.extend(until);
        extended
    }

    /// Ends the windows whose time is over; which.
    pub(super) fn lapse(&self, now: Moment) -> Vec<Partition> {
        let mut lapsed = Vec::new();
        for (partition, window) in &mut *self.lock() {
            if window.until() <= now && !window.over.is_cancelled() {
                window.over.cancel();
                lapsed.push(*partition);
            }
        }
        lapsed
    }

    /// When the next window ends, if any is open.
    pub(super) fn next_lapse(&self) -> Option<Moment> {
        let partitions = self.lock();
        let open = partitions.values().filter(|window| !window.over.is_cancelled());
        open.map(Window::until).min()
    }

    /// The partition's present window; none if there is none at `now`.
    pub(super) fn window(&self, partition: Partition, now: Moment) -> Option<Window> {
        let partitions = self.lock();
        let window = partitions.get(&partition).expect("every partition has a window");
        window.holds(now).then(|| window.clone())
    }

    /// Whether the lease is believed in at `now`.
    pub(super) fn holds(&self, partition: Partition, now: Moment) -> bool {
        self.window(partition, now).is_some()
    }

    /// Whether every partition's lease is believed in at `now`.
    pub(super) fn holds_everywhere(&self, now: Moment) -> bool {
        self.lock().values().all(|window| window.holds(now))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Partition, Window>> {
        self.partitions.lock().expect("nobody panics while looking at trust")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::Namespace;

    fn at(ms: u64) -> Moment {
        Moment::default().plus(Duration::from_millis(ms))
    }

    #[test]
    fn a_window_ends_at_its_time_and_opens_anew_with_the_next_renewal() {
        let trust = Trust::none(&Partitions::new(&Namespace::default(), 2));
        let partition = Partition(0);
        assert!(!trust.holds(partition, at(0)));
        assert_eq!(trust.extend(partition, at(0), at(90)), Extended::Anew);
        assert_eq!(trust.extend(partition, at(10), at(120)), Extended::Held);
        let over = trust.window(partition, at(119)).unwrap();
        assert!(!trust.holds(partition, at(120)), "time alone ends it, before anybody says so");
        assert_eq!(trust.lapse(at(119)), []);
        assert_eq!(trust.lapse(at(120)), [partition]);
        assert!(over.over.is_cancelled());
        assert_eq!(trust.extend(partition, at(120), at(200)), Extended::Anew);
        assert!(trust.holds(partition, at(150)));
    }

    #[test]
    fn one_partition_without_trust_is_enough_not_to_trust_everywhere() {
        let trust = Trust::none(&Partitions::new(&Namespace::default(), 2));
        trust.extend(Partition(0), at(0), at(100));
        assert!(!trust.holds_everywhere(at(50)));
        trust.extend(Partition(1), at(0), at(90));
        assert!(trust.holds_everywhere(at(89)));
        assert!(!trust.holds_everywhere(at(90)));
    }

    #[test]
    fn a_late_answer_never_shortens_trust() {
        let trust = Trust::none(&Partitions::new(&Namespace::default(), 1));
        trust.extend(Partition(0), at(0), at(100));
        trust.extend(Partition(0), at(0), at(50));
        assert!(trust.holds(Partition(0), at(99)));
    }

    #[tokio::test(start_paused = true)]
    async fn who_stood_still_finds_the_window_over_though_nobody_said_so() {
        let env = Env::seeded(1);
        let trust = Trust::none(&Partitions::new(&Namespace::default(), 1));
        trust.extend(Partition(0), env.now(), env.now().plus(Duration::from_millis(100)));
        let window = trust.window(Partition(0), env.now()).unwrap();
        assert!(env.timeout(Duration::from_millis(50), window.ended(&env)).await.is_none());
        env.sleep(Duration::from_millis(50)).await;
        assert!(env.timeout(Duration::ZERO, window.ended(&env)).await.is_some());
        let later = env.now().plus(Duration::from_millis(100));
        assert_eq!(
            trust.extend(Partition(0), env.now(), later),
            Extended::Anew,
            "what is held must be looked for"
        );
    }
}
