//! What a message asks for over its agent's class: it travels with it.

use tenure::{
    model::{Door, Durability, NewMessage, SessionId, StreamId},
    store::{Boundary, Done, Hint, Mail, Refused, Relayed, RelayedKind, Store},
};

use super::{ground::Ground, world::*};

const ASKED: Durability = Durability { fsync: true, replicas: 12 };

/// A message that asks for more, and is accepted without.
fn asking(w: &World<impl Ground>, s: &SessionId) -> NewMessage {
    NewMessage { durability: ASKED, ..w.message(s, "hello") }
}

fn entry(millis: u64, what: RelayedKind) -> Relayed {
    Relayed { id: StreamId { millis, seq: 0 }, what }
}

pub async fn what_a_message_asks_for_stays_with_it_until_it_is_done(w: World<impl Ground>) {
    let s = session("a");
    w.accepted(NewMessage { id: Some("k".parse().unwrap()), reply_to: Some(key("r")), ..asking(&w, &s) })
        .await;
    w.join(&s, "w").await;
    let claimed = w.claimed("w", &s).await;
    assert_eq!(first_message(&claimed.mail).durability, ASKED);
    // A failed run writes its try, and leaves the message where it is: for the next run, by whomever.
    let message = first_message(&claimed.mail);
    let again = Boundary { tries: 1, done: None, ..w.turn_of(&claimed.record, &message) };
    w.committed(&claimed.lease, &again).await;
    assert_eq!(first_message(&w.seen(&s).await.inbox).durability, ASKED);
}

pub async fn a_wake_tells_what_its_message_asks_for(w: World<impl Ground>) {
    let s = session("a");
    w.join(&s, "w").await;
    w.send(&s, "one").await;
    let claimed = w.claimed("w", &s).await;
    w.committed(&claimed.lease, &w.turn_of(&claimed.record, &first_message(&claimed.mail))).await;
    let mut hints = w.listen("w").await;
    w.accepted(asking(&w, &s)).await;
    let heard = w.heard(&mut hints).await;
    let [Hint::Wake { mail: Some(mail), .. }] = &heard[..] else { panic!("{heard:?}") };
    assert!(matches!(&**mail, Mail::Message(message) if message.durability == ASKED), "{mail:?}");
}

pub async fn what_is_relayed_keeps_what_it_asks_for(w: World<impl Ground>) {
    let s = session("a");
    let grouped = NewMessage { group: Some("a-group".parse().unwrap()), ..asking(&w, &s) };
    let batch = [
        entry(1, RelayedKind::Message(Box::new(grouped))),
        entry(2, RelayedKind::Message(Box::new(w.message(&s, "plain")))),
    ];
    w.store().relay(w.partition(&s), Door::MAIN, None, &batch).await.unwrap();
    let asked: Vec<_> = messages(&w.seen(&s).await.inbox).iter().map(|message| message.durability).collect();
    assert_eq!(asked, [ASKED, Durability::MEMORY]);
    assert_eq!(w.record(&s).await.group, Some("a-group".parse().unwrap()));
}

pub async fn a_letter_keeps_what_its_message_asked_for_and_asks_again(w: World<impl Ground>) {
    let s = session("a");
    w.join(&s, "w").await;
    // Given up on by a worker,
    w.accepted(asking(&w, &s)).await;
    let claimed = w.claimed("w", &s).await;
    let message = first_message(&claimed.mail);
    let dead = Some(Done { dead: Some(("failed".into(), 5)), ..done(&message) });
    w.committed(&claimed.lease, &Boundary { done: dead, ..w.turn_of(&claimed.record, &message) }).await;
    // refused at the plain door,
    let refused = Refused {
        session: Some(s.clone()),
        id: None,
        reply_to: None,
        durability: ASKED,
        reason: "durability".into(),
        sentence: "no".into(),
        body: message.body.clone(),
    };
    let batch = [entry(1, RelayedKind::Refuse(Box::new(refused)))];
    w.store().relay(w.partition(&s), Door::MAIN, None, &batch).await.unwrap();
    // and deleted with its session.
    w.accepted(asking(&w, &s)).await;
    w.store().delete(&s, &pool("default"), Some(&worker("w"))).await.unwrap();
    let letters = w.holds(&s).await.dead;
    let reasons: Vec<_> = letters.iter().map(|letter| (letter.reason.as_str(), letter.durability)).collect();
    assert_eq!(reasons, [("failed", ASKED), ("durability", ASKED), ("deleted", ASKED)]);
    for letter in &letters {
        w.store().revive(letter, w.name(), &pool("default")).await.unwrap();
    }
    let inbox = messages(&w.seen(&s).await.inbox);
    assert_eq!(inbox.iter().map(|message| message.durability).collect::<Vec<_>>(), [ASKED; 3]);
}

pub async fn a_message_that_asks_for_nothing_is_one_that_asks_for_memory(w: World<impl Ground>) {
    let s = session("a");
    w.send(&s, "hello").await;
    assert_eq!(first_message(&w.seen(&s).await.inbox).durability, Durability::MEMORY);
}
