//! `release` and `refresh`: giving a session back, and keeping it.

use std::time::Duration;

use tenure::store::{Hint, Leaving, Refresh, Release, Store, memory::Meddling};

use super::{ground::Ground, world::*};

pub async fn a_session_with_nothing_to_run_is_given_back(w: World<impl Ground>) {
    let s = session("a");
    let (claimed, message) = w.claimed_with_mail("w", &s).await;
    w.committed(&claimed.lease, &w.turn_of(&claimed.record, &message)).await;
    w.advance(MS);
    assert_eq!(w.released(&claimed.lease, Leaving::IfIdle).await, Release::Released);
    let seen = w.seen(&s).await;
    assert_eq!((seen.record.owner, seen.record.last_owner, seen.own), (None, Some(worker("w")), None));
    assert_eq!(seen.record.updated, w.now());
    assert!(!w.holds_session("w", &s).await && !w.is_ready(&s).await);
}

pub async fn a_session_with_something_to_run_is_kept(w: World<impl Ground>) {
    let s = session("a");
    let (claimed, message) = w.claimed_with_mail("w", &s).await;
    let before = w.snapshot().await;
    let Release::Runnable(mail) = w.released(&claimed.lease, Leaving::IfIdle).await else {
        panic!("it has mail")
    };
    assert_eq!(first_message(&mail), message);
    assert_eq!(w.snapshot().await, before);
}

pub async fn a_session_whose_mail_must_wait_may_be_given_back(w: World<impl Ground>) {
    let s = session("a");
    let claimed = w.backing_off("w", &s, LEASE).await;
    let due = w.record(&s).await.backoff.unwrap();
    assert_eq!(w.released(&claimed.lease, Leaving::IfIdle).await, Release::Released);
    assert!(!w.is_ready(&s).await);
    assert_eq!(w.holds(&s).await.timers[&s], due, "its timer stands");
}

pub async fn a_session_handed_off_is_ready_and_offered_to_another(w: World<impl Ground>) {
    let s = session("a");
    let (claimed, _) = w.claimed_with_mail("w", &s).await;
    w.join_with_load(&s, "w", 0).await;
    w.join_with_load(&s, "v", 9_000).await;
    let (mut own, mut other) = (w.listen("w").await, w.listen("v").await);
    assert_eq!(w.released(&claimed.lease, Leaving::HandOff).await, Release::Released);
    assert_eq!(w.ready_since(&s).await, Some(w.now()));
    assert_eq!(w.heard(&mut own).await, []);
    assert_eq!(w.heard(&mut other).await, [Hint::Offer { session: s.clone() }]);
    assert!(w.record(&s).await.orphaned.is_none());
}

pub async fn an_idle_session_handed_off_is_not_ready(w: World<impl Ground>) {
    let s = session("a");
    let (claimed, message) = w.claimed_with_mail("w", &s).await;
    w.committed(&claimed.lease, &w.turn_of(&claimed.record, &message)).await;
    assert_eq!(w.released(&claimed.lease, Leaving::HandOff).await, Release::Released);
    assert!(!w.is_ready(&s).await);
}

pub async fn a_repeated_release_is_released_until_somebody_claims(w: World<impl Ground>) {
    let s = session("a");
    let (claimed, _) = w.claimed_with_mail("w", &s).await;
    w.released(&claimed.lease, Leaving::HandOff).await;
    let before = w.snapshot().await;
    assert_eq!(w.released(&claimed.lease, Leaving::HandOff).await, Release::Released);
    assert_eq!(w.released(&claimed.lease, Leaving::IfIdle).await, Release::Released);
    assert_eq!(w.snapshot().await, before);
    let next = w.claimed("w", &s).await;
    assert_eq!(w.released(&claimed.lease, Leaving::HandOff).await, Release::Fenced);
    assert!(w.holds_session("w", &s).await, "the newer claim stands");
    w.released(&next.lease, Leaving::HandOff).await;
    assert_eq!(w.released(&claimed.lease, Leaving::HandOff).await, Release::Fenced, "the last was another's");
}

pub async fn nobody_gives_back_what_another_has_or_what_is_gone(w: World<impl Ground>) {
    let s = session("a");
    let (old, _) = w.claimed_with_mail("w", &s).await;
    w.let_leases_pass();
    w.join(&s, "v").await;
    w.claimed("v", &s).await;
    let before = w.snapshot().await;
    assert_eq!(w.released(&old.lease, Leaving::HandOff).await, Release::Fenced);
    assert_eq!(w.snapshot().await, before);
    w.store().delete(&s, &pool("default"), Some(&worker("v"))).await.unwrap();
    assert_eq!(w.released(&old.lease, Leaving::HandOff).await, Release::Fenced);
}

pub async fn a_refresh_lengthens_own_or_sets_it_again(w: World<impl Ground>) {
    let s = session("a");
    let (claimed, message) = w.claimed_with_mail("w", &s).await;
    for meddled in [false, true] {
        w.advance(OWN_TTL);
        if meddled {
            w.meddle(&s, Meddling::DeleteOwn).await;
        }
        let refreshed = w.store().refresh(&claimed.lease, OWN_TTL, 1).await.unwrap();
        let Refresh::Held { record, mail } = refreshed else { panic!("it is its own") };
        assert_eq!((*record, first_message(&mail)), (w.record(&s).await, message.clone()));
        assert_eq!(w.seen(&s).await.own.as_ref(), Some(claimed.lease.token()));
    }
    w.advance(OWN_TTL);
    assert!(w.seen(&s).await.own.is_some());
}

pub async fn a_refresh_by_another_than_the_owner_is_fenced(w: World<impl Ground>) {
    let s = session("a");
    let (old, _) = w.claimed_with_mail("w", &s).await;
    let new = w.claimed("w", &s).await;
    let refresh = async |lease| w.store().refresh(lease, Duration::from_millis(5), PAGE).await.unwrap();
    assert_eq!(refresh(&old.lease).await, Refresh::Fenced);
    assert_eq!(w.seen(&s).await.own.as_ref(), Some(new.lease.token()));
    w.store().delete(&s, &pool("default"), Some(&worker("w"))).await.unwrap();
    assert_eq!(refresh(&new.lease).await, Refresh::Fenced);
}
