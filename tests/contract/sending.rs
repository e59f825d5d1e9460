//! `send`: how a message comes in.

use tenure::{
    model::{Body, Group, Hold, NewMessage, Resume},
    store::{Boundary, Commit, Delete, Hint, Mail, Refusal, Sent, Store, StoreError, memory::Meddling},
};

use super::{ground::Ground, world::*};

/// A body of exactly so many bytes.
fn body_of(bytes: usize) -> Body {
    let empty = Body::text("").as_json().len();
    Body::text(&"x".repeat(bytes - empty))
}

pub async fn a_first_message_makes_its_session(w: World<impl Ground>) {
    let s = session("a");
    let group: Group = "acme".parse().unwrap();
    let message =
        NewMessage { group: Some(group.clone()), resume: Some(Resume::Eager), ..w.message(&s, "hello") };
    assert_eq!(w.sent(&message).await, Sent::Accepted { message: message.message, number: 1 });
    let record = w.record(&s).await;
    assert_eq!(
        (record.pool, record.group, record.resume),
        (pool("default"), Some(group), Some(Resume::Eager))
    );
    assert_eq!((record.given, record.taken, record.seq), (1, 0, 0));
    assert_eq!((record.created, record.updated), (w.now(), w.now()));
    assert_eq!((record.owner, record.epoch, record.last_message), (None, None, Some(message.message)));
    assert!(w.holds(&s).await.index.contains(&s));
    assert_eq!(w.ready_since(&s).await, Some(w.now()));
}

