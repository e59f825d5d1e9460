//! An offer: who is told that a session wants an owner.

use tenure::store::{Hint, Offer, Store};

use super::{ground::Ground, world::*};

/// A session in `ready` that nobody was told of.
async fn unoffered(w: &World<impl Ground>) -> tenure::model::SessionId {
    let s = session("a");
    w.send(&s, "hello").await;
    s
}

pub async fn the_least_loaded_worker_is_told_and_counts_one_session_more(w: World<impl Ground>) {
    let s = unoffered(&w).await;
    w.join_with_load(&s, "busy", 2_500).await;
    w.join_with_load(&s, "free", 1_900).await;
    let (mut busy, mut free) = (w.listen("busy").await, w.listen("free").await);
    let offer = async || w.store().offer(&s, &pool("default"), None).await.unwrap();
    assert_eq!(offer().await, Offer::Told(worker("free")));
    assert_eq!(w.idle(&s).await[&worker("free")], 2_900);
    assert_eq!(offer().await, Offer::Told(worker("busy")), "the other has less now");
    assert_eq!(w.heard(&mut free).await, [Hint::Offer { session: s.clone() }]);
    assert_eq!(w.heard(&mut busy).await, [Hint::Offer { session: s.clone() }]);
    assert!(w.is_ready(&s).await, "an offer is a hint");
}

pub async fn ties_fall_by_name(w: World<impl Ground>) {
    let s = unoffered(&w).await;
    let mut hints = Vec::new();
    for name in ["b", "a", "c"] {
        w.join_with_load(&s, name, 5).await;
        hints.push(w.listen(name).await);
    }
    for name in ["a", "b", "c", "a"] {
        assert_eq!(w.store().offer(&s, &pool("default"), None).await.unwrap(), Offer::Told(worker(name)));
    }
}

pub async fn those_who_do_not_hear_are_taken_out_of_idle_three_at_a_time(w: World<impl Ground>) {
    let s = unoffered(&w).await;
    for (load, name) in ["a", "b", "c", "d"].into_iter().enumerate() {
        w.join_with_load(&s, name, load as u64).await;
    }
    let _hears = w.listen("d").await;
    let offer = async || w.store().offer(&s, &pool("default"), None).await.unwrap();
    assert_eq!(offer().await, Offer::Nobody);
    assert_eq!(w.idle(&s).await.into_keys().collect::<Vec<_>>(), [worker("d")]);
    assert_eq!(offer().await, Offer::Told(worker("d")));
}

pub async fn whom_an_offer_leaves_out_is_not_told_and_not_counted(w: World<impl Ground>) {
    let s = unoffered(&w).await;
    for (load, name) in ["a", "b", "c", "d"].into_iter().enumerate() {
        w.join_with_load(&s, name, load as u64).await;
    }
    let (mut left_out, _hears) = (w.listen("a").await, w.listen("d").await);
    let offered = w.store().offer(&s, &pool("default"), Some(&worker("a"))).await.unwrap();
    assert_eq!(offered, Offer::Told(worker("d")), "the third that was tried");
    assert_eq!(w.heard(&mut left_out).await, []);
    assert_eq!(w.idle(&s).await.into_keys().collect::<Vec<_>>(), [worker("a"), worker("d")]);
}

pub async fn an_offer_stays_within_its_pool_and_agent(w: World<impl Ground>) {
    let s = unoffered(&w).await;
    let elsewhere = tenure::store::Presence { pool: pool("other"), load: Some(0), ..w.presence("w") };
    w.join_as(&s, &elsewhere).await;
    let _hears = w.listen("w").await;
    assert_eq!(w.store().offer(&s, &pool("default"), None).await.unwrap(), Offer::Nobody);
    assert_eq!(w.store().offer(&s, &pool("other"), None).await.unwrap(), Offer::Gone);
}

pub async fn a_session_that_left_ready_is_not_offered(w: World<impl Ground>) {
    let s = unoffered(&w).await;
    w.join_with_load(&s, "w", 0).await;
    let mut hints = w.listen("w").await;
    w.claimed("w", &s).await;
    assert_eq!(w.store().offer(&s, &pool("default"), None).await.unwrap(), Offer::Gone);
    assert_eq!(w.store().offer(&session("none"), &pool("default"), None).await.unwrap(), Offer::Gone);
    assert_eq!(w.heard(&mut hints).await, []);
}
