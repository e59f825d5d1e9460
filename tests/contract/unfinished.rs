//! Turns in the middle: what a boundary makes of them, and what becomes of them when their owner dies.

use std::time::Duration;

use tenure::{
    model::{Lease, NewMessage, Resume, SessionId, Unfinished},
    store::{
        Boundary, Claim, Claimed, Commit, FirstMessage, Free, Ground as Reason, Head, Hint, Leaving, Proceed,
        Reap, Release, Revive, Sent, StateChange, Store, memory::Meddling,
    },
};

use super::{ground::Ground, world::*};

/// A boundary in the middle of the turn of a claim's first message, by an agent that is `resume`.
fn middle(w: &World<impl Ground>, claimed: &Claimed, resume: Resume) -> Boundary {
    let message = first_message(&claimed.mail);
    let mut entries = w.turn_of(&claimed.record, &message).entries;
    entries.truncate(1);
    let unfinished = Some(Unfinished { boundaries: 1, resume });
    Boundary { unfinished, entries, state: StateChange::Set("[1]".into()), ..w.boundary(&claimed.record) }
}

/// `name` has `s`, in the middle of the turn of its only message.
async fn in_the_middle(w: &World<impl Ground>, name: &str, s: &SessionId, resume: Resume) -> Claimed {
    let (claimed, _) = w.claimed_with_mail(name, s).await;
    w.committed(&claimed.lease, &middle(w, &claimed, resume)).await;
    claimed
}

async fn dies(w: &World<impl Ground>, name: &str, s: &SessionId) -> Reap {
    w.store().bury(w.partition(s), &worker(name), Reason::OwnWish).await.unwrap();
    w.store().reap(s, &worker(name), &pool("default")).await.unwrap()
}

/// `s` is suspended: its owner died in the middle of a lazy turn.
async fn suspended(w: &World<impl Ground>, s: &SessionId) {
    in_the_middle(w, "w", s, Resume::Lazy).await;
    assert_eq!(dies(w, "w", s).await, Reap::Reaped { runnable: false });
}

async fn proceed(w: &World<impl Ground>, s: &SessionId) -> Proceed {
    w.store().proceed(s, &pool("default")).await.unwrap()
}

fn after(boundaries: u64, resume: Resume) -> Option<Unfinished> {
    Some(Unfinished { boundaries, resume })
}

pub async fn an_eager_session_of_the_dead_is_ready_before_others_whatever_its_agent(w: World<impl Ground>) {
    let own = |resume| NewMessage { resume, ..w.message(&session("a"), "hello") };
    for (name, key, agents, its_own, ahead) in [
        ("u", "{a}1", Resume::Eager, None, true),
        ("v", "{a}2", Resume::Lazy, Some(Resume::Eager), true),
        ("w", "{a}3", Resume::Eager, Some(Resume::Lazy), false),
    ] {
        let s = session(key);
        w.accepted(NewMessage { session: s.clone(), ..own(its_own) }).await;
        w.join(&s, name).await;
        let claimed = w.claimed(name, &s).await;
        w.committed(&claimed.lease, &middle(&w, &claimed, agents)).await;
        w.send(&s, "and").await;
        assert_eq!(dies(&w, name, &s).await, Reap::Reaped { runnable: true });
        let since = if ahead { w.now().minus(Duration::from_secs(1)) } else { w.now() };
        assert_eq!(w.ready_since(&s).await, Some(since), "{key}");
    }
}

pub async fn a_boundary_in_the_middle_keeps_its_message_and_is_known_to_the_next_owner(
    w: World<impl Ground>,
) {
    let s = session("a");
    let first = in_the_middle(&w, "w", &s, Resume::Lazy).await;
    let message = first_message(&first.mail);
    assert_eq!(w.record(&s).await.unfinished, after(1, Resume::Lazy));
    assert_eq!(w.released(&first.lease, Leaving::HandOff).await, Release::Released);
    w.join(&s, "v").await;
    let next = w.claimed("v", &s).await;
    assert_eq!((next.record.unfinished, next.record.turns), (after(1, Resume::Lazy), 0));
    assert_eq!((next.state.as_deref(), first_message(&next.mail)), (Some("[1]"), message.clone()));
    w.committed(&next.lease, &w.turn_of(&next.record, &message)).await;
    let record = w.record(&s).await;
    assert_eq!((record.unfinished, record.turns, record.taken), (None, 1, 1), "its end is the end of it");
}

