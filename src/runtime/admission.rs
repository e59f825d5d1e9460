//! How fast a worker takes sessions on, whoever died: so many at once, and so many bytes and sessions a second.
//!
//! What one claim brings is known only when it is answered, so its bytes put off the claims after it.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::env::{Env, Moment};
use crate::store::{Claimed, Mail};

/// How many claims of a worker are under way at any time.
const AT_ONCE: usize = 256;

/// How many sessions it takes on in a second: four times what it must never fall below.
const SESSIONS_A_SECOND: u64 = 20_000;

/// How many bytes of state and mail it loads in a second.
const BYTES_A_SECOND: u64 = 256 * 1024 * 1024;

/// What may be taken at once after a rest, as a time at these rates: 5,000 sessions, or 64 MiB.
const BURST: Duration = Duration::from_millis(250);

/// The claims of one worker, paced.
#[derive(Debug)]
pub(super) struct Admission {
    places: Arc<Semaphore>,
    /// Until when the rates are used up by what was taken (the generic cell rate algorithm, ITU-T I.371).
    used_until: Mutex<Moment>,
}

/// The right to make one claim.
#[derive(Debug)]
pub(super) struct Place(
    #[allow(dead_code, reason = "held, and given back when dropped")] OwnedSemaphorePermit,
);

impl Default for Admission {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(AT_ONCE)), used_until: Mutex::default() }
    }
}

impl Admission {
    /// Waits until another session may be claimed. May be dropped: then nothing is used up.
    pub(super) async fn enter(&self, env: &Env) -> Place {
        let place = self.places.clone().acquire_owned().await.expect("places are never closed");
        loop {
            let wait = self.wait(env.now());
            if wait.is_zero() {
                return Place(place);
            }
            env.sleep(wait).await;
        }
    }

    /// A claim brought this.
    pub(super) fn took(&self, now: Moment, claimed: &Claimed) {
        let bytes = size(claimed);
        let by_bytes = Duration::from_nanos(bytes.saturating_mul(1_000_000_000) / BYTES_A_SECOND);
        let by_sessions = Duration::from_nanos(1_000_000_000 / SESSIONS_A_SECOND);
        let mut used_until = self.used_until.lock().expect("nobody panics with it");
        *used_until = (*used_until).max(now).plus(by_bytes.max(by_sessions));
    }

    fn wait(&self, now: Moment) -> Duration {
        let used_until = *self.used_until.lock().expect("nobody panics with it");
        used_until.since(now.plus(BURST))
    }
}

/// What a claim loaded, in bytes.
fn size(claimed: &Claimed) -> u64 {
    let mail = claimed.mail.iter().map(|mail| match mail {
        Mail::Message(message) | Mail::Malformed(message, _) => message.body.as_json().len(),
        Mail::Unreadable(_) => 0,
    });
    (claimed.state.as_ref().map_or(0, String::len) + mail.sum::<usize>()) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Epoch, Lease, Millis, Nonce, Pool, SessionRecord, Token};

    fn with_state(bytes: usize) -> Claimed {
        let token = Token { worker: "w-1".parse().unwrap(), epoch: Epoch(1), nonce: Nonce(1) };
        Claimed {
            lease: Lease::granted("a/b".parse().unwrap(), token),
            record: SessionRecord::made(Pool::default(), Millis(0)),
            state: Some("s".repeat(bytes)),
            mail: Vec::new(),
        }
    }

    /// How long it takes to take on so many sessions with so large a state each, one after the other.
    async fn takes(sessions: usize, bytes: usize) -> Duration {
        let (admission, env) = (Admission::default(), Env::seeded(1));
        let began = env.now();
        let claimed = with_state(bytes);
        for _ in 0..sessions {
            let _place = admission.enter(&env).await;
            admission.took(env.now(), &claimed);
        }
        env.now().since(began)
    }

    #[tokio::test(start_paused = true)]
    async fn five_thousand_small_sessions_are_taken_on_at_once() {
        assert_eq!(takes(5_000, 100).await, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn more_are_taken_on_at_a_rate_well_above_five_thousand_a_second() {
        let took = takes(20_000, 100).await;
        assert!((Duration::from_millis(700)..Duration::from_secs(1)).contains(&took), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn large_sessions_are_taken_on_by_their_bytes() {
        // A gibibyte, of which an eighth is there at once.
        let took = takes(1_024, 1024 * 1024).await;
        assert!((Duration::from_millis(3_700)..Duration::from_millis(3_800)).contains(&took), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_claims_are_under_way_than_there_are_places() {
        let (admission, env) = (Admission::default(), Env::seeded(1));
        let mut held = Vec::new();
        for _ in 0..AT_ONCE {
            held.push(admission.enter(&env).await);
        }
        assert!(env.timeout(Duration::from_secs(60), admission.enter(&env)).await.is_none());
        held.pop();
        assert!(env.timeout(Duration::from_secs(60), admission.enter(&env)).await.is_some());
    }
}
