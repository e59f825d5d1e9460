//! `fire`, `survey` and `mend`: what the holder of a duty finds and puts right.

use std::time::Duration;

use tenure::{
    model::{Body, Door, Limits, NewMessage, SessionId, StreamId},
    store::{
        Fire, Ground as Reason, Hint, Leaving, Mend, Relayed, RelayedKind, Store, StoreError, Survey,
        memory::Meddling,
    },
};

use super::{ground::Ground, world::*};

const WAIT: Duration = Duration::from_millis(400);

async fn fire(w: &World<impl Ground>, s: &SessionId) -> Fire {
    w.store().fire(s, &pool("default")).await.unwrap()
}

async fn survey(w: &World<impl Ground>, at: &SessionId) -> Survey {
    w.store().survey(w.partition(at), &[queue()]).await.unwrap()
}

async fn mend(w: &World<impl Ground>, s: &SessionId, owner: Option<&str>) -> Mend {
    let owner = owner.map(worker);
    w.store().mend(s, &pool("default"), owner.as_ref(), None).await.unwrap()
}

// ---- fire

pub async fn a_wait_ends_when_its_time_has_come_and_not_before(w: World<impl Ground>) {
    let s = session("a");
    w.backing_off("w", &s, WAIT).await;
    w.advance(WAIT - MS);
    let before = w.snapshot().await;
    assert_eq!(fire(&w, &s).await, Fire::NotDue);
    assert_eq!(w.snapshot().await, before);
    w.advance(MS);
    assert_eq!(fire(&w, &s).await, Fire::Fired);
    assert_eq!(w.record(&s).await.backoff, None);
    assert!(w.holds(&s).await.timers.is_empty());
    assert_eq!(fire(&w, &s).await, Fire::NotDue, "a repeat finds nothing to end");
}

pub async fn an_owner_is_woken_when_its_wait_ends(w: World<impl Ground>) {
    let s = session("a");
    w.backing_off("w", &s, WAIT).await;
    let mut hints = w.listen("w").await;
    w.advance(WAIT);
    fire(&w, &s).await;
    assert_eq!(w.heard(&mut hints).await, [Hint::Wake { session: s.clone(), mail: None }]);
    assert!(!w.is_ready(&s).await);
}

pub async fn a_session_without_owner_is_ready_and_offered_when_its_wait_ends(w: World<impl Ground>) {
    let s = session("a");
    let claimed = w.backing_off("w", &s, WAIT).await;
    w.released(&claimed.lease, Leaving::IfIdle).await;
    w.join_with_load(&s, "v", 0).await;
    let mut hints = w.listen("v").await;
    w.advance(WAIT);
    fire(&w, &s).await;
    assert_eq!(w.ready_since(&s).await, Some(w.now()));
    assert_eq!(w.heard(&mut hints).await, [Hint::Offer { session: s.clone() }]);
}

pub async fn firing_names_the_right_pool_or_changes_nothing(w: World<impl Ground>) {
    let s = session("a");
    w.backing_off("w", &s, WAIT).await;
    w.advance(WAIT);
    let before = w.snapshot().await;
    assert_eq!(w.store().fire(&s, &pool("other")).await.unwrap(), Fire::OtherPool(pool("default")));
    assert_eq!(fire(&w, &session("none")).await, Fire::NotDue);
    assert_eq!(w.snapshot().await, before);
}

pub async fn a_timer_that_stands_for_no_wait_is_put_right_when_it_is_fired(w: World<impl Ground>) {
    let (idle, waiting, newer) = (session("{x}1"), session("{x}2"), session("{x}3"));
    w.send(&idle, "hello").await;
    w.backing_off("w", &waiting, WAIT).await;
    let right = w.holds(&waiting).await.timers;
    w.backing_off("w", &newer, WAIT).await;
    w.meddle(&idle, Meddling::EnterTimers).await;
    w.meddle(&waiting, Meddling::EnterTimers).await;
    w.meddle(&newer, Meddling::NewerVersion).await;
    assert_eq!(fire(&w, &idle).await, Fire::NotDue);
    assert_eq!(fire(&w, &waiting).await, Fire::NotDue);
    let fired = w.store().fire(&newer, &pool("default")).await;
    assert!(matches!(fired, Err(StoreError::Unreadable { .. })), "{fired:?}");
    assert_eq!(w.holds(&waiting).await.timers, right, "none stands in front of those that are due");
}

