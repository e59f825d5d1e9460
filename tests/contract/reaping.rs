//! `reap`: taking a session from an owner that is gone.

use tenure::{
    model::SessionId,
    store::{Ground as Reason, Hint, Leaving, Reap, Store},
};

use super::{ground::Ground, world::*};

async fn reap(w: &World<impl Ground>, s: &SessionId, from: &str) -> Reap {
    w.store().reap(s, &worker(from), &pool("default")).await.unwrap()
}

async fn bury(w: &World<impl Ground>, at: &SessionId, name: &str) {
    w.store().bury(w.partition(at), &worker(name), Reason::OwnWish).await.unwrap();
}

pub async fn nothing_is_taken_from_a_worker_that_is_not_buried(w: World<impl Ground>) {
    let s = session("a");
    w.claimed_with_mail("w", &s).await;
    w.let_leases_pass();
    let before = w.snapshot().await;
    assert_eq!(reap(&w, &s, "w").await, Reap::Alive, "past its deadline is not buried");
    assert_eq!(w.snapshot().await, before);
}

pub async fn a_runnable_session_of_the_buried_is_orphaned_ready_and_offered(w: World<impl Ground>) {
    let s = session("a");
    w.claimed_with_mail("w", &s).await;
    w.join_with_load(&s, "v", 0).await;
    let mut hints = w.listen("v").await;
    bury(&w, &s, "w").await;
    w.advance(MS);
    assert_eq!(reap(&w, &s, "w").await, Reap::Reaped { runnable: true });
    let seen = w.seen(&s).await;
    assert_eq!((seen.record.owner, seen.own, seen.record.orphaned), (None, None, Some(w.now())));
    assert_eq!(seen.record.last_owner, Some(worker("w")));
    assert_eq!(w.ready_since(&s).await, Some(w.now()));
    assert!(!w.holds_session("w", &s).await);
    assert_eq!(w.heard(&mut hints).await, [Hint::Offer { session: s.clone() }]);
}

pub async fn an_idle_session_of_the_buried_is_neither_orphaned_nor_ready(w: World<impl Ground>) {
    let s = session("a");
    let (claimed, message) = w.claimed_with_mail("w", &s).await;
    w.committed(&claimed.lease, &w.turn_of(&claimed.record, &message)).await;
    bury(&w, &s, "w").await;
    assert_eq!(reap(&w, &s, "w").await, Reap::Reaped { runnable: false });
    assert!(w.record(&s).await.orphaned.is_none() && !w.is_ready(&s).await);
}

pub async fn a_session_that_waits_for_its_time_is_reaped_and_not_run(w: World<impl Ground>) {
    let s = session("a");
    w.backing_off("w", &s, LEASE).await;
    bury(&w, &s, "w").await;
    assert_eq!(reap(&w, &s, "w").await, Reap::Reaped { runnable: false });
    assert!(w.holds(&s).await.timers.contains_key(&s) && !w.is_ready(&s).await);
}

pub async fn what_is_not_theirs_any_more_only_leaves_their_list(w: World<impl Ground>) {
    let s = session("a");
    w.claimed_with_mail("w", &s).await;
    bury(&w, &s, "w").await;
    w.join(&s, "v").await;
    w.claimed("v", &s).await;
    assert!(w.holds_session("w", &s).await, "a claim leaves that to the reap");
    let before = w.record(&s).await;
    assert_eq!(reap(&w, &s, "w").await, Reap::NotTheirs);
    assert_eq!(w.record(&s).await, before);
    assert!(!w.holds_session("w", &s).await && w.holds_session("v", &s).await);
    assert_eq!(reap(&w, &session("none"), "w").await, Reap::NotTheirs);
}

pub async fn a_repeated_reap_takes_nothing(w: World<impl Ground>) {
    let s = session("a");
    w.claimed_with_mail("w", &s).await;
    bury(&w, &s, "w").await;
    reap(&w, &s, "w").await;
    let before = w.snapshot().await;
    assert_eq!(reap(&w, &s, "w").await, Reap::NotTheirs);
    assert_eq!(w.snapshot().await, before);
}

pub async fn a_worker_that_the_partition_forgot_counts_as_buried(w: World<impl Ground>) {
    let s = session("a");
    w.claimed_with_mail("w", &s).await;
    bury(&w, &s, "w").await;
    w.advance(DAY + MS);
    w.store().survey(w.partition(&s), &[]).await.unwrap();
    assert_eq!(reap(&w, &s, "w").await, Reap::Reaped { runnable: true });
}

pub async fn a_session_of_another_pool_than_named_is_not_reaped(w: World<impl Ground>) {
    let s = session("a");
    w.claimed_with_mail("w", &s).await;
    bury(&w, &s, "w").await;
    let before = w.snapshot().await;
    let elsewhere = w.store().reap(&s, &worker("w"), &pool("other")).await.unwrap();
    assert_eq!(elsewhere, Reap::OtherPool(pool("default")));
    assert_eq!(w.snapshot().await, before);
}

pub async fn an_orphan_that_goes_through_more_hands_counts_each_death_once(w: World<impl Ground>) {
    let s = session("a");
    w.claimed_with_mail("w", &s).await;
    bury(&w, &s, "w").await;
    reap(&w, &s, "w").await;
    w.join(&s, "v").await;
    let claimed = w.claimed("v", &s).await;
    assert_eq!((claimed.record.crashes.len(), claimed.record.orphaned), (1, None));
    w.released(&claimed.lease, Leaving::HandOff).await;
    assert_eq!(w.claimed("v", &s).await.record.crashes.len(), 1);
}
