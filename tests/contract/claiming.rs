//! `claim`: who gets a session.

use std::time::Duration;

use tenure::{
    model::{Epoch, Millis},
    store::{
        Boundary, Claim, Claimant, Commit, DutyWish, Ground as Reason, Leaving, Overdue, Presence, Purpose,
        Reckoning, Run, StateChange, Store, memory::Meddling,
    },
};

use super::{ground::Ground, world::*};

pub async fn a_claimant_that_is_buried_or_unknown_is_lost_before_all_else(w: World<impl Ground>) {
    let s = session("none");
    assert_eq!(w.claims("stranger", &s).await, Claim::Lost);
    w.join(&s, "w").await;
    w.store().bury(w.partition(&s), &worker("w"), Reason::OwnWish).await.unwrap();
    assert_eq!(w.claims("w", &s).await, Claim::Lost);
}

pub async fn a_claimant_past_its_deadline_but_not_buried_is_fine(w: World<impl Ground>) {
    let s = session("a");
    w.join(&s, "w").await;
    w.send(&s, "hello").await;
    w.let_leases_pass();
    w.claimed("w", &s).await;
}

pub async fn a_session_that_is_not_there_is_absent_and_leaves_ready(w: World<impl Ground>) {
    let s = session("a");
    w.join(&s, "w").await;
    w.send(&s, "hello").await;
    // Deleted by somebody with another idea of its pool: its place in `ready` was missed.
    w.store().delete(&s, &pool("other"), None).await.unwrap();
    assert!(w.is_ready(&s).await);
    assert_eq!(w.claims("w", &s).await, Claim::Absent);
    assert!(!w.is_ready(&s).await);
}

pub async fn a_session_of_a_newer_version_leaves_ready_and_is_left_alone(w: World<impl Ground>) {
    let s = session("a");
    w.join_with_load(&s, "w", 0).await;
    w.send(&s, "hello").await;
    w.meddle(&s, Meddling::NewerVersion).await;
    let ready = async || w.store().survey(w.partition(&s), &[queue()]).await.unwrap().ready;
    // Offering it found nobody to hear, and so took the only worker with room out of `idle`.
    w.join_with_load(&s, "w", 0).await;
    assert_eq!(ready().await.remove(&queue()), Some(vec![s.clone()]));
    assert!(matches!(w.claims("w", &s).await, Claim::Unreadable(_)));
    assert!(ready().await.is_empty());
}

pub async fn a_claim_hands_out_all_that_is_needed_to_start(w: World<impl Ground>) {
    let s = session("a");
    let (first, message) = w.claimed_with_mail("w", &s).await;
    let boundary = Boundary { state: StateChange::Set("[7]".into()), ..w.turn_of(&first.record, &message) };
    w.committed(&first.lease, &boundary).await;
    w.released(&first.lease, Leaving::IfIdle).await;
    let sent = [w.send(&s, "two").await, w.send(&s, "three").await, w.send(&s, "four").await];
    let claimant = w.claimant("w");
    w.advance(MS);
    let Claim::Won(claimed) = w.store().claim(&s, &claimant, 2).await.unwrap() else { panic!("it was free") };
    assert_eq!(claimed.lease.session(), &s);
    assert_eq!(claimed.lease.token().worker, worker("w"));
    assert_eq!(claimed.lease.token().nonce, claimant.nonce);
    assert_eq!(claimed.lease.epoch(), Epoch(w.now().0));
    assert_eq!(claimed.record, w.record(&s).await, "the record as it stands after the claim");
    assert_eq!((claimed.record.seq, claimed.record.turns), (2, 1));
    assert_eq!(claimed.state.as_deref(), Some("[7]"));
    let page: Vec<_> = messages(&claimed.mail).iter().map(|m| m.message).collect();
    assert_eq!(page, [sent[0].message, sent[1].message], "a page of mail and no more");
}

pub async fn a_claim_sets_own_and_held_and_leaves_ready(w: World<impl Ground>) {
    let s = session("a");
    let (claimed, _) = w.claimed_with_mail("w", &s).await;
    assert_eq!(w.seen(&s).await.own.as_ref(), Some(claimed.lease.token()));
    assert_eq!(w.record(&s).await.owner.as_ref(), Some(claimed.lease.token()));
    assert!(w.holds_session("w", &s).await);
    assert!(!w.is_ready(&s).await);
}

pub async fn own_lapses_after_its_time_and_the_owner_stays_the_owner(w: World<impl Ground>) {
    let s = session("a");
    let (claimed, _) = w.claimed_with_mail("w", &s).await;
    w.advance(OWN_TTL);
    assert!(w.seen(&s).await.own.is_some());
    w.advance(MS);
    assert!(w.seen(&s).await.own.is_none());
    assert_eq!(w.record(&s).await.owner.as_ref(), Some(claimed.lease.token()));
}

