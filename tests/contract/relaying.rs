//! The plain door: `post`, `ingress`, `relay` and their cursors.

use std::{collections::BTreeMap, time::Duration};

use tenure::{
    model::{Body, Door, NewMessage, Partition, SessionId, StreamId},
    store::{Cursors, Hint, Refusal, Refused, Relay, Relayed, RelayedKind, Sent, Store, memory::Meddling},
};

use super::{ground::Ground, world::*};

fn at(millis: u64) -> StreamId {
    StreamId { millis, seq: 0 }
}

fn entry(millis: u64, message: NewMessage) -> Relayed {
    Relayed { id: at(millis), what: RelayedKind::Message(Box::new(message)) }
}

fn malformed(session: Option<&SessionId>, reply_to: Option<&str>) -> RelayedKind {
    RelayedKind::Refuse(Box::new(Refused {
        session: session.cloned(),
        id: Some("k/\"1".parse().unwrap()),
        reply_to: reply_to.map(key),
        durability: Default::default(),
        reason: "malformed".into(),
        sentence: "a field is \"missing\"".into(),
        body: Body::text("as it came"),
    }))
}

fn all_partitions(w: &World<impl Ground>) -> Vec<Partition> {
    w.store().partitions().all().collect()
}

/// The cursors of partitions, all of which answer.
async fn taken_by(w: &World<impl Ground>, door: Door, of: &[Partition]) -> BTreeMap<Partition, StreamId> {
    let Cursors { taken, unknown } = w.store().cursors(door, of).await.unwrap();
    assert!(unknown.is_empty(), "{unknown:?}");
    taken
}

async fn relay(
    w: &World<impl Ground>,
    s: &SessionId,
    previous: Option<StreamId>,
    batch: &[Relayed],
) -> Relay {
    w.store().relay(w.partition(s), Door::MAIN, previous, batch).await.unwrap()
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).expect("JSON")
}

pub async fn a_batch_is_taken_in_order_and_moves_the_cursor(w: World<impl Ground>) {
    let (s, other) = (session("{x}1"), session("{x}2"));
    let batch = [
        entry(1, w.message(&s, "one")),
        entry(2, w.message(&other, "two")),
        entry(3, w.message(&s, "three")),
    ];
    let Relay::Taken(sent) = relay(&w, &s, None, &batch).await else { panic!("nothing was taken before") };
    let numbers = sent.iter().map(|sent| match sent {
        Sent::Accepted { number, .. } => *number,
        other => panic!("{other:?}"),
    });
    assert_eq!(numbers.collect::<Vec<_>>(), [1, 1, 2]);
    assert_eq!(taken_by(&w, Door::MAIN, &all_partitions(&w)).await, [(w.partition(&s), at(3))].into());
    assert_eq!(taken_by(&w, Door::MAIN, &[]).await, [].into(), "of those that were asked for");
    assert!(w.is_ready(&s).await && w.is_ready(&other).await);
    assert_eq!(relay(&w, &s, Some(at(3)), &[]).await, Relay::Taken(vec![]));
}

pub async fn a_batch_after_another_entry_than_the_last_taken_is_not_taken(w: World<impl Ground>) {
    let s = session("a");
    let first = [entry(5, w.message(&s, "one"))];
    relay(&w, &s, None, &first).await;
    let before = w.snapshot().await;
    let next = [entry(6, w.message(&s, "two"))];
    for previous in [None, Some(at(4)), Some(at(6)), Some(StreamId { millis: 5, seq: 1 })] {
        assert_eq!(relay(&w, &s, previous, &next).await, Relay::Elsewhere(Some(at(5))), "{previous:?}");
    }
    assert_eq!(
        relay(&w, &s, None, &first).await,
        Relay::Elsewhere(Some(at(5))),
        "a repeat learns where it is"
    );
    assert_eq!(w.snapshot().await, before);
    assert_eq!(
        relay(&w, &session("{b}1"), Some(at(5)), &[]).await,
        Relay::Elsewhere(None),
        "partitions differ"
    );
}

