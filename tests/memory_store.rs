//! What is particular to the memory store: its clock, its waits, its journal.

use std::{sync::Arc, time::Duration};

use tenure::{
    model::{Door, Millis, Settings},
    store::{
        HistoryRange, Listener, MemoryStore, Store,
        memory::{ManualClock, ServerClock},
    },
};

fn clock() -> ManualClock {
    ManualClock::at(Millis(1_800_000_000_000))
}

fn store() -> MemoryStore {
    MemoryStore::new("test".parse().unwrap(), Settings::default(), Arc::new(clock()))
}

#[tokio::test(start_paused = true)]
async fn every_wait_ends_when_its_time_is_over() {
    let (store, wait) = (store(), Duration::from_secs(30));
    let session = "echo/a".parse().unwrap();
    assert_eq!(store.take_reply(&"r".parse().unwrap(), wait).await.unwrap(), None);
    assert!(store.ingress(Door::MAIN, 10, wait).await.unwrap().entries.is_empty());
    assert!(store.history(&session, HistoryRange::After(None, 10), wait).await.unwrap().is_empty());
    let mut listener = store.listen(&"w".parse().unwrap()).await.unwrap();
    assert!(
        tokio::time::timeout(wait, listener.recv()).await.is_err(),
        "a listener waits as long as it is let"
    );
}

#[tokio::test]
async fn the_store_takes_its_time_from_the_clock_it_was_given_and_from_nowhere_else() {
    let clock = clock();
    let store = MemoryStore::new("test".parse().unwrap(), Settings::default(), Arc::new(clock.clone()));
    let field = [(b"body".to_vec(), b"x".to_vec())];
    let first = store.post(Door::MAIN, &field).await.unwrap();
    clock.advance(Duration::from_millis(5));
    let second = store.post(Door::MAIN, &field).await.unwrap();
    assert_eq!((first.millis + 5, first.seq, second.seq), (second.millis, 0, 0));
    assert_eq!(second.millis, clock.now().0);
}

#[tokio::test]
async fn a_journal_has_a_line_for_each_operation_and_is_the_same_for_the_same_operations() {
    let run = async || {
        let store =
            MemoryStore::with_journal("test".parse().unwrap(), Settings::default(), Arc::new(clock()));
        store.configure(&Settings::default()).await.unwrap();
        store.look(&"echo/a".parse().unwrap()).await.unwrap();
        store.journal()
    };
    let journal = run().await;
    assert_eq!(journal.len(), 2);
    assert_eq!(journal[1], "1800000000000 look echo/a -> Ok(Absent)");
    assert_eq!(journal, run().await);
    assert!(store().journal().is_empty(), "it is written only where it was asked for");
}

#[tokio::test]
async fn clones_are_the_same_store() {
    let (one, field) = (store(), [(b"body".to_vec(), b"x".to_vec())]);
    let id = one.clone().post(Door::MAIN, &field).await.unwrap();
    assert_eq!(one.ingress(Door::MAIN, 10, Duration::ZERO).await.unwrap().entries[0].id, id);
}