pub async fn a_claim_with_the_same_nonce_gets_the_same_lease_again(w: World<impl Ground>) {
    let s = session("a");
    w.join(&s, "w").await;
    w.send(&s, "hello").await;
    let claimant = w.claimant("w");
    let Claim::Won(first) = w.claims_as(&claimant, &s).await else { panic!("it was free") };
    w.advance(MS);
    w.meddle(&s, Meddling::DeleteOwn).await;
    let again = Claimant { pool: pool("other"), ..claimant };
    assert_eq!(w.claims_as(&again, &s).await, Claim::Won(first), "whatever pool it names");
    assert!(w.seen(&s).await.own.is_some(), "own is set again");
}

pub async fn a_session_of_another_pool_is_not_claimed(w: World<impl Ground>) {
    let s = session("a");
    w.join(&s, "w").await;
    w.send(&s, "hello").await;
    let before = w.snapshot().await;
    let elsewhere = Claimant { pool: pool("other"), ..w.claimant("w") };
    assert_eq!(w.claims_as(&elsewhere, &s).await, Claim::OtherPool(pool("default")));
    assert_eq!(w.snapshot().await, before);
}

pub async fn an_owner_within_its_deadline_keeps_its_session(w: World<impl Ground>) {
    let s = session("a");
    w.claimed_with_mail("w", &s).await;
    w.join(&s, "v").await;
    w.advance(LEASE);
    let before = w.snapshot().await;
    assert_eq!(w.claims("v", &s).await, Claim::Held { by: worker("w") }, "at the deadline itself too");
    assert_eq!(w.snapshot().await, before);
}

pub async fn an_owner_past_its_deadline_is_buried_by_a_claim_unless_it_is_spared(w: World<impl Ground>) {
    let s = session("a");
    let presence = Presence { duty: DutyWish::Take, load: Some(0), ..w.presence("w") };
    w.join_as(&s, &presence).await;
    w.send(&s, "hello").await;
    let old = w.claimed("w", &s).await;
    w.join(&s, "v").await;
    w.let_leases_pass();
    let before = w.snapshot().await;
    let sparing = Claimant { overdue: Overdue::Spare, ..w.claimant("v") };
    assert_eq!(w.claims_as(&sparing, &s).await, Claim::Held { by: worker("w") });
    assert_eq!(w.snapshot().await, before);

    let new = w.claimed("v", &s).await;
    assert!(new.lease.epoch() > old.lease.epoch());
    assert_eq!(new.record.crashes.len(), 1);
    let held = w.holds(&s).await;
    assert_eq!((held.workers[&worker("w")], held.duty), (None, None), "buried, and its duty free");
    assert!(w.idle(&s).await.is_empty(), "nothing is offered to it any more");
    assert!(w.holds_session("w", &s).await, "what it held waits for the reap");
    assert_eq!(w.commits(&old.lease, &w.boundary(&old.record)).await, Commit::Lost);
}

pub async fn an_owner_past_its_deadline_is_spared_where_the_server_is_not_as_the_claimant_reckons(
    w: World<impl Ground>,
) {
    let s = session("a");
    w.claimed_with_mail("w", &s).await;
    w.join(&s, "v").await;
    w.let_leases_pass();
    w.join(&s, "v").await;
    let before = w.snapshot().await;
    let now = w.reckoning(w.now()).await;
    let early = Reckoning { until: w.now().minus(MS), ..now };
    let other = Reckoning { run: Run::named("another"), ..now };
    for reckoning in [early, other] {
        let claimant = Claimant { overdue: Overdue::BuryUnder(reckoning), ..w.claimant("v") };
        assert_eq!(w.claims_as(&claimant, &s).await, Claim::Held { by: worker("w") }, "{reckoning:?}");
        assert_eq!(w.snapshot().await, before);
    }
    let claimant = Claimant { overdue: Overdue::BuryUnder(now), ..w.claimant("v") };
    assert!(matches!(w.claims_as(&claimant, &s).await, Claim::Won(_)));
}

pub async fn an_owner_that_is_buried_or_unknown_is_as_good_as_none(w: World<impl Ground>) {
    for (key, forget) in [("buried", false), ("unknown", true)] {
        let s = session(key);
        let owner = format!("owner-of-{key}");
        w.claimed_with_mail(&owner, &s).await;
        w.store().bury(w.partition(&s), &worker(&owner), Reason::OwnWish).await.unwrap();
        if forget {
            w.advance(DAY + MS);
            w.store().survey(w.partition(&s), &[]).await.unwrap();
            assert!(!w.holds(&s).await.workers.contains_key(&worker(&owner)));
        }
        w.join(&s, "v").await;
        let sparing = Claimant { overdue: Overdue::Spare, ..w.claimant("v") };
        let Claim::Won(claimed) = w.claims_as(&sparing, &s).await else { panic!("its owner is gone") };
        assert_eq!((claimed.record.crashes.len(), claimed.record.orphaned), (1, None));
        assert_eq!(claimed.record.last_owner, Some(worker(&owner)));
    }
}