pub async fn a_server_that_lost_a_boundary_is_behind(w: World<impl Ground>) {
    let s = session("a");
    let claimed = in_the_middle(&w, "w", &s, Resume::Lazy).await;
    let before = w.snapshot().await;
    let record = w.record(&s).await;
    let message = first_message(&claimed.mail);
    for boundaries in [0, 2] {
        // As many entries as the writer knows of: the second boundary appended none.
        let next =
            Boundary { boundaries, unfinished: after(boundaries + 1, Resume::Lazy), ..w.boundary(&record) };
        assert_eq!(w.commits(&claimed.lease, &next).await, Commit::Behind { seq: 1 });
        let end = Boundary { boundaries, ..w.turn_of(&record, &message) };
        assert_eq!(w.commits(&claimed.lease, &end).await, Commit::Behind { seq: 1 });
    }
    assert_eq!(w.snapshot().await, before);
}

pub async fn a_boundary_of_a_turn_whose_message_is_not_at_the_head_is_behind(w: World<impl Ground>) {
    let s = session("a");
    let (claimed, message) = w.claimed_with_mail("w", &s).await;
    let before = w.snapshot().await;
    let heads = [Head { number: 1, message: w.name() }, Head { number: 2, message: message.message }];
    for of in heads {
        for page in [0, PAGE] {
            let other = Boundary { of: Some(of), page, ..middle(&w, &claimed, Resume::Lazy) };
            assert_eq!(w.commits(&claimed.lease, &other).await, Commit::Behind { seq: 0 });
        }
    }
    assert_eq!(w.snapshot().await, before);
    for (number, page) in [(1, PAGE), (2, 0)] {
        let of = Some(Head { number: 1, message: message.message });
        let unfinished = after(number, Resume::Lazy);
        let boundary = Boundary { of, page, unfinished, ..w.boundary(&w.record(&s).await) };
        let (_, mail) = w.committed(&claimed.lease, &boundary).await;
        assert_eq!(messages(&mail).len(), page.min(1), "it stays at the head");
    }
}

pub async fn a_failed_run_keeps_the_boundaries_before_it(w: World<impl Ground>) {
    let s = session("a");
    let claimed = in_the_middle(&w, "w", &s, Resume::Eager).await;
    let record = w.record(&s).await;
    let failed =
        Boundary { backoff: Some(MS), tries: 1, unfinished: record.unfinished, ..w.boundary(&record) };
    w.committed(&claimed.lease, &failed).await;
    let record = w.record(&s).await;
    assert_eq!((record.unfinished, record.tries), (after(1, Resume::Eager), 1));
}

pub async fn an_eager_turn_in_the_middle_is_ready_when_its_owner_is_dead(w: World<impl Ground>) {
    let s = session("a");
    in_the_middle(&w, "w", &s, Resume::Eager).await;
    w.join_with_load(&s, "v", 0).await;
    let mut hints = w.listen("v").await;
    assert_eq!(dies(&w, "w", &s).await, Reap::Reaped { runnable: true });
    assert!(w.is_ready(&s).await && w.record(&s).await.suspended.is_none());
    assert_eq!(w.heard(&mut hints).await, [Hint::Offer { session: s.clone() }]);
}

pub async fn a_lazy_turn_in_the_middle_is_suspended_when_its_owner_is_dead(w: World<impl Ground>) {
    let s = session("a");
    in_the_middle(&w, "w", &s, Resume::Lazy).await;
    w.join_with_load(&s, "v", 0).await;
    let mut hints = w.listen("v").await;
    w.advance(MS);
    assert_eq!(dies(&w, "w", &s).await, Reap::Reaped { runnable: false });
    let record = w.record(&s).await;
    assert_eq!((record.suspended, record.orphaned, record.owner), (Some(w.now()), Some(w.now()), None));
    assert!(!w.is_ready(&s).await);
    assert_eq!(w.heard(&mut hints).await, []);
    assert_eq!(w.claims("v", &s).await, Claim::NothingToDo, "nobody takes it");
    assert_eq!(w.seen(&s).await.inbox.len(), 1, "its message is kept");
}

pub async fn a_sessions_own_policy_is_over_its_agents(w: World<impl Ground>) {
    for (key, agents, own, runnable) in
        [("a", Resume::Lazy, Resume::Eager, true), ("b", Resume::Eager, Resume::Lazy, false)]
    {
        let s = session(key);
        w.join(&s, key).await;
        w.accepted(NewMessage { resume: Some(own), ..w.message(&s, "hello") }).await;
        let claimed = w.claimed(key, &s).await;
        w.committed(&claimed.lease, &middle(&w, &claimed, agents)).await;
        assert_eq!(dies(&w, key, &s).await, Reap::Reaped { runnable });
    }
}

pub async fn a_lazy_message_without_a_boundary_is_mail(w: World<impl Ground>) {
    let s = session("a");
    w.join(&s, "w").await;
    w.accepted(NewMessage { resume: Some(Resume::Lazy), ..w.message(&s, "hello") }).await;
    w.claimed("w", &s).await;
    assert_eq!(dies(&w, "w", &s).await, Reap::Reaped { runnable: true });
}

