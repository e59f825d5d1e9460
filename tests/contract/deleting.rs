//! `delete`: a session with all its keys.

use tenure::{
    model::{NewMessage, SessionId},
    store::{Commit, Delete, Look, Sent, Store},
};

use super::{ground::Ground, world::*};

async fn delete(w: &World<impl Ground>, s: &SessionId, owner: Option<&str>) -> Delete {
    let owner = owner.map(worker);
    w.store().delete(s, &pool("default"), owner.as_ref()).await.unwrap()
}

pub async fn a_deleted_session_leaves_nothing_but_its_dead_letters(w: World<impl Ground>) {
    let s = session("a");
    let (claimed, message) = w.claimed_with_mail("w", &s).await;
    let state = tenure::store::StateChange::Set("1".into());
    w.committed(&claimed.lease, &tenure::store::Boundary { state, ..w.turn_of(&claimed.record, &message) })
        .await;
    let waiting = w.send(&s, "unread").await;
    assert_eq!(delete(&w, &s, Some("w")).await, Delete::Deleted);
    assert_eq!(w.store().look(&s).await.unwrap(), Look::Absent);
    let held = w.holds(&s).await;
    assert!(held.sessions.is_empty() && held.index.is_empty() && held.timers.is_empty());
    assert!(held.ready.is_empty() && held.held.is_empty());
    assert_eq!(held.dead.len(), 1);
    assert_eq!((held.dead[0].message, held.dead[0].reason.as_str()), (Some(waiting.message), "deleted"));
    assert_eq!((held.dead[0].time, &held.dead[0].body), (w.now(), &waiting.body));
    assert_eq!(w.history(&s).await, []);
    assert_eq!(delete(&w, &s, None).await, Delete::Absent, "a repeat finds none");
}

pub async fn all_who_wait_for_deleted_mail_are_told(w: World<impl Ground>) {
    let s = session("a");
    let first = w.accepted(NewMessage { reply_to: Some(key("r")), ..w.message_with_id(&s, "k") }).await;
    w.sent(&NewMessage { reply_to: Some(key("asked-again")), ..w.message_with_id(&s, "k") }).await;
    delete(&w, &s, None).await;
    let out = w.holds(&s).await.out;
    assert_eq!(to(&out), ["r", "asked-again"]);
    let error = serde_json::json!({"session": "echo/a", "message": first.message, "id": "k",
        "error": {"reason": "deleted", "message": "the session was deleted"}});
    for reply in &out {
        assert_eq!(serde_json::from_str::<serde_json::Value>(&reply.payload).unwrap(), error);
    }
    let again = w.sent(&w.message_with_id(&s, "k")).await;
    assert_eq!(again, Sent::Repeat { message: first.message, answer: Some(out[0].payload.clone()) });
}

pub async fn an_id_that_was_answered_stays_known_after_a_deletion(w: World<impl Ground>) {
    let s = session("a");
    w.join(&s, "w").await;
    let first = w.accepted(w.message_with_id(&s, "k")).await;
    w.takes_a_turn("w", &s).await;
    delete(&w, &s, Some("w")).await;
    let answer = Some("{\"answer\":1}".to_owned());
    assert_eq!(w.sent(&w.message_with_id(&s, "k")).await, Sent::Repeat { message: first.message, answer });
    assert_eq!(w.store().look(&s).await.unwrap(), Look::Absent, "and makes no session");
}

pub async fn more_mail_than_a_page_takes_more_calls_and_refuses_and_fences_from_the_first(
    w: World<impl Ground>,
) {
    let s = session("a");
    let (claimed, _) = w.claimed_with_mail("w", &s).await;
    for n in 1..120 {
        w.send(&s, &n.to_string()).await;
    }
    assert_eq!(delete(&w, &s, Some("w")).await, Delete::More);
    let held = w.holds(&s).await;
    assert_eq!((held.dead.len(), held.sessions[&s].inbox.len()), (100, 20));
    assert!(!w.is_ready(&s).await && held.index.contains(&s));
    assert_eq!(w.commits(&claimed.lease, &w.boundary(&claimed.record)).await, Commit::Fenced);
    assert!(matches!(w.sent(&w.message(&s, "no")).await, Sent::Refused(_)));
    assert_eq!(delete(&w, &s, None).await, Delete::Deleted);
    assert_eq!(w.holds(&s).await.dead.len(), 120);
}

pub async fn a_deleted_session_is_made_anew_by_its_next_message(w: World<impl Ground>) {
    let s = session("a");
    w.join(&s, "w").await;
    w.send(&s, "old").await;
    w.takes_a_turn("w", &s).await;
    delete(&w, &s, Some("w")).await;
    w.advance(MS);
    assert!(matches!(w.sent(&w.message(&s, "new")).await, Sent::Accepted { number: 1, .. }));
    let record = w.record(&s).await;
    assert_eq!((record.seq, record.epoch, record.created), (0, None, w.now()));
}

pub async fn indexes_that_a_wrong_idea_missed_are_left_to_later(w: World<impl Ground>) {
    let (s, ready) = (session("{x}1"), session("{x}2"));
    w.claimed_with_mail("w", &s).await;
    w.send(&ready, "hello").await;
    assert_eq!(delete(&w, &s, Some("v")).await, Delete::Deleted);
    assert!(w.holds_session("w", &s).await);
    assert_eq!(w.store().delete(&ready, &pool("other"), None).await.unwrap(), Delete::Deleted);
    assert!(w.is_ready(&ready).await);
}