pub async fn messages_are_numbered_and_kept_in_the_order_of_their_acceptance(w: World<impl Ground>) {
    let s = session("a");
    let mut texts = Vec::new();
    for n in 1..=3 {
        w.advance(MS);
        assert!(
            matches!(w.sent(&w.message(&s, &n.to_string())).await, Sent::Accepted { number, .. } if number == n)
        );
        texts.push(n.to_string());
    }
    let inbox = messages(&w.seen(&s).await.inbox);
    assert_eq!(inbox.iter().map(|m| m.body.as_text().unwrap()).collect::<Vec<_>>(), texts);
    assert_eq!(inbox.iter().map(|m| m.number).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(inbox[2].time, w.now());
    assert_eq!(w.ready_since(&s).await, Some(inbox[0].time), "later mail does not move it back in ready");
}

pub async fn a_message_is_kept_as_it_was_given(w: World<impl Ground>) {
    let s = session("ü/\"quoted\"");
    let odd = "naïve \"quotes\" and\\slashes / 日本";
    let message = NewMessage {
        body: Body::parse("{ \"b\":1.50,\"a\" : [\"\\u00e9\\n\"] }").unwrap(),
        reply_to: Some(key("line\none\t\u{1}\u{7f} / \"two\"")),
        group: Some("grüppe\"1".parse().unwrap()),
        ..w.message_with_id(&s, odd)
    };
    w.accepted(message.clone()).await;
    let kept = first_message(&w.seen(&s).await.inbox);
    assert_eq!(
        (kept.body, kept.id, kept.reply_to),
        (message.body.clone(), message.id.clone(), message.reply_to.clone())
    );
    assert_eq!(w.record(&s).await.group, message.group);
    assert!(matches!(w.sent(&message).await, Sent::Repeat { .. }));
}

pub async fn a_body_over_the_limit_is_refused_unless_it_repeats_an_id(w: World<impl Ground>) {
    let s = session("a");
    let small = w.accepted(NewMessage { body: body_of(2_000), ..w.message_with_id(&s, "k") }).await;
    let large = NewMessage { body: body_of(2_001), pool: pool("other"), ..small.clone() };
    let before = w.snapshot().await;
    let repeat = Sent::Repeat { message: small.message, answer: None };
    assert_eq!(w.sent(&large).await, repeat, "a repeat is never a refusal");
    assert_eq!(
        w.sent(&NewMessage { session: session("b"), ..large }).await,
        Sent::Refused(Refusal::TooLarge)
    );
    assert_eq!(w.snapshot().await, before);
}

pub async fn the_message_accepted_last_is_a_repeat_and_adds_nothing(w: World<impl Ground>) {
    let s = session("a");
    let message = w.send(&s, "hello").await;
    let before = w.snapshot().await;
    let repeat = Sent::Repeat { message: message.message, answer: None };
    assert_eq!(w.sent(&message).await, repeat);
    w.join(&s, "w").await;
    w.takes_a_turn("w", &s).await;
    assert_eq!(w.sent(&message).await, repeat, "also after its turn");
    assert_eq!(w.seen(&s).await.inbox, []);
    assert_eq!(before.partitions[&w.partition(&s)].sessions[&s].inbox.len(), 1);
}

pub async fn an_id_is_the_same_message_whatever_else_differs(w: World<impl Ground>) {
    let s = session("a");
    let first = w.accepted(w.message_with_id(&s, "k")).await;
    w.send(&s, "another between them").await;
    let again =
        NewMessage { body: Body::text("not the same"), pool: pool("other"), ..w.message_with_id(&s, "k") };
    let before = w.snapshot().await;
    assert_eq!(w.sent(&again).await, Sent::Repeat { message: first.message, answer: None });
    assert_eq!(w.snapshot().await, before);
}

pub async fn an_id_counts_for_one_session_only(w: World<impl Ground>) {
    w.accepted(w.message_with_id(&session("{x}1"), "k")).await;
    w.accepted(w.message_with_id(&session("{x}2"), "k")).await;
}

pub async fn an_id_is_forgotten_after_a_day_and_not_before(w: World<impl Ground>) {
    let s = session("a");
    let first = w.accepted(w.message_with_id(&s, "k")).await;
    w.send(&s, "so that the first is not the last").await;
    w.advance(DAY);
    assert_eq!(
        w.sent(&w.message_with_id(&s, "k")).await,
        Sent::Repeat { message: first.message, answer: None }
    );
    w.advance(MS);
    w.accepted(w.message_with_id(&s, "k")).await;
}

pub async fn a_repeat_by_id_gets_the_answer_that_is_there(w: World<impl Ground>) {
    let s = session("a");
    w.join(&s, "w").await;
    let first = w.accepted(w.message_with_id(&s, "k")).await;
    w.takes_a_turn("w", &s).await;
    let answer = Some("{\"answer\":1}".to_owned());
    let again = NewMessage { reply_to: Some(key("mine")), ..w.message_with_id(&s, "k") };
    assert_eq!(w.sent(&again).await, Sent::Repeat { message: first.message, answer: answer.clone() });
    let out = w.holds(&s).await.out;
    assert_eq!(to(&out), ["mine"]);
    assert_eq!(Some(out[0].payload.clone()), answer);
    w.advance(DAY);
    assert_eq!(w.sent(&w.message_with_id(&s, "k")).await, Sent::Repeat { message: first.message, answer });
}

pub async fn a_repeat_by_id_waits_for_an_answer_that_is_not_there(w: World<impl Ground>) {
    let s = session("a");
    w.join(&s, "w").await;
    w.accepted(NewMessage { reply_to: Some(key("n-first")), ..w.message_with_id(&s, "k") }).await;
    for list in ["z", "a", "z", "n-first"] {
        w.sent(&NewMessage { reply_to: Some(key(list)), ..w.message_with_id(&s, "k") }).await;
    }
    assert_eq!(w.holds(&s).await.out, [], "there is nothing to hand out yet");
    let out = w.takes_a_turn("w", &s).await;
    assert!(to(&out).ends_with(&["a", "z"]), "in the order of their names: {out:?}");
    w.hands_out(&s, &out).await;
    for list in ["n-first", "a", "z"] {
        assert!(w.takes_reply(list).await.is_some(), "{list}");
        assert_eq!(w.takes_reply(list).await, None, "{list} gets it once");
    }
    assert!(w.holds(&s).await.ids.values().all(|id| id.waiters.is_empty()), "nobody waits any more");
}

pub async fn at_most_a_hundred_wait_for_one_answer(w: World<impl Ground>) {
    let s = session("a");
    w.join(&s, "w").await;
    w.accepted(w.message_with_id(&s, "k")).await;
    for n in 0..101 {
        w.sent(&NewMessage { reply_to: Some(key(&format!("r{n}"))), ..w.message_with_id(&s, "k") }).await;
    }
    assert_eq!(w.takes_a_turn("w", &s).await.len(), 100);
}

pub async fn a_full_inbox_refuses_whatever_pool_is_named(w: World<impl Ground>) {
    let s = session("a");
    let first = w.accepted(w.message_with_id(&s, "k")).await;
    for n in 1..120 {
        w.send(&s, &n.to_string()).await;
    }
    let before = w.snapshot().await;
    for named in ["default", "other"] {
        let more = NewMessage { pool: pool(named), ..w.message(&s, "more") };
        assert_eq!(w.sent(&more).await, Sent::Refused(Refusal::Full));
    }
    assert!(matches!(w.sent(&first).await, Sent::Repeat { .. }), "a repeat is never a refusal");
    assert_eq!(w.snapshot().await, before);
}

pub async fn a_stopped_session_refuses_all_but_repeats(w: World<impl Ground>) {
    let s = session("a");
    let known = w.accepted(w.message_with_id(&s, "k")).await;
    for n in 1..120 {
        w.send(&s, &n.to_string()).await;
    }
    assert_eq!(w.store().delete(&s, &pool("default"), None).await.unwrap(), Delete::More);
    assert_eq!(w.record(&s).await.hold, Some(Hold::Stopped));
    let other = NewMessage { pool: pool("other"), ..w.message(&s, "more") };
    assert_eq!(w.sent(&other).await, Sent::Refused(Refusal::Stopped));
    assert!(matches!(w.sent(&known).await, Sent::Repeat { .. }));
}

pub async fn a_message_for_another_pool_changes_nothing(w: World<impl Ground>) {
    let s = session("a");
    w.send(&s, "hello").await;
    let before = w.snapshot().await;
    let other = NewMessage { pool: pool("other"), resume: Some(Resume::Eager), ..w.message_with_id(&s, "k") };
    assert_eq!(w.sent(&other).await, Sent::OtherPool(pool("default")));
    assert_eq!(w.snapshot().await, before);
}

pub async fn a_session_of_a_newer_version_is_an_error_and_left_alone(w: World<impl Ground>) {
    let s = session("a");
    let message = w.accepted(w.message_with_id(&s, "k")).await;
    w.meddle(&s, Meddling::NewerVersion).await;
    for message in [message, w.message(&s, "more")] {
        let refused = w.store().send(&message).await;
        assert!(matches!(refused, Err(StoreError::Unreadable { .. })), "{refused:?}");
    }
}

pub async fn a_group_counts_at_the_making_and_resume_at_any_time(w: World<impl Ground>) {
    let s = session("a");
    w.send(&s, "hello").await;
    let group: Option<Group> = Some("late".parse().unwrap());
    w.accepted(NewMessage { group, resume: Some(Resume::Eager), ..w.message(&s, "again") }).await;
    assert_eq!((w.record(&s).await.group, w.record(&s).await.resume), (None, Some(Resume::Eager)));
    w.send(&s, "with neither").await;
    assert_eq!(w.record(&s).await.resume, Some(Resume::Eager), "what is not given stays");
}

pub async fn an_owner_is_woken_by_the_first_message_of_its_inbox_only(w: World<impl Ground>) {
    let s = session("a");
    w.join(&s, "w").await;
    let mut hints = w.listen("w").await;
    w.send(&s, "one").await;
    let claimed = w.claimed("w", &s).await;
    w.heard(&mut hints).await;
    w.send(&s, "two").await;
    assert_eq!(w.heard(&mut hints).await, [], "there was mail already");
    for message in messages(&w.seen(&s).await.inbox) {
        w.committed(&claimed.lease, &w.turn_of(&w.record(&s).await, &message)).await;
    }
    let sent = w.send(&s, "three").await;
    let heard = w.heard(&mut hints).await;
    let [Hint::Wake { session, mail: Some(mail) }] = &heard[..] else { panic!("{heard:?}") };
    assert!(
        *session == s && matches!(&**mail, Mail::Message(m) if m.message == sent.message && m.number == 3)
    );
    assert!(!w.is_ready(&s).await);
}

pub async fn a_wake_carries_a_record_of_one_kibibyte_and_no_longer_one(w: World<impl Ground>) {
    let (id, list) = ("a\"/\\é", "l\n\t\u{1}\u{7f}/\"");
    let escaped = r#"a\"\/\\él\n\tU+0001U+007f\/\""#.len();
    let header = r#"{"v":1,"n":2,"message":"01900000-0000-7000-8000-000000000000","time":1800000000000,"id":"","reply_to":""}"#;
    let fits = 1_024 - header.len() - escaped - "\n".len();
    let mut hints = w.listen("w").await;
    for (bytes, carried) in [(fits, true), (fits + 1, false)] {
        let s = session(&bytes.to_string());
        let (claimed, first) = w.claimed_with_mail("w", &s).await;
        w.committed(&claimed.lease, &w.turn_of(&claimed.record, &first)).await;
        w.heard(&mut hints).await;
        let (body, reply_to) = (body_of(bytes), Some(key(list)));
        w.accepted(NewMessage { body, reply_to, ..w.message_with_id(&s, id) }).await;
        let heard = w.heard(&mut hints).await;
        let [Hint::Wake { mail, .. }] = &heard[..] else { panic!("{heard:?}") };
        assert_eq!(mail.is_some(), carried, "a body of {bytes} bytes");
    }
}

pub async fn the_first_message_to_a_session_that_nobody_owns_is_offered(w: World<impl Ground>) {
    let s = session("a");
    w.join_with_load(&s, "w", 7).await;
    let mut hints = w.listen("w").await;
    w.send(&s, "one").await;
    w.send(&s, "two").await;
    assert_eq!(w.heard(&mut hints).await, [Hint::Offer { session: s.clone() }]);
    assert_eq!(w.idle(&s).await[&worker("w")], 1_007);
}

pub async fn mail_for_a_session_that_may_not_run_makes_it_neither_ready_nor_offered(w: World<impl Ground>) {
    let s = session("a");
    let claimed = w.backing_off("w", &s, LEASE).await;
    w.released(&claimed.lease, tenure::store::Leaving::HandOff).await;
    w.join_with_load(&s, "idle", 0).await;
    let mut hints = w.listen("idle").await;
    w.send(&s, "behind it").await;
    assert!(!w.is_ready(&s).await);
    assert_eq!(w.heard(&mut hints).await, []);
}

pub async fn an_answer_is_kept_for_another_day_under_the_id_that_still_stands_for_it(w: World<impl Ground>) {
    let s = session("a");
    w.join(&s, "w").await;
    let first = w.accepted(w.message_with_id(&s, "k")).await;
    let claimed = w.claimed("w", &s).await;
    w.advance(DAY + MS);
    let second = w.accepted(NewMessage { reply_to: Some(key("second")), ..w.message_with_id(&s, "k") }).await;
    let mail = messages(&w.seen(&s).await.inbox);
    let boundary: Boundary = w.turn_of(&claimed.record, &mail[0]);
    assert!(matches!(w.commits(&claimed.lease, &boundary).await, Commit::Done { out, .. } if out.is_empty()));
    let again = w.sent(&w.message_with_id(&s, "k")).await;
    assert_eq!(again, Sent::Repeat { message: second.message, answer: None });
    assert_ne!(first.message, second.message);
    let (out, _) = w.committed(&claimed.lease, &w.turn_of(&w.record(&s).await, &mail[1])).await;
    w.hands_out(&s, &out).await;
    assert!(w.takes_reply("second").await.is_some());
    w.advance(DAY);
    assert!(matches!(w.sent(&w.message_with_id(&s, "k")).await, Sent::Repeat { answer: Some(_), .. }));
    w.advance(MS);
    w.accepted(w.message_with_id(&s, "k")).await;
}