pub async fn a_lazy_turn_with_mail_behind_it_does_not_wait_for_more(w: World<impl Ground>) {
    let s = session("a");
    in_the_middle(&w, "w", &s, Resume::Lazy).await;
    w.send(&s, "the next").await;
    assert_eq!(dies(&w, "w", &s).await, Reap::Reaped { runnable: true });
    assert!(w.record(&s).await.suspended.is_none());
}

pub async fn a_death_that_only_the_claim_notices_suspends_as_well(w: World<impl Ground>) {
    let s = session("a");
    in_the_middle(&w, "w", &s, Resume::Lazy).await;
    w.let_leases_pass();
    w.join(&s, "v").await;
    assert_eq!(w.claims("v", &s).await, Claim::NothingToDo);
    let record = w.record(&s).await;
    assert_eq!((record.owner, record.suspended), (None, Some(w.now())));
    assert!(!w.is_ready(&s).await);
}

pub async fn a_hand_off_in_the_middle_is_no_death(w: World<impl Ground>) {
    let s = session("a");
    let claimed = in_the_middle(&w, "w", &s, Resume::Lazy).await;
    assert_eq!(w.released(&claimed.lease, Leaving::HandOff).await, Release::Released);
    assert!(w.is_ready(&s).await && w.record(&s).await.suspended.is_none());
}

pub async fn an_owners_own_newer_claim_is_no_death(w: World<impl Ground>) {
    let s = session("a");
    in_the_middle(&w, "w", &s, Resume::Lazy).await;
    let again = w.claimed("w", &s).await;
    assert_eq!((again.record.suspended, again.record.unfinished), (None, after(1, Resume::Lazy)));
}

pub async fn the_next_message_is_a_word_and_comes_after_the_turn(w: World<impl Ground>) {
    let s = session("a");
    suspended(&w, &s).await;
    w.join_with_load(&s, "v", 0).await;
    let mut hints = w.listen("v").await;
    w.advance(MS);
    w.send(&s, "go on").await;
    assert_eq!(w.ready_since(&s).await, Some(w.now()));
    assert_eq!(w.heard(&mut hints).await, [Hint::Offer { session: s.clone() }]);
    let claimed = w.claimed("v", &s).await;
    let record = &claimed.record;
    assert_eq!((record.suspended, record.unfinished), (None, after(1, Resume::Lazy)));
    assert_eq!(record.crashes.len(), 1, "the death counts now");
    let waiting: Vec<_> = messages(&claimed.mail).iter().map(|message| message.number).collect();
    assert_eq!(waiting, [1, 2]);
}

pub async fn a_refused_or_repeated_message_is_no_word(w: World<impl Ground>) {
    let s = session("a");
    w.join(&s, "w").await;
    let message = w.accepted(w.message_with_id(&s, "k")).await;
    let claimed = w.claimed("w", &s).await;
    w.committed(&claimed.lease, &middle(&w, &claimed, Resume::Lazy)).await;
    dies(&w, "w", &s).await;
    let before = w.record(&s).await;
    assert!(matches!(w.sent(&message).await, Sent::Repeat { .. }));
    let elsewhere = NewMessage { pool: pool("other"), ..w.message(&s, "x") };
    assert!(matches!(w.sent(&elsewhere).await, Sent::OtherPool(_)));
    assert_eq!(w.record(&s).await, before);
    assert!(before.suspended.is_some());
}

pub async fn a_dead_letter_that_is_sent_again_is_a_word(w: World<impl Ground>) {
    let s = session("a");
    let (claimed, message) = w.claimed_with_mail("w", &s).await;
    let given_up = tenure::store::Done { dead: Some(("failed".to_owned(), 5)), ..done(&message) };
    let boundary = Boundary { done: Some(given_up), ..w.turn_of(&claimed.record, &message) };
    w.committed(&claimed.lease, &boundary).await;
    w.released(&claimed.lease, Leaving::IfIdle).await;
    suspended(&w, &s).await;
    let letter = w.store().dead(w.partition(&s), None, 1).await.unwrap().remove(0);
    let revived = w.store().revive(&letter, w.name(), &pool("default")).await.unwrap();
    assert!(matches!(revived, Revive::Sent(Sent::Accepted { .. })));
    assert!(w.is_ready(&s).await && w.record(&s).await.suspended.is_none());
}

