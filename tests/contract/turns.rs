//! `commit`: the boundary write.

use std::time::Duration;

use tenure::{
    model::{Body, Cause, EntryKind, Hold, NewEntry, NewMessage},
    store::{Boundary, Commit, Done, Ground as Reason, Leaving, Reap, StateChange, Store, memory::Meddling},
};

use super::{ground::Ground, world::*};

pub async fn a_boundary_is_written_whole(w: World<impl Ground>) {
    let s = session("a");
    let (claimed, message) = w.claimed_with_mail("w", &s).await;
    let next = w.send(&s, "next").await;
    w.advance(OWN_TTL);
    let boundary = Boundary {
        state: StateChange::Set("{\"n\":1}".into()),
        tries: 0,
        ..w.turn_of(&claimed.record, &message)
    };
    let (out, mail) = w.committed(&claimed.lease, &boundary).await;
    assert_eq!(out, [], "nobody wanted a reply");
    assert_eq!(first_message(&mail).message, next.message);

    let history = w.history(&s).await;
    assert_eq!(history.iter().map(|e| e.id.seq).collect::<Vec<_>>(), [1, 2]);
    assert!(history.iter().all(|e| e.id.epoch == claimed.lease.epoch() && e.turn == 1 && e.time == w.now()));
    assert!(history.iter().all(|e| e.message == Some(message.message)));
    assert_eq!(history[1].kind, EntryKind::Assistant);
    assert_eq!(history[1].body, Body::text("answered"));

    let seen = w.seen(&s).await;
    assert_eq!(seen.state.as_deref(), Some("{\"n\":1}"));
    let record = seen.record;
    assert_eq!((record.seq, record.turns, record.taken, record.given), (2, 1, 1, 2));
    assert_eq!((record.commit, record.updated), (Some(boundary.commit), w.now()));
    w.advance(OWN_TTL);
    assert!(w.seen(&s).await.own.is_some(), "own is lengthened from the commit on");
}

pub async fn entries_are_numbered_on_over_turns_and_epochs(w: World<impl Ground>) {
    let s = session("a");
    let (claimed, message) = w.claimed_with_mail("w", &s).await;
    w.committed(&claimed.lease, &w.turn_of(&claimed.record, &message)).await;
    w.released(&claimed.lease, Leaving::IfIdle).await;
    w.send(&s, "again").await;
    w.advance(MS);
    w.takes_a_turn("w", &s).await;
    let history = w.history(&s).await;
    let seen: Vec<_> = history.iter().map(|e| (e.id.seq, e.turn)).collect();
    assert_eq!(seen, [(1, 1), (2, 1), (3, 2), (4, 2)]);
    assert!(history.is_sorted_by_key(|e| e.id) && history[2].id.epoch > history[1].id.epoch);
}

pub async fn a_boundary_needs_no_message(w: World<impl Ground>) {
    let s = session("a");
    let (claimed, message) = w.claimed_with_mail("w", &s).await;
    let call = NewEntry { kind: EntryKind::ToolCall, message: None, body: Body::text("look") };
    let boundary = Boundary { entries: vec![call], ..w.boundary(&claimed.record) };
    let (_, mail) = w.committed(&claimed.lease, &boundary).await;
    assert_eq!(first_message(&mail), message, "it stays at the head");
    assert_eq!(w.history(&s).await[0].message, None);
}

pub async fn a_repeated_commit_writes_nothing_twice(w: World<impl Ground>) {
    let s = session("a");
    w.join(&s, "w").await;
    w.asked_again(&s, "r").await;
    let claimed = w.claimed("w", &s).await;
    let boundary = w.turn_of(&claimed.record, &first_message(&claimed.mail));
    let (out, _) = w.committed(&claimed.lease, &boundary).await;
    assert_eq!(to(&out), ["r"]);
    let before = w.snapshot().await;
    w.advance(MS);
    assert_eq!(w.committed(&claimed.lease, &boundary).await, (Vec::new(), Vec::new()));
    assert_eq!(w.snapshot().await, before);
}

pub async fn a_repeated_commit_is_done_also_for_an_owner_fenced_or_buried_since(w: World<impl Ground>) {
    let s = session("a");
    let (claimed, message) = w.claimed_with_mail("w", &s).await;
    let boundary = w.turn_of(&claimed.record, &message);
    w.committed(&claimed.lease, &boundary).await;
    w.send(&s, "more").await;
    w.join(&s, "v").await;
    w.store().bury(w.partition(&s), &worker("w"), Reason::OwnWish).await.unwrap();
    w.claimed("v", &s).await;
    let Commit::Done { out, mail } = w.commits(&claimed.lease, &boundary).await else {
        panic!("it was written")
    };
    assert_eq!((out.len(), mail.len()), (0, 1));
    let newer = w.boundary(&w.record(&s).await);
    assert_eq!(w.commits(&claimed.lease, &newer).await, Commit::Lost, "a new one is not");
}

