//! Looking at sessions, and at what they wrote.

use std::time::Duration;

use tenure::{
    model::{EntryId, Epoch, SessionId},
    store::{Boundary, HistoryRange, Look, Store, memory::Meddling},
};

use super::{ground::Ground, world::*};

pub async fn a_look_sees_a_session_as_it_stands(w: World<impl Ground>) {
    let s = session("a");
    assert_eq!(w.store().look(&s).await.unwrap(), Look::Absent);
    w.send(&s, "one").await;
    w.send(&s, "two").await;
    let Look::Here(sight) = w.store().look(&s).await.unwrap() else { panic!("it is there") };
    assert_eq!((sight.waiting, sight.record), (2, w.seen(&s).await.record));
    w.meddle(&s, Meddling::NewerVersion).await;
    assert!(matches!(w.store().look(&s).await.unwrap(), Look::Unreadable(_)));
}

pub async fn sessions_are_listed_in_pages_by_their_ids(w: World<impl Ground>) {
    let mut all: Vec<_> =
        ["b", "a", "ab", "Z", "é", "a-"].iter().map(|key| session(&format!("{{x}}{key}"))).collect();
    for s in &all {
        w.send(s, "hello").await;
    }
    all.sort();
    let partition = w.partition(&all[0]);
    let page = async |after: Option<&SessionId>| w.store().sessions(partition, after, 4).await.unwrap();
    assert_eq!(page(None).await, all[..4]);
    assert_eq!(page(Some(&all[3])).await, all[4..]);
    let between = session("{x}aa");
    assert_eq!(page(Some(&between)).await[0], session("{x}ab"), "also after one that is not there");
}

/// A session with six entries.
async fn with_history(w: &World<impl Ground>) -> SessionId {
    let s = session("a");
    let (claimed, message) = w.claimed_with_mail("w", &s).await;
    w.committed(&claimed.lease, &w.turn_of(&claimed.record, &message)).await;
    for _ in 0..2 {
        let again = w.claimed("w", &s).await;
        let entries = w.turn_of(&again.record, &message).entries;
        w.committed(&again.lease, &Boundary { entries, ..w.boundary(&again.record) }).await;
    }
    s
}

pub async fn a_history_is_given_oldest_first_whatever_part_is_asked_for(w: World<impl Ground>) {
    let s = with_history(&w).await;
    let all = w.history(&s).await;
    assert_eq!(all.iter().map(|entry| entry.id.seq).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    let part = async |range| w.store().history(&s, range, Duration::ZERO).await.unwrap();
    assert_eq!(part(HistoryRange::Newest(4)).await, all[2..]);
    assert_eq!(part(HistoryRange::Newest(99)).await, all);
    assert_eq!(part(HistoryRange::After(None, 3)).await, all[..3]);
    assert_eq!(part(HistoryRange::After(Some(all[1].id), 3)).await, all[2..5]);
    assert_eq!(part(HistoryRange::After(Some(all[5].id), 3)).await, []);
    let between = EntryId { epoch: all[2].id.epoch, seq: 0 };
    assert_eq!(part(HistoryRange::After(Some(between), 1)).await, all[2..3], "epochs come before numbers");
    let older = EntryId { epoch: Epoch(1), seq: 99 };
    assert_eq!(part(HistoryRange::After(Some(older), 1)).await, all[..1]);
}

pub async fn a_session_that_is_not_there_has_no_history(w: World<impl Ground>) {
    assert_eq!(w.history(&session("none")).await, []);
}

pub async fn whoever_follows_a_history_sees_the_next_entry(w: World<impl Ground>) {
    let s = session("a");
    let (claimed, message) = w.claimed_with_mail("w", &s).await;
    let boundary = w.turn_of(&claimed.record, &message);
    let range = HistoryRange::After(None, 10);
    let (seen, _) = tokio::join!(w.store().history(&s, range, Duration::from_secs(20)), async {
        tokio::task::yield_now().await;
        w.committed(&claimed.lease, &boundary).await
    });
    assert_eq!(seen.unwrap(), w.history(&s).await);
}