pub async fn the_cursor_never_goes_back(w: World<impl Ground>) {
    let s = session("a");
    relay(&w, &s, None, &[entry(10, w.message(&s, "one"))]).await;
    let older = [entry(9, w.message(&s, "from a source whose ids went back"))];
    assert!(matches!(relay(&w, &s, Some(at(10)), &older).await, Relay::Taken(_)));
    assert_eq!(w.holds(&s).await.cursors.get(&Door::MAIN), Some(&at(10)));
    let within = Relayed { id: StreamId { millis: 10, seq: 9 }, ..entry(0, w.message(&s, "two")) };
    relay(&w, &s, Some(at(10)), &[within]).await;
    let tenth = Relayed { id: StreamId { millis: 10, seq: 10 }, ..entry(0, w.message(&s, "three")) };
    relay(&w, &s, Some(StreamId { millis: 10, seq: 9 }), &[tenth]).await;
    assert_eq!(
        w.holds(&s).await.cursors.get(&Door::MAIN),
        Some(&StreamId { millis: 10, seq: 10 }),
        "ids are numbers, not text"
    );
}

pub async fn what_cannot_be_read_goes_to_dead_and_holds_up_nobody(w: World<impl Ground>) {
    let s = session("a");
    let batch = [
        Relayed { id: at(1), what: malformed(Some(&s), Some("r")) },
        Relayed { id: at(2), what: malformed(None, None) },
        entry(3, w.message(&s, "fine")),
    ];
    let Relay::Taken(sent) = relay(&w, &s, None, &batch).await else { panic!() };
    assert_eq!(sent[..2], [Sent::Refused(Refusal::Malformed), Sent::Refused(Refusal::Malformed)]);
    assert!(matches!(sent[2], Sent::Accepted { number: 1, .. }));
    let held = w.holds(&s).await;
    assert_eq!(
        held.dead.iter().map(|letter| letter.session.clone()).collect::<Vec<_>>(),
        [Some(s.clone()), None]
    );
    let letter = &held.dead[0];
    assert_eq!(
        (letter.message, letter.reason.as_str(), letter.tries, letter.time),
        (None, "malformed", 0, w.now())
    );
    assert_eq!((&letter.body, &letter.reply_to), (&Body::text("as it came"), &Some(key("r"))));
    assert_eq!(to(&held.out), ["r"]);
    let error = serde_json::json!({"session": "echo/a", "id": "k/\"1",
        "error": {"reason": "malformed", "message": "a field is \"missing\""}});
    assert_eq!(json(&held.out[0].payload), error);
}

pub async fn what_a_session_refuses_goes_to_dead_with_an_error_for_its_sender(w: World<impl Ground>) {
    let (full, newer) = (session("{x}1"), session("{x}2"));
    for n in 0..120 {
        w.send(&full, &n.to_string()).await;
    }
    w.send(&newer, "hello").await;
    w.meddle(&newer, Meddling::NewerVersion).await;
    let large = Body::text(&"x".repeat(2_000));
    let batch = [
        entry(1, NewMessage { reply_to: Some(key("r")), ..w.message(&full, "no room") }),
        entry(2, NewMessage { body: large.clone(), ..w.message(&full, "") }),
        entry(3, w.message(&newer, "what is this")),
    ];
    let Relay::Taken(sent) = relay(&w, &full, None, &batch).await else { panic!() };
    let refusals = [Refusal::Full, Refusal::TooLarge, Refusal::Unreadable];
    assert_eq!(sent, refusals.map(Sent::Refused));
    let held = w.store().dead(w.partition(&full), None, 10).await.unwrap();
    assert_eq!(
        held.iter().map(|letter| letter.reason.as_str()).collect::<Vec<_>>(),
        ["full", "too_large", "unreadable"]
    );
    assert_eq!(held[1].body, large);
    assert!(held.iter().all(|letter| letter.message.is_none()), "none of them was accepted");
    w.advance(Duration::from_secs(3));
    let out = w.store().survey(w.partition(&full), &[]).await.unwrap().out;
    assert_eq!(out.len(), 1);
    let error = serde_json::json!({"session": full, "error": {"reason": "full", "message": "the session's inbox is full"}});
    assert_eq!(json(&out[0].payload), error);
}

