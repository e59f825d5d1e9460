//! How long this process believes in its own leases, partition by partition.
//!
//! The server grants a lease; its holder trusts it for less: nine tenths of it, by its own
//! monotonic clock, counted from before the request was sent. When trust ends the partition's
//! sessions are dropped without a word to the server. That is safe: whatever they would still
//! write is fenced or harmless, and a later renewal finds them again.

use std::{collections::BTreeMap, sync::Mutex};

use tokio_util::sync::CancellationToken;

use super::env::Moment;
use crate::model::{Partition, Partitions};

/// One incarnation's trust in its leases.
#[derive(Debug)]
pub(super) struct Trust {
    partitions: Mutex<BTreeMap<Partition, Window>>,
}

/// A partition's trust window.
#[derive(Debug)]
struct Window {
    until: Moment,
    /// Cancelled when the window ends; a new window gets a new one.
    over: CancellationToken,
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
        let window = || Window { until: Moment::default(), over: cancelled() };
        let partitions = partitions.all().map(|partition| (partition, window())).collect();
        Self { partitions: Mutex::new(partitions) }
    }

    /// An answered renewal: trust lasts until `until`.
    pub(super) fn extend(&self, partition: Partition, until: Moment) -> Extended {
        let mut partitions = self.lock();
        let window = partitions.get_mut(&partition).expect("every partition has a window");
        window.until = window.until.max(until);
        if window.over.is_cancelled() {
            window.over = CancellationToken::new();
            Extended::Anew
        } else {
            Extended::Held
        }
    }

    /// Ends the windows whose time is over; which.
    pub(super) fn lapse(&self, now: Moment) -> Vec<Partition> {
        let mut lapsed = Vec::new();
        for (partition, window) in &mut *self.lock() {
            if window.until <= now && !window.over.is_cancelled() {
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
        open.map(|window| window.until).min()
    }

    /// What is cancelled when the partition's present window ends; none if there is none at `now`.
    pub(super) fn window(&self, partition: Partition, now: Moment) -> Option<CancellationToken> {
        let partitions = self.lock();
        let window = partitions.get(&partition).expect("every partition has a window");
        (window.until > now && !window.over.is_cancelled()).then(|| window.over.clone())
    }

    /// Whether the lease is believed in at `now`.
    pub(super) fn holds(&self, partition: Partition, now: Moment) -> bool {
        self.window(partition, now).is_some()
    }

    /// Whether every partition's lease is believed in at `now`.
    pub(super) fn holds_everywhere(&self, now: Moment) -> bool {
        self.lock().values().all(|window| window.until > now && !window.over.is_cancelled())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Partition, Window>> {
        self.partitions.lock().expect("nobody panics while looking at trust")
    }
}

fn cancelled() -> CancellationToken {
    let token = CancellationToken::new();
    token.cancel();
    token
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
        assert_eq!(trust.extend(partition, at(90)), Extended::Anew);
        assert_eq!(trust.extend(partition, at(120)), Extended::Held);
        let over = trust.window(partition, at(119)).unwrap();
        assert!(!trust.holds(partition, at(120)), "time alone ends it, before anybody says so");
        assert_eq!(trust.lapse(at(119)), []);
        assert_eq!(trust.lapse(at(120)), [partition]);
        assert!(over.is_cancelled());
        assert_eq!(trust.extend(partition, at(200)), Extended::Anew);
        assert!(trust.holds(partition, at(150)));
    }

    #[test]
    fn one_partition_without_trust_is_enough_not_to_trust_everywhere() {
        let trust = Trust::none(&Partitions::new(&Namespace::default(), 2));
        trust.extend(Partition(0), at(100));
        assert!(!trust.holds_everywhere(at(50)));
        trust.extend(Partition(1), at(90));
        assert!(trust.holds_everywhere(at(89)));
        assert!(!trust.holds_everywhere(at(90)));
    }

    #[test]
    fn a_late_answer_never_shortens_trust() {
        let trust = Trust::none(&Partitions::new(&Namespace::default(), 1));
        trust.extend(Partition(0), at(100));
        trust.extend(Partition(0), at(50));
        assert!(trust.holds(Partition(0), at(99)));
    }
}