pub async fn a_suspended_session_that_is_told_to_goes_on_once(w: World<impl Ground>) {
    let s = session("a");
    suspended(&w, &s).await;
    w.join_with_load(&s, "v", 0).await;
    let mut hints = w.listen("v").await;
    w.advance(MS);
    assert_eq!(proceed(&w, &s).await, Proceed::Going);
    assert_eq!(w.ready_since(&s).await, Some(w.now()));
    assert_eq!(w.heard(&mut hints).await, [Hint::Offer { session: s.clone() }]);
    let before = w.snapshot().await;
    assert_eq!(proceed(&w, &s).await, Proceed::NotSuspended);
    assert_eq!(w.snapshot().await, before, "a repeat changes nothing");
    assert_eq!(w.claimed("v", &s).await.record.unfinished, after(1, Resume::Lazy));
}

pub async fn what_is_not_suspended_elsewhere_or_absent_is_not_told_to_go_on(w: World<impl Ground>) {
    let s = session("a");
    assert_eq!(proceed(&w, &s).await, Proceed::Absent);
    w.send(&s, "hello").await;
    assert_eq!(proceed(&w, &s).await, Proceed::NotSuspended);
    let elsewhere = w.store().proceed(&s, &pool("other")).await.unwrap();
    assert_eq!(elsewhere, Proceed::OtherPool(pool("default")));
    w.meddle(&s, Meddling::NewerVersion).await;
    assert!(w.store().proceed(&s, &pool("default")).await.is_err());
}

pub async fn a_turn_that_backs_off_waits_for_both(w: World<impl Ground>) {
    let s = session("a");
    let claimed = in_the_middle(&w, "w", &s, Resume::Lazy).await;
    backs_off(&w, &claimed.lease, &s, LEASE).await;
    assert_eq!(dies(&w, "w", &s).await, Reap::Reaped { runnable: false });
    assert!(w.record(&s).await.orphaned.is_none(), "it had nothing to run");
    assert_eq!(proceed(&w, &s).await, Proceed::Going);
    assert!(!w.is_ready(&s).await, "it is not time yet");
    w.advance(LEASE);
    w.store().fire(&s, &pool("default")).await.unwrap();
    assert!(w.is_ready(&s).await);
}

pub async fn a_timer_that_fires_is_no_word(w: World<impl Ground>) {
    let s = session("a");
    let claimed = in_the_middle(&w, "w", &s, Resume::Lazy).await;
    backs_off(&w, &claimed.lease, &s, MS).await;
    dies(&w, "w", &s).await;
    w.advance(MS);
    w.store().fire(&s, &pool("default")).await.unwrap();
    let record = w.record(&s).await;
    assert!(record.backoff.is_none() && record.suspended.is_some() && !w.is_ready(&s).await);
}

async fn backs_off(w: &World<impl Ground>, lease: &Lease, s: &SessionId, wait: Duration) {
    let record = w.record(s).await;
    let failed =
        Boundary { backoff: Some(wait), tries: 1, unfinished: record.unfinished, ..w.boundary(&record) };
    w.committed(lease, &failed).await;
}

pub async fn mending_neither_wakes_nor_forgets_what_is_suspended(w: World<impl Ground>) {
    let s = session("a");
    suspended(&w, &s).await;
    w.meddle(&s, Meddling::EnterReady).await;
    let mended = w.store().mend(&s, &pool("default"), None, None).await.unwrap();
    assert_eq!(mended, tenure::store::Mend::Mended);
    assert!(!w.is_ready(&s).await && w.record(&s).await.suspended.is_some());
    assert_eq!(proceed(&w, &s).await, Proceed::Going);
}

pub async fn a_session_set_aside_in_the_middle_goes_on_there_when_it_is_freed(w: World<impl Ground>) {
    let s = session("a");
    let claimed = in_the_middle(&w, "w", &s, Resume::Lazy).await;
    let record = w.record(&s).await;
    let quarantine = Some((tenure::model::Cause::Unreadable, "newer".to_owned()));
    let boundary = Boundary { quarantine, unfinished: record.unfinished, ..w.boundary(&record) };
    w.committed(&claimed.lease, &boundary).await;
    dies(&w, "w", &s).await;
    assert_eq!(proceed(&w, &s).await, Proceed::NotSuspended);
    let freed = w.store().free(&s, &pool("default"), FirstMessage::Keep).await.unwrap();
    assert_eq!(freed, Free::Freed);
    assert!(w.is_ready(&s).await, "being freed is a word");
    assert_eq!(w.record(&s).await.unfinished, after(1, Resume::Lazy));
}

pub async fn a_suspended_session_is_deleted_like_any_other(w: World<impl Ground>) {
    let s = session("a");
    suspended(&w, &s).await;
    let deleted = w.store().delete(&s, &pool("default"), None).await.unwrap();
    assert_eq!(deleted, tenure::store::Delete::Deleted);
    assert_eq!(proceed(&w, &s).await, Proceed::Absent);
    assert_eq!(w.store().dead(w.partition(&s), None, 9).await.unwrap().len(), 1);
}