pub async fn a_writer_that_is_buried_or_unknown_is_lost(w: World<impl Ground>) {
    let s = session("a");
    let (claimed, message) = w.claimed_with_mail("w", &s).await;
    w.store().bury(w.partition(&s), &worker("w"), Reason::OwnWish).await.unwrap();
    let before = w.snapshot().await;
    let boundary = w.turn_of(&claimed.record, &message);
    assert_eq!(w.commits(&claimed.lease, &boundary).await, Commit::Lost);
    assert_eq!(w.snapshot().await, before);
    w.advance(DAY + MS);
    w.store().survey(w.partition(&s), &[]).await.unwrap();
    assert_eq!(w.commits(&claimed.lease, &boundary).await, Commit::Lost, "also when it is forgotten");
}

pub async fn a_superseded_owner_is_fenced_and_changes_nothing(w: World<impl Ground>) {
    let s = session("a");
    let (old, message) = w.claimed_with_mail("w", &s).await;
    let new = w.claimed("w", &s).await;
    let before = w.snapshot().await;
    assert_eq!(w.commits(&old.lease, &w.turn_of(&old.record, &message)).await, Commit::Fenced);
    assert_eq!(w.snapshot().await, before);
    w.committed(&new.lease, &w.turn_of(&new.record, &message)).await;
}

pub async fn an_owner_who_gave_its_session_back_is_fenced(w: World<impl Ground>) {
    let s = session("a");
    let (claimed, message) = w.claimed_with_mail("w", &s).await;
    w.released(&claimed.lease, Leaving::HandOff).await;
    assert_eq!(w.commits(&claimed.lease, &w.turn_of(&claimed.record, &message)).await, Commit::Fenced);
}

pub async fn an_owner_of_a_deleted_session_is_fenced(w: World<impl Ground>) {
    let s = session("a");
    let (claimed, message) = w.claimed_with_mail("w", &s).await;
    w.store().delete(&s, &pool("default"), Some(&worker("w"))).await.unwrap();
    assert_eq!(w.commits(&claimed.lease, &w.turn_of(&claimed.record, &message)).await, Commit::Fenced);
    assert!(w.snapshot().await.partitions[&w.partition(&s)].sessions.is_empty(), "it is not made again");
}

pub async fn a_live_owner_is_not_robbed_when_own_is_deleted_by_hand(w: World<impl Ground>) {
    let s = session("a");
    let (claimed, message) = w.claimed_with_mail("w", &s).await;
    w.meddle(&s, Meddling::DeleteOwn).await;
    w.join(&s, "v").await;
    let taken = w.claims("v", &s).await;
    assert!(matches!(taken, tenure::store::Claim::Held { .. }), "{taken:?}");
    w.committed(&claimed.lease, &w.turn_of(&claimed.record, &message)).await;
    assert_eq!(w.seen(&s).await.own.as_ref(), Some(claimed.lease.token()), "and own is set again");
}

pub async fn a_server_with_other_entries_or_another_head_is_behind_and_left_alone(w: World<impl Ground>) {
    let s = session("a");
    let (claimed, message) = w.claimed_with_mail("w", &s).await;
    w.send(&s, "second").await;
    w.committed(&claimed.lease, &w.turn_of(&claimed.record, &message)).await;
    let record = w.record(&s).await;
    let second = first_message(&w.seen(&s).await.inbox);
    let right = w.turn_of(&record, &second);
    let done = done(&second);
    let wrong = [
        Boundary { after: 1, ..right.clone() },
        Boundary { after: 3, ..right.clone() },
        Boundary { done: Some(Done { number: 1, ..done.clone() }), ..right.clone() },
        Boundary { done: Some(Done { message: w.name(), ..done.clone() }), ..right.clone() },
        Boundary { done: Some(Done { number: 3, ..done }), ..right.clone() },
    ];
    let before = w.snapshot().await;
    for boundary in wrong {
        assert_eq!(w.commits(&claimed.lease, &boundary).await, Commit::Behind { seq: 2 }, "{boundary:?}");
    }
    assert_eq!(w.snapshot().await, before);
    w.committed(&claimed.lease, &right).await;
    let none_left = w.turn_of(&w.record(&s).await, &second);
    assert_eq!(
        w.commits(&claimed.lease, &none_left).await,
        Commit::Behind { seq: 4 },
        "an empty inbox has no head"
    );
}

pub async fn a_head_whose_record_cannot_be_read_is_never_acknowledged(w: World<impl Ground>) {
    let s = session("a");
    let (claimed, message) = w.claimed_with_mail("w", &s).await;
    w.meddle(&s, Meddling::NewerMail).await;
    let boundary = w.turn_of(&claimed.record, &message);
    assert_eq!(w.commits(&claimed.lease, &boundary).await, Commit::Behind { seq: 0 });
    assert_eq!(w.seen(&s).await.inbox.len(), 1);
}

pub async fn a_head_whose_body_cannot_be_read_can_be_given_up_on(w: World<impl Ground>) {
    let s = session("a");
    let (claimed, message) = w.claimed_with_mail("w", &s).await;
    w.meddle(&s, Meddling::SpoilBody).await;
    let given_up = Done { dead: Some(("malformed".into(), 0)), ..done(&message) };
    w.committed(&claimed.lease, &Boundary { done: Some(given_up), ..w.boundary(&claimed.record) }).await;
    let held = w.holds(&s).await;
    assert_eq!(held.dead[0].body, Body::text("[1]"), "what is no object is kept as text");
    assert!(held.sessions[&s].inbox.is_empty());
}

