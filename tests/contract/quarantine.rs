//! Sessions that kill their owners: counted, suspected, set aside, freed.

use tenure::{
    model::{Cause, Crash, Hold, SessionId},
    store::memory::Meddling,
    store::{
        Boundary, Claim, Claimant, Claimed, FirstMessage, Free, Ground as Reason, Hint, Leaving, Mail, Reap,
        Sent, Store, Suspect,
    },
};

use super::{ground::Ground, world::*};

/// `name` dies, and its death is noticed.
async fn dies(w: &World<impl Ground>, name: &str, s: &SessionId) {
    w.store().bury(w.partition(s), &worker(name), Reason::OwnWish).await.unwrap();
    assert_eq!(
        w.store().reap(s, &worker(name), &pool("default")).await.unwrap(),
        Reap::Reaped { runnable: true }
    );
}

/// A session with mail that killed `w1` to `w<deaths>`, and has no owner.
async fn killed(w: &World<impl Ground>, s: &SessionId, deaths: u64) {
    w.send(s, "hello").await;
    for n in 1..=deaths {
        w.join(s, &format!("w{n}")).await;
        w.claimed(&format!("w{n}"), s).await;
        dies(w, &format!("w{n}"), s).await;
    }
    w.join(s, "v").await;
}

async fn free(w: &World<impl Ground>, s: &SessionId, first: FirstMessage) -> Free {
    w.store().free(s, &pool("default"), first).await.unwrap()
}

/// A claim by somebody who owns a suspect already.
async fn claims_as_if_busy(w: &World<impl Ground>, s: &SessionId) -> Claim {
    w.claims_as(&Claimant { suspect: Suspect::Leave, ..w.claimant("v") }, s).await
}

async fn quarantined(w: &World<impl Ground>, s: &SessionId) {
    killed(w, s, 3).await;
    assert!(matches!(w.claims("v", s).await, Claim::Quarantined { .. }));
}

pub async fn each_death_with_work_in_hand_is_written_down_by_the_claim_after_it(w: World<impl Ground>) {
    let s = session("a");
    w.claimed_with_mail("w1", &s).await;
    w.advance(MS);
    let noticed = w.now();
    dies(&w, "w1", &s).await;
    assert!(w.record(&s).await.crashes.is_empty(), "nobody has claimed it since");
    w.advance(MS);
    w.join(&s, "v").await;
    let claimed = w.claimed("v", &s).await;
    assert_eq!(claimed.record.crashes, [Crash { time: noticed, worker: worker("w1") }]);
    let again = w.claimed("v", &s).await;
    assert_eq!(again.record.crashes.len(), 1, "its own newer claim is no crash");
}

pub async fn a_death_that_only_the_claim_notices_is_written_down_as_well(w: World<impl Ground>) {
    let s = session("a");
    w.claimed_with_mail("w1", &s).await;
    w.let_leases_pass();
    w.join(&s, "v").await;
    let claimed = w.claimed("v", &s).await;
    assert_eq!(claimed.record.crashes, [Crash { time: w.now(), worker: worker("w1") }]);
}

pub async fn a_commit_clears_the_crashes(w: World<impl Ground>) {
    let s = session("a");
    killed(&w, &s, 2).await;
    let claimed = w.claimed("v", &s).await;
    assert_eq!(claimed.record.crashes.len(), 2);
    let failed = Boundary { backoff: Some(MS), tries: 1, ..w.boundary(&claimed.record) };
    w.committed(&claimed.lease, &failed).await;
    assert!(w.record(&s).await.crashes.is_empty());
}

pub async fn a_suspect_is_left_to_wait_behind_the_others_by_who_owns_another(w: World<impl Ground>) {
    let s = session("a");
    killed(&w, &s, 2).await;
    let before = w.record(&s).await;
    w.advance(MS);
    assert_eq!(claims_as_if_busy(&w, &s).await, Claim::Suspect);
    assert_eq!(w.record(&s).await, before);
    assert_eq!(w.ready_since(&s).await, Some(w.now()));
    let claimed = w.claimed("v", &s).await;
    assert_eq!(claimed.record.crashes.len(), 2, "counted once");
}

pub async fn one_death_makes_no_suspect(w: World<impl Ground>) {
    let s = session("a");
    killed(&w, &s, 1).await;
    assert!(matches!(claims_as_if_busy(&w, &s).await, Claim::Won(_)));
}

pub async fn a_suspect_that_is_handed_off_is_still_one(w: World<impl Ground>) {
    let s = session("a");
    killed(&w, &s, 2).await;
    let claimed = w.claimed("v", &s).await;
    w.released(&claimed.lease, Leaving::HandOff).await;
    assert_eq!(claims_as_if_busy(&w, &s).await, Claim::Suspect);
}

pub async fn a_suspect_whose_death_only_the_claim_notices_is_left_ready(w: World<impl Ground>) {
    let s = session("a");
    killed(&w, &s, 1).await;
    w.claimed("v", &s).await;
    w.let_leases_pass();
    w.join(&s, "u").await;
    let claimant = Claimant { suspect: Suspect::Leave, ..w.claimant("u") };
    assert_eq!(w.claims_as(&claimant, &s).await, Claim::Suspect);
    assert!(w.is_ready(&s).await);
    assert_eq!(w.record(&s).await.owner, None);
}