pub async fn a_batch_that_names_another_pool_is_not_taken_at_all(w: World<impl Ground>) {
    let (s, fresh) = (session("{x}1"), session("{x}2"));
    w.send(&s, "hello").await;
    let elsewhere = |message| NewMessage { pool: pool("other"), ..message };
    let before = w.snapshot().await;
    let batch = [entry(1, elsewhere(w.message(&fresh, "one"))), entry(2, elsewhere(w.message(&s, "two")))];
    assert_eq!(relay(&w, &s, None, &batch).await, Relay::OtherPool { index: 1, pool: pool("default") });
    let batch = [
        Relayed { id: at(1), what: malformed(None, None) },
        entry(2, elsewhere(w.message(&fresh, "one"))),
        entry(3, w.message(&fresh, "of the same session, another pool")),
    ];
    assert_eq!(relay(&w, &s, None, &batch).await, Relay::OtherPool { index: 2, pool: pool("other") });
    assert_eq!(w.snapshot().await, before);
}

pub async fn an_id_seen_before_is_a_repeat_at_the_plain_door_too(w: World<impl Ground>) {
    let s = session("a");
    let first = w.accepted(w.message_with_id(&s, "k")).await;
    let batch = [entry(1, NewMessage { reply_to: Some(key("r")), ..w.message_with_id(&s, "k") })];
    let repeat = Sent::Repeat { message: first.message, answer: None };
    assert_eq!(relay(&w, &s, None, &batch).await, Relay::Taken(vec![repeat]));
    w.join(&s, "w").await;
    assert_eq!(to(&w.takes_a_turn("w", &s).await), ["r"]);
}

pub async fn who_must_know_of_relayed_messages_is_told(w: World<impl Ground>) {
    let (owned, free) = (session("{x}1"), session("{x}2"));
    let (claimed, message) = w.claimed_with_mail("w", &owned).await;
    w.committed(&claimed.lease, &w.turn_of(&claimed.record, &message)).await;
    w.join_with_load(&owned, "v", 0).await;
    let (mut owner, mut idle) = (w.listen("w").await, w.listen("v").await);
    let batch = [
        entry(1, w.message(&owned, "one")),
        entry(2, w.message(&owned, "two")),
        entry(3, w.message(&free, "x")),
    ];
    relay(&w, &owned, None, &batch).await;
    let heard = w.heard(&mut owner).await;
    assert!(matches!(&heard[..], [Hint::Wake { mail: Some(_), .. }]), "once, for the first: {heard:?}");
    assert_eq!(w.heard(&mut idle).await, [Hint::Offer { session: free }]);
}

pub async fn each_door_has_a_cursor_of_its_own_in_each_partition(w: World<impl Ground>) {
    let s = session("a");
    let (store, partition) = (w.store(), w.partition(&s));
    let doors = [Door::MAIN, Door::numbered(0).unwrap(), Door::numbered(3).unwrap()];
    for (door, millis) in doors.into_iter().zip([7, 5, 9]) {
        let batch = [entry(millis, w.message(&s, &door.to_string()))];
        let taken = store.relay(partition, door, None, &batch).await.unwrap();
        assert!(matches!(taken, Relay::Taken(_)), "{door}: what others gave does not count");
        let again = store.relay(partition, door, None, &batch).await.unwrap();
        assert_eq!(again, Relay::Elsewhere(Some(at(millis))));
    }
    for (door, millis) in doors.into_iter().zip([7, 5, 9]) {
        assert_eq!(taken_by(&w, door, &all_partitions(&w)).await, [(partition, at(millis))].into(), "{door}");
    }
    assert_eq!(w.holds(&s).await.cursors, doors.into_iter().zip([7, 5, 9].map(at)).collect());
    assert!(taken_by(&w, Door::numbered(1).unwrap(), &[partition]).await.is_empty());
}

pub async fn an_id_that_came_by_one_door_is_a_repeat_at_another(w: World<impl Ground>) {
    let s = session("a");
    let mut first = None;
    for door in [Door::numbered(2).unwrap(), Door::MAIN, Door::numbered(1).unwrap()] {
        let batch = [entry(1, w.message_with_id(&s, "k"))];
        let taken = w.store().relay(w.partition(&s), door, None, &batch).await.unwrap();
        let Relay::Taken(sent) = taken else { panic!("{taken:?}") };
        match (first, &sent[0]) {
            (None, Sent::Accepted { message, number: 1 }) => first = Some(*message),
            (Some(first), Sent::Repeat { message, .. }) => assert_eq!(*message, first, "{door}"),
            (_, other) => panic!("{door}: {other:?}"),
        }
    }
}

