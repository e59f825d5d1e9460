//! Waiting for a condition with a bound, instead of sleeping and hoping.
#![allow(clippy::disallowed_methods, reason = "a test's patience is measured in real time")]

use std::thread;
use std::time::{Duration, Instant};

const STEP: Duration = Duration::from_millis(2);

/// Blocks until `condition` holds. Panics with `what` when it does not within `bound`.
pub fn wait_until(what: &str, bound: Duration, mut condition: impl FnMut() -> bool) {
    let give_up = Instant::now() + bound;
    while !condition() {
        assert!(Instant::now() < give_up, "not within {bound:?}: {what}");
        thread::sleep(STEP);
    }
}

/// Waits until `condition` holds. Panics with `what` when it does not within `bound`, also when
/// the condition itself does not return.
///
/// In real time: under a paused runtime clock the bound passes at once.
pub async fn eventually(what: &str, bound: Duration, mut condition: impl AsyncFnMut() -> bool) {
    let until_it_holds = async {
        while !condition().await {
            tokio::time::sleep(STEP).await;
        }
    };
    if tokio::time::timeout(bound, until_it_holds).await.is_err() {
        panic!("not within {bound:?}: {what}");
    }
}