pub async fn a_claimants_own_suspect_is_granted_again_to_the_same_claim_only(w: World<impl Ground>) {
    let s = session("a");
    killed(&w, &s, 2).await;
    let claimant = w.claimant("v");
    let Claim::Won(claimed) = w.claims_as(&claimant, &s).await else { panic!("it was free") };
    let repeat = Claimant { suspect: Suspect::Leave, ..claimant };
    let Claim::Won(again) = w.claims_as(&repeat, &s).await else { panic!("the same claim") };
    assert_eq!(again.lease.token(), claimed.lease.token());
    assert_eq!(claims_as_if_busy(&w, &s).await, Claim::Suspect);
    assert_eq!(w.record(&s).await.owner.as_ref(), Some(claimed.lease.token()), "it stays the owner");
}

pub async fn the_third_death_quarantines_and_keeps_the_mail(w: World<impl Ground>) {
    let s = session("a");
    killed(&w, &s, 3).await;
    let answer = claims_as_if_busy(&w, &s).await;
    let Claim::Quarantined { reason } = answer else { panic!("{answer:?}") };
    assert!(reason.contains("w3"), "{reason}");
    let seen = w.seen(&s).await;
    assert_eq!(seen.record.hold, Some(Hold::Quarantined { cause: Cause::Poison, reason }));
    let died: Vec<_> = seen.record.crashes.iter().map(|crash| crash.worker.as_str()).collect();
    assert_eq!(died, ["w1", "w2", "w3"]);
    assert_eq!((seen.inbox.len(), seen.record.orphaned, seen.record.owner), (1, None, None));
    assert!(!w.is_ready(&s).await);
    assert_eq!(w.claims("v", &s).await, Claim::NothingToDo);
    let sent = w.sent(&w.message(&s, "more")).await;
    assert!(matches!(sent, Sent::Accepted { .. }), "mail is kept: {sent:?}");
    assert!(!w.is_ready(&s).await);
}

pub async fn a_freed_session_goes_on_as_if_nothing_had_happened(w: World<impl Ground>) {
    let s = session("a");
    quarantined(&w, &s).await;
    w.join_with_load(&s, "u", 0).await;
    let mut hints = w.listen("u").await;
    assert_eq!(free(&w, &s, FirstMessage::Keep).await, Free::Freed);
    let record = w.record(&s).await;
    assert_eq!((record.hold, record.crashes.len(), record.tries, record.dropped), (None, 0, 0, None));
    assert!(w.is_ready(&s).await);
    assert_eq!(w.heard(&mut hints).await, [Hint::Offer { session: s.clone() }]);
    assert!(matches!(claims_as_if_busy(&w, &s).await, Claim::Won(_)), "it is no suspect");
    assert_eq!(free(&w, &s, FirstMessage::Keep).await, Free::NotQuarantined);
}

pub async fn a_session_freed_without_its_first_message_says_which_that_was(w: World<impl Ground>) {
    let s = session("a");
    quarantined(&w, &s).await;
    w.send(&s, "second").await;
    assert_eq!(free(&w, &s, FirstMessage::Drop).await, Free::Freed);
    let Claimed { record, mail, .. } = w.claimed("v", &s).await;
    let first = first_message(&mail);
    assert_eq!(record.dropped, Some(first.number));
    assert_eq!(mail.len(), 2, "the next owner gives up on it");
}

pub async fn what_is_quarantined_and_still_owned_is_not_freed(w: World<impl Ground>) {
    let s = session("a");
    let (claimed, _) = w.claimed_with_mail("w", &s).await;
    let why = (Cause::Unreadable, "a reason".to_owned());
    let boundary = Boundary { quarantine: Some(why), ..w.boundary(&claimed.record) };
    w.committed(&claimed.lease, &boundary).await;
    let before = w.snapshot().await;
    assert_eq!(free(&w, &s, FirstMessage::Keep).await, Free::Owned(worker("w")));
    assert_eq!(w.snapshot().await, before);
    w.released(&claimed.lease, Leaving::IfIdle).await;
    assert_eq!(free(&w, &s, FirstMessage::Keep).await, Free::Freed);
    assert!(w.is_ready(&s).await);
}

pub async fn what_is_not_quarantined_elsewhere_or_absent_is_not_freed(w: World<impl Ground>) {
    let s = session("a");
    assert_eq!(free(&w, &s, FirstMessage::Drop).await, Free::Absent);
    w.send(&s, "hello").await;
    let before = w.snapshot().await;
    assert_eq!(free(&w, &s, FirstMessage::Drop).await, Free::NotQuarantined);
    let elsewhere = w.store().free(&s, &pool("other"), FirstMessage::Drop).await.unwrap();
    assert_eq!(elsewhere, Free::OtherPool(pool("default")));
    assert_eq!(w.snapshot().await, before);
    w.meddle(&s, Meddling::NewerVersion).await;
    assert!(w.store().free(&s, &pool("default"), FirstMessage::Keep).await.is_err());
}

pub async fn a_freed_session_without_mail_is_not_ready(w: World<impl Ground>) {
    let s = session("a");
    let (claimed, message) = w.claimed_with_mail("w", &s).await;
    let why = (Cause::Unreadable, "a reason".to_owned());
    let boundary = Boundary { quarantine: Some(why), ..w.turn_of(&claimed.record, &message) };
    let (_, mail) = w.committed(&claimed.lease, &boundary).await;
    assert_eq!(mail, Vec::<Mail>::new());
    w.released(&claimed.lease, Leaving::IfIdle).await;
    assert_eq!(free(&w, &s, FirstMessage::Keep).await, Free::Freed);
    assert!(!w.is_ready(&s).await);
}