// ---- the stream itself

fn fields(body: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
    vec![
        (b"to".to_vec(), b"echo/a".to_vec()),
        (b"body".to_vec(), body.into()),
        (b"odd".to_vec(), vec![0xff, 0]),
    ]
}

pub async fn the_plain_door_gives_its_oldest_entries_as_they_were_posted(w: World<impl Ground>) {
    let none = w.store().ingress(Door::MAIN, 10, Duration::ZERO).await.unwrap();
    assert_eq!((none.entries.len(), none.last), (0, StreamId::default()));
    let mut ids = Vec::new();
    for body in ["one", "two", "three"] {
        ids.push(w.store().post(Door::MAIN, &fields(body)).await.unwrap());
    }
    assert_eq!(ids[0], at(w.now().0));
    let page = w.store().ingress(Door::MAIN, 2, Duration::ZERO).await.unwrap();
    assert_eq!(page.entries.iter().map(|entry| entry.id).collect::<Vec<_>>(), ids[..2]);
    assert_eq!((&page.entries[1].fields, page.last), (&fields("two"), ids[2]));
    w.store().remove_ingress(Door::MAIN, &ids[..2]).await.unwrap();
    w.store().remove_ingress(Door::MAIN, &ids[..2]).await.unwrap();
    let left = w.store().ingress(Door::MAIN, 10, Duration::ZERO).await.unwrap();
    assert_eq!((left.entries.len(), left.entries[0].id), (1, ids[2]));
}

pub async fn the_plain_door_remembers_its_last_id_when_it_is_empty(w: World<impl Ground>) {
    let id = w.store().post(Door::MAIN, &fields("one")).await.unwrap();
    w.store().remove_ingress(Door::MAIN, &[id]).await.unwrap();
    assert_eq!(w.store().ingress(Door::MAIN, 10, Duration::ZERO).await.unwrap().last, id);
}

pub async fn the_plain_door_can_be_moved_forward_and_never_back(w: World<impl Ground>) {
    let ahead = at(w.now().0 + 1_000);
    w.store().advance_ingress(Door::MAIN, ahead).await.unwrap();
    assert_eq!(w.store().ingress(Door::MAIN, 10, Duration::ZERO).await.unwrap().last, ahead);
    let next = w.store().post(Door::MAIN, &fields("one")).await.unwrap();
    assert_eq!(next, StreamId { seq: 1, ..ahead });
    w.store().advance_ingress(Door::MAIN, at(5)).await.unwrap();
    let still = w.store().ingress(Door::MAIN, 10, Duration::ZERO).await.unwrap();
    assert_eq!((still.last, still.entries.len()), (next, 1));
}

pub async fn plain_doors_know_nothing_of_one_another(w: World<impl Ground>) {
    let (store, other) = (w.store(), Door::numbered(1).unwrap());
    let main = store.post(Door::MAIN, &fields("main")).await.unwrap();
    let one = store.post(other, &fields("other")).await.unwrap();
    let ahead = at(w.now().0 + 1_000);
    store.advance_ingress(other, ahead).await.unwrap();
    let seen = store.ingress(other, 10, Duration::ZERO).await.unwrap();
    assert_eq!((seen.entries.len(), &seen.entries[0].fields, seen.last), (1, &fields("other"), ahead));
    store.remove_ingress(other, &[main, one]).await.unwrap();
    assert!(store.ingress(other, 10, Duration::ZERO).await.unwrap().entries.is_empty());
    let seen = store.ingress(Door::MAIN, 10, Duration::ZERO).await.unwrap();
    assert_eq!((seen.entries.len(), seen.last), (1, main));
}

pub async fn whoever_waits_at_the_plain_door_sees_the_first_entry(w: World<impl Ground>) {
    let (page, posted) = tokio::join!(w.store().ingress(Door::MAIN, 10, Duration::from_secs(20)), async {
        tokio::task::yield_now().await;
        w.store().post(Door::MAIN, &fields("one")).await.unwrap()
    });
    assert_eq!(page.unwrap().entries[0].id, posted);
}
