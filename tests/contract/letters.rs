//! Dead letters: listing, sending again, dropping.

use tenure::{
    model::{Door, NewMessage, SessionId},
    store::{
        DeadLetter, Done, Refusal, Refused, Relayed, RelayedKind, Revive, Sent, Store, memory::Meddling,
    },
};

use super::{ground::Ground, world::*};

/// Lets a message of `s` be given up on.
async fn given_up(w: &World<impl Ground>, s: &SessionId) -> DeadLetter {
    w.join(s, "w").await;
    w.accepted(NewMessage { reply_to: Some(key("r")), ..w.message_with_id(s, &w.name().to_string()) }).await;
    let claimed = w.claimed("w", s).await;
    let message = first_message(&claimed.mail);
    let mut boundary = w.turn_of(&claimed.record, &message);
    boundary.done = Some(Done { dead: Some(("failed".into(), 5)), ..done(&message) });
    w.committed(&claimed.lease, &boundary).await;
    w.holds(s).await.dead.pop().expect("it is in dead")
}

pub async fn dead_letters_are_listed_in_pages_oldest_first(w: World<impl Ground>) {
    let s = session("a");
    let mut letters = Vec::new();
    for _ in 0..3 {
        letters.push(given_up(&w, &s).await);
    }
    let page = async |after, limit| w.store().dead(w.partition(&s), after, limit).await.unwrap();
    assert_eq!(page(None, 2).await, letters[..2]);
    assert_eq!(page(Some(letters[1].id), 2).await, letters[2..]);
}

pub async fn a_letter_sent_again_is_a_message_of_its_own_without_its_id(w: World<impl Ground>) {
    let s = session("a");
    let letter = given_up(&w, &s).await;
    let name = w.name();
    let sent = w.store().revive(&letter, name, &pool("default")).await.unwrap();
    assert_eq!(sent, Revive::Sent(Sent::Accepted { message: name, number: 2 }));
    let message = first_message(&w.seen(&s).await.inbox);
    assert_eq!((message.message, message.id, message.reply_to), (name, None, Some(key("r"))));
    assert_eq!(message.body, letter.body);
    assert_eq!(w.holds(&s).await.dead, []);
}

pub async fn a_repeated_revival_adds_nothing(w: World<impl Ground>) {
    let s = session("a");
    let letter = given_up(&w, &s).await;
    let name = w.name();
    let revive = async || w.store().revive(&letter, name, &pool("default")).await.unwrap();
    revive().await;
    let before = w.snapshot().await;
    assert_eq!(revive().await, Revive::Sent(Sent::Repeat { message: name, answer: None }));
    assert_eq!(w.snapshot().await, before);
    w.send(&s, "another").await;
    assert_eq!(revive().await, Revive::Gone);
}

pub async fn a_letter_that_is_refused_stays(w: World<impl Ground>) {
    let s = session("a");
    let letter = given_up(&w, &s).await;
    let elsewhere = w.store().revive(&letter, w.name(), &pool("other")).await.unwrap();
    assert_eq!(elsewhere, Revive::Sent(Sent::OtherPool(pool("default"))));
    for n in 0..120 {
        w.send(&s, &n.to_string()).await;
    }
    let full = w.store().revive(&letter, w.name(), &pool("default")).await.unwrap();
    assert_eq!(full, Revive::Sent(Sent::Refused(Refusal::Full)));
    assert_eq!(w.holds(&s).await.dead, std::slice::from_ref(&letter));
    w.meddle(&s, Meddling::NewerVersion).await;
    assert!(w.store().revive(&letter, w.name(), &pool("default")).await.is_err());
}

pub async fn a_letter_without_a_session_cannot_be_sent_again(w: World<impl Ground>) {
    let at = session("a");
    let refused = Refused {
        session: None,
        id: None,
        reply_to: None,
        durability: Default::default(),
        reason: "malformed".into(),
        sentence: "no session".into(),
        body: tenure::model::Body::text("x"),
    };
    let entry = Relayed {
        id: tenure::model::StreamId { millis: 1, seq: 0 },
        what: RelayedKind::Refuse(Box::new(refused)),
    };
    w.store().relay(w.partition(&at), Door::MAIN, None, &[entry]).await.unwrap();
    let letter = w.holds(&at).await.dead.pop().unwrap();
    let revived = w.store().revive(&letter, w.name(), &pool("default")).await.unwrap();
    assert_eq!(revived, Revive::Sent(Sent::Refused(Refusal::Malformed)));
    assert_eq!(w.holds(&at).await.dead, [letter]);
}

pub async fn dropped_letters_are_counted_and_gone(w: World<impl Ground>) {
    let s = session("a");
    let letters = [given_up(&w, &s).await, given_up(&w, &s).await];
    let ids = letters.each_ref().map(|letter| letter.id);
    let drop_dead = async |ids| w.store().drop_dead(w.partition(&s), ids).await.unwrap();
    assert_eq!(drop_dead(&ids[..1]).await, 1);
    assert_eq!(drop_dead(&ids[..]).await, 1, "one was dropped before");
    assert_eq!(w.holds(&s).await.dead, []);
    assert_eq!(w.store().revive(&letters[0], w.name(), &pool("default")).await.unwrap(), Revive::Gone);
}