pub async fn a_claim_supersedes_the_claimants_own_older_one_even_with_nothing_to_run(w: World<impl Ground>) {
    let s = session("a");
    let (old, message) = w.claimed_with_mail("w", &s).await;
    w.committed(&old.lease, &w.turn_of(&old.record, &message)).await;
    let new = w.claimed("w", &s).await;
    assert!(new.lease.epoch() > old.lease.epoch());
    assert!(new.record.crashes.is_empty(), "nobody died");
    assert_eq!(w.commits(&old.lease, &w.boundary(&new.record)).await, Commit::Fenced);
}

pub async fn a_session_with_nothing_to_run_is_not_claimed_and_leaves_ready(w: World<impl Ground>) {
    let s = session("a");
    let (claimed, message) = w.claimed_with_mail("w", &s).await;
    w.committed(&claimed.lease, &w.turn_of(&claimed.record, &message)).await;
    w.released(&claimed.lease, Leaving::IfIdle).await;
    w.meddle(&s, Meddling::EnterReady).await;
    assert_eq!(w.claims("w", &s).await, Claim::NothingToDo);
    assert!(!w.is_ready(&s).await);
}

pub async fn a_dead_owner_of_a_session_with_nothing_to_run_is_cleared_and_nothing_crashed(
    w: World<impl Ground>,
) {
    let s = session("a");
    let (claimed, message) = w.claimed_with_mail("w", &s).await;
    w.committed(&claimed.lease, &w.turn_of(&claimed.record, &message)).await;
    w.let_leases_pass();
    w.join(&s, "v").await;
    assert_eq!(w.claims("v", &s).await, Claim::NothingToDo);
    let record = w.record(&s).await;
    assert_eq!((record.owner, record.last_owner, record.orphaned), (None, Some(worker("w")), None));
    assert_eq!(w.seen(&s).await.own, None);
}

pub async fn an_epoch_is_the_claims_time_greater_than_the_last_and_not_before_what_was_seen(
    w: World<impl Ground>,
) {
    let s = session("a");
    let (first, _) = w.claimed_with_mail("w", &s).await;
    assert_eq!(first.lease.epoch(), Epoch(w.now().0));
    let again = w.claimed("w", &s).await;
    assert_eq!(again.lease.epoch(), Epoch(w.now().0 + 1), "within one millisecond");
    let now = w.now();
    w.set_clock(Millis(now.0 - 3_600_000));
    let back = w.claimed("w", &s).await;
    assert_eq!(back.lease.epoch(), Epoch(now.0 + 2), "when the server's clock went back");
    let seen = Claimant { seen: Epoch(now.0 + 500), ..w.claimant("w") };
    let Claim::Won(restored) = w.claims_as(&seen, &s).await else { panic!("its own") };
    assert_eq!(restored.lease.epoch(), Epoch(now.0 + 500), "when the claimant saw a greater one here");
    w.set_clock(now.plus(Duration::from_secs(1)));
    assert_eq!(w.claimed("w", &s).await.lease.epoch(), Epoch(w.now().0));
}

pub async fn a_session_made_again_gets_no_epoch_before_what_the_claimant_saw(w: World<impl Ground>) {
    let s = session("a");
    let (first, _) = w.claimed_with_mail("w", &s).await;
    w.store().delete(&s, &pool("default"), Some(&worker("w"))).await.unwrap();
    w.send(&s, "anew").await;
    w.set_clock(Millis(w.now().0 - 1));
    let claimant = Claimant { seen: first.lease.epoch(), ..w.claimant("w") };
    let Claim::Won(again) = w.claims_as(&claimant, &s).await else { panic!("it was free") };
    assert_eq!(again.lease.epoch(), first.lease.epoch().max(Epoch(w.now().0)));
    assert_eq!(w.commits(&first.lease, &w.boundary(&again.record)).await, Commit::Fenced);
}

pub async fn what_was_lost_of_a_session_can_be_written_down_where_there_is_nothing_to_run(
    w: World<impl Ground>,
) {
    let s = session("a");
    let reporter = Claimant { purpose: Purpose::Report, ..w.claimant("v") };
    w.join(&s, "v").await;
    assert_eq!(w.claims_as(&reporter, &s).await, Claim::Absent, "it makes none");
    let (claimed, message) = w.claimed_with_mail("w", &s).await;
    assert!(matches!(w.claims_as(&reporter, &s).await, Claim::Held { .. }), "and robs nobody");
    w.committed(&claimed.lease, &w.turn_of(&claimed.record, &message)).await;
    w.released(&claimed.lease, Leaving::IfIdle).await;
    assert_eq!(w.claims("v", &s).await, Claim::NothingToDo);
    let Claim::Won(won) = w.claims_as(&reporter, &s).await else { panic!("nobody has it") };
    assert!(won.mail.is_empty());
    w.released(&won.lease, Leaving::IfIdle).await;
}

pub async fn a_hand_off_is_no_crash(w: World<impl Ground>) {
    let s = session("a");
    let (claimed, _) = w.claimed_with_mail("w", &s).await;
    w.released(&claimed.lease, Leaving::HandOff).await;
    w.join(&s, "v").await;
    assert!(w.claimed("v", &s).await.record.crashes.is_empty());
}