// ---- survey

pub async fn a_survey_gives_due_timers_in_order_of_their_time(w: World<impl Ground>) {
    let at = session("{x}0");
    for (key, wait) in [("{x}1", 300), ("{x}2", 100), ("{x}3", 200), ("{x}4", 301)] {
        w.backing_off("w", &session(key), Duration::from_millis(wait)).await;
    }
    w.advance(Duration::from_millis(300));
    let found = survey(&w, &at).await;
    assert_eq!(found.now, w.now());
    assert_eq!(found.due, [session("{x}2"), session("{x}3"), session("{x}1")]);
}

pub async fn a_survey_tells_overdue_from_buried_and_both_from_living_workers(w: World<impl Ground>) {
    let at = session("a");
    for name in ["late", "dead"] {
        w.join(&at, name).await;
    }
    w.store().bury(w.partition(&at), &worker("dead"), Reason::OwnWish).await.unwrap();
    w.advance(LEASE);
    w.join(&at, "fresh").await;
    assert_eq!(survey(&w, &at).await.overdue, []);
    w.advance(MS);
    let found = survey(&w, &at).await;
    assert_eq!((found.overdue, found.buried), (vec![worker("late")], vec![worker("dead")]));
}

pub async fn a_deadline_further_away_than_its_lease_is_cut_to_that(w: World<impl Ground>) {
    let at = session("a");
    w.join(&at, "w").await;
    w.set_clock(tenure::model::Millis(w.now().0 - 3_600_000));
    let found = survey(&w, &at).await;
    assert_eq!(found.overdue, []);
    assert_eq!(w.holds(&at).await.workers[&worker("w")], Some(w.now().plus(LEASE)));
}

pub async fn the_buried_are_forgotten_after_a_day(w: World<impl Ground>) {
    let at = session("a");
    w.join(&at, "w").await;
    w.store().bury(w.partition(&at), &worker("w"), Reason::OwnWish).await.unwrap();
    w.advance(DAY);
    assert_eq!(survey(&w, &at).await.buried, [worker("w")]);
    w.advance(MS);
    assert_eq!(survey(&w, &at).await.buried, []);
    assert!(w.holds(&at).await.workers.is_empty());
}

pub async fn a_survey_changes_nothing_else(w: World<impl Ground>) {
    let s = session("a");
    w.backing_off("w", &s, WAIT).await;
    w.send(&session("{a}1"), "hello").await;
    w.advance(LEASE + MS);
    let before = w.snapshot().await;
    survey(&w, &s).await;
    assert_eq!(w.snapshot().await, before);
}

pub async fn a_survey_gives_ready_sessions_oldest_first_where_somebody_has_room(w: World<impl Ground>) {
    let keys = ["{x}2", "{x}1", "{x}3"];
    for key in keys {
        w.send(&session(key), "hello").await;
        w.advance(MS);
    }
    let at = session(keys[0]);
    assert!(survey(&w, &at).await.ready.is_empty(), "nobody could take them");
    w.join_with_load(&at, "w", 0).await;
    let mut found = survey(&w, &at).await.ready;
    assert_eq!(found.remove(&queue()), Some(keys.map(session).to_vec()));
    let elsewhere = w.store().survey(w.partition(&at), &[(pool("other"), echo())]).await.unwrap();
    assert!(elsewhere.ready.is_empty(), "another pool's sessions are not asked for");
}

pub async fn what_a_door_answers_is_left_to_nobody(w: World<impl Ground>) {
    let s = session("a");
    w.join(&s, "w").await;
    let refused = NewMessage { reply_to: Some(key("r")), body: too_large(), ..w.message(&s, "hello") };
    let id = StreamId { millis: 1, seq: 0 };
    let batch = [Relayed { id, what: RelayedKind::Message(Box::new(refused)) }];
    w.store().relay(w.partition(&s), Door::MAIN, None, &batch).await.unwrap();
    assert_eq!(to(&survey(&w, &s).await.out), ["r"]);
}