pub async fn a_state_is_kept_set_or_cleared(w: World<impl Ground>) {
    let s = session("a");
    let (claimed, _) = w.claimed_with_mail("w", &s).await;
    let steps = [
        (StateChange::Keep, None),
        (StateChange::Set("1".into()), Some("1")),
        (StateChange::Keep, Some("1")),
        (StateChange::Set(String::new()), Some("")),
        (StateChange::Clear, None),
    ];
    for (state, after) in steps {
        let boundary = Boundary { state: state.clone(), ..w.boundary(&claimed.record) };
        w.committed(&claimed.lease, &boundary).await;
        assert_eq!(w.seen(&s).await.state.as_deref(), after, "{state:?}");
    }
}

pub async fn a_failed_run_waits_in_timers_and_the_next_boundary_ends_the_wait(w: World<impl Ground>) {
    let s = session("a");
    let wait = Duration::from_millis(400);
    let claimed = w.backing_off("w", &s, wait).await;
    let due = w.now().plus(wait);
    let record = w.record(&s).await;
    assert_eq!((record.backoff, record.tries, record.taken), (Some(due), 1, 0));
    assert_eq!(w.holds(&s).await.timers[&s], due);
    assert_eq!(w.seen(&s).await.inbox.len(), 1, "its message stays");
    w.committed(&claimed.lease, &w.boundary(&record)).await;
    assert_eq!((w.record(&s).await.backoff, w.record(&s).await.tries), (None, 0));
    assert!(w.holds(&s).await.timers.is_empty());
}

pub async fn a_quarantined_session_keeps_its_mail_and_is_not_ready(w: World<impl Ground>) {
    let s = session("a");
    let (claimed, _) = w.claimed_with_mail("w", &s).await;
    let quarantine = Some((Cause::Poison, "it \"kills\" workers".to_owned()));
    w.committed(&claimed.lease, &Boundary { quarantine, ..w.boundary(&claimed.record) }).await;
    let reason = "it \"kills\" workers".to_owned();
    assert_eq!(w.record(&s).await.hold, Some(Hold::Quarantined { cause: Cause::Poison, reason }));
    assert_eq!(w.released(&claimed.lease, Leaving::IfIdle).await, tenure::store::Release::Released);
    assert!(!w.is_ready(&s).await);
    assert_eq!(w.seen(&s).await.inbox.len(), 1);
    w.send(&s, "more").await;
    assert!(!w.is_ready(&s).await);
}

pub async fn a_message_given_up_on_goes_to_dead_and_is_answered(w: World<impl Ground>) {
    let s = session("a");
    w.join(&s, "w").await;
    let sent = w.accepted(NewMessage { reply_to: Some(key("r")), ..w.message_with_id(&s, "k") }).await;
    let claimed = w.claimed("w", &s).await;
    let message = first_message(&claimed.mail);
    let given_up = Done { dead: Some(("failed".into(), 5)), ..done(&message) };
    let boundary = Boundary { done: Some(given_up), ..w.turn_of(&claimed.record, &message) };
    let (out, _) = w.committed(&claimed.lease, &boundary).await;
    w.hands_out(&s, &out).await;
    assert!(w.takes_reply("r").await.is_some());
    let dead = w.holds(&s).await.dead;
    let letter = &dead[0];
    assert_eq!((&letter.session, letter.message, letter.tries), (&Some(s.clone()), Some(sent.message), 5));
    assert_eq!((letter.reason.as_str(), letter.time, &letter.body), ("failed", w.now(), &sent.body));
    assert_eq!((letter.reply_to.clone(), letter.partition), (sent.reply_to, w.partition(&s)));
}

pub async fn an_answer_stands_in_out_and_under_its_id(w: World<impl Ground>) {
    let s = session("a");
    w.join(&s, "w").await;
    w.asked_again(&s, "r").await;
    let out = w.takes_a_turn("w", &s).await;
    let held = w.holds(&s).await;
    assert_eq!(held.out, out, "what may be handed out is what stands in out");
    assert_eq!(out[0].payload, "{\"answer\":1}");
    let kept = held.ids.values().next().expect("the id is kept");
    assert_eq!(kept.answer.as_deref(), Some("{\"answer\":1}"));
}

pub async fn the_reaped_are_fenced_before_anybody_claims(w: World<impl Ground>) {
    let s = session("a");
    let (claimed, message) = w.claimed_with_mail("w", &s).await;
    w.store().bury(w.partition(&s), &worker("w"), Reason::OwnWish).await.unwrap();
    let reaped = w.store().reap(&s, &worker("w"), &pool("default")).await.unwrap();
    assert_eq!(reaped, Reap::Reaped { runnable: true });
    let before = w.snapshot().await;
    assert_eq!(w.commits(&claimed.lease, &w.turn_of(&claimed.record, &message)).await, Commit::Lost);
    assert_eq!(w.snapshot().await, before);
}