/// A body one byte over the limit.
fn too_large() -> Body {
    Body::text(&"x".repeat(Limits::default().body + 1 - Body::text("").as_json().len()))
}

pub async fn replies_are_left_to_their_writer_for_half_a_second_while_it_lives(w: World<impl Ground>) {
    let s = session("a");
    w.join(&s, "w").await;
    w.asked_again(&s, "r").await;
    let out = w.takes_a_turn("w", &s).await;
    w.advance(Duration::from_millis(500));
    assert_eq!(survey(&w, &s).await.out, []);
    w.advance(MS);
    assert_eq!(survey(&w, &s).await.out, out);
    w.asked_again(&s, "r2").await;
    w.takes_a_turn("w", &s).await;
    assert_eq!(to(&survey(&w, &s).await.out), ["r"]);
    w.store().bury(w.partition(&s), &worker("w"), Reason::OwnWish).await.unwrap();
    assert_eq!(to(&survey(&w, &s).await.out), ["r", "r2"], "the buried deliver nothing");
}

pub async fn a_reply_from_before_the_clock_went_back_is_left_to_nobody(w: World<impl Ground>) {
    let s = session("a");
    w.asked_again(&s, "r").await;
    w.join(&s, "w").await;
    w.takes_a_turn("w", &s).await;
    w.set_clock(tenure::model::Millis(w.now().0 - 3_600_000));
    assert_eq!(to(&survey(&w, &s).await.out), ["r"], "it would have to wait for an hour");
}

// ---- mend

pub async fn a_session_that_agrees_with_its_indexes_is_fine(w: World<impl Ground>) {
    let (unowned, owned, waiting) = (session("{x}1"), session("{x}2"), session("{x}3"));
    w.send(&unowned, "hello").await;
    w.claimed_with_mail("w", &owned).await;
    w.backing_off("w", &waiting, WAIT).await;
    let before = w.snapshot().await;
    assert_eq!(mend(&w, &unowned, None).await, Mend::Fine);
    assert_eq!(mend(&w, &owned, Some("w")).await, Mend::Fine);
    assert_eq!(mend(&w, &waiting, Some("w")).await, Mend::Fine);
    assert_eq!(w.snapshot().await, before);
}

pub async fn a_runnable_session_that_nobody_owns_goes_back_into_ready(w: World<impl Ground>) {
    let s = session("a");
    w.send(&s, "hello").await;
    w.meddle(&s, Meddling::LeaveReady).await;
    w.advance(MS);
    assert_eq!(mend(&w, &s, None).await, Mend::Mended);
    assert_eq!(w.ready_since(&s).await, Some(w.now()));
    assert_eq!(mend(&w, &s, None).await, Mend::Fine);
}

pub async fn a_session_that_is_owned_or_may_not_run_leaves_ready(w: World<impl Ground>) {
    let (owned, waiting) = (session("{x}1"), session("{x}2"));
    w.claimed_with_mail("w", &owned).await;
    let claimed = w.backing_off("w", &waiting, WAIT).await;
    w.released(&claimed.lease, Leaving::IfIdle).await;
    for (s, owner) in [(&owned, Some("w")), (&waiting, None)] {
        w.meddle(s, Meddling::EnterReady).await;
        assert_eq!(mend(&w, s, owner).await, Mend::Mended);
        assert!(!w.is_ready(s).await);
    }
}

pub async fn timers_are_made_to_agree_both_ways(w: World<impl Ground>) {
    let (waiting, other) = (session("{x}1"), session("{x}2"));
    w.backing_off("w", &waiting, WAIT).await;
    w.send(&other, "hello").await;
    let right = w.holds(&waiting).await.timers;
    w.meddle(&waiting, Meddling::LeaveTimers).await;
    w.meddle(&other, Meddling::EnterTimers).await;
    assert_eq!(mend(&w, &waiting, Some("w")).await, Mend::Mended);
    assert_eq!(mend(&w, &other, None).await, Mend::Mended);
    assert_eq!(w.holds(&waiting).await.timers, right);
    w.meddle(&waiting, Meddling::EnterTimers).await;
    assert_eq!(mend(&w, &waiting, Some("w")).await, Mend::Mended, "a wrong time is set right");
    assert_eq!(w.holds(&waiting).await.timers, right);
}

pub async fn held_and_the_index_get_back_what_they_lost(w: World<impl Ground>) {
    let s = session("a");
    w.claimed_with_mail("w", &s).await;
    for how in [Meddling::LeaveHeld, Meddling::LeaveIndex] {
        w.meddle(&s, how).await;
        assert_eq!(mend(&w, &s, Some("w")).await, Mend::Mended, "{how:?}");
    }
    assert!(w.holds_session("w", &s).await && w.holds(&s).await.index.contains(&s));
}

pub async fn an_owner_whose_own_is_missing_is_woken(w: World<impl Ground>) {
    let s = session("a");
    w.claimed_with_mail("w", &s).await;
    let mut hints = w.listen("w").await;
    mend(&w, &s, Some("w")).await;
    assert_eq!(w.heard(&mut hints).await, []);
    w.advance(OWN_TTL + MS);
    w.join(&s, "w").await;
    assert_eq!(mend(&w, &s, Some("w")).await, Mend::Fine, "its indexes agree");
    assert_eq!(w.heard(&mut hints).await, [Hint::Wake { session: s.clone(), mail: None }]);
}

pub async fn a_session_of_the_buried_is_an_orphan_and_left_to_the_reap(w: World<impl Ground>) {
    let s = session("a");
    w.claimed_with_mail("w", &s).await;
    w.let_leases_pass();
    assert_eq!(mend(&w, &s, Some("w")).await, Mend::Fine, "past its deadline is not buried");
    w.store().bury(w.partition(&s), &worker("w"), Reason::Overdue).await.unwrap();
    let before = w.snapshot().await;
    assert_eq!(mend(&w, &s, Some("w")).await, Mend::Orphan { of: worker("w") });
    assert_eq!(w.snapshot().await, before);
}

pub async fn mending_by_a_wrong_idea_changes_nothing_and_gives_the_right_one(w: World<impl Ground>) {
    let (owned, unowned) = (session("{x}1"), session("{x}2"));
    w.claimed_with_mail("w", &owned).await;
    w.send(&unowned, "hello").await;
    for s in [&owned, &unowned] {
        w.meddle(s, Meddling::LeaveIndex).await;
    }
    let before = w.snapshot().await;
    assert_eq!(mend(&w, &owned, None).await, Mend::OtherOwner(Some(worker("w"))));
    assert_eq!(mend(&w, &unowned, Some("w")).await, Mend::OtherOwner(None));
    let elsewhere = w.store().mend(&owned, &pool("other"), None, None).await.unwrap();
    assert_eq!(elsewhere, Mend::OtherPool(pool("default")), "pools are looked at first");
    assert_eq!(w.snapshot().await, before);
}

pub async fn a_session_never_claimed_moves_home_and_a_claimed_one_stays(w: World<impl Ground>) {
    let (fresh, claimed) = (session("{x}1"), session("{x}2"));
    w.send(&fresh, "hello").await;
    w.claimed_with_mail("w", &claimed).await;
    let home = pool("home");
    let go_home = async |s, owner: Option<&str>| {
        let owner = owner.map(worker);
        w.store().mend(s, &pool("default"), owner.as_ref(), Some(&home)).await.unwrap()
    };
    assert_eq!(go_home(&fresh, None).await, Mend::Mended);
    assert_eq!(go_home(&claimed, Some("w")).await, Mend::Fine);
    assert_eq!((w.record(&fresh).await.pool, w.record(&claimed).await.pool), (pool("home"), pool("default")));
    assert!(!w.is_ready(&fresh).await);
    assert!(w.holds(&fresh).await.ready[&(pool("home"), echo())].contains_key(&fresh));
    let again = w.store().mend(&fresh, &home, None, Some(&home)).await.unwrap();
    assert_eq!(again, Mend::Fine);
}

pub async fn a_session_that_is_gone_leaves_the_indexes(w: World<impl Ground>) {
    let s = session("a");
    w.claimed_with_mail("w", &s).await;
    // Deleted by somebody who did not know its owner.
    w.store().delete(&s, &pool("default"), None).await.unwrap();
    assert!(w.holds_session("w", &s).await);
    assert_eq!(mend(&w, &s, Some("w")).await, Mend::Absent);
    assert!(!w.holds_session("w", &s).await);
}
