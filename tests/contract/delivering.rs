//! `deliver` and `take_reply`: replies on their last way.

use std::time::Duration;

use tenure::{
    model::{Body, SessionId},
    store::{Deliverer, OutReply, Store},
};

use super::{ground::Ground, world::*};

const HOUR: Duration = Duration::from_secs(60 * 60);

/// A reply of `echo/a`, written to `out` for `list`.
async fn written(w: &World<impl Ground>, s: &SessionId, list: &str) -> Vec<OutReply> {
    w.join(s, "w").await;
    w.asked_again(s, list).await;
    w.takes_a_turn("w", s).await
}

pub async fn replies_are_pushed_in_order_and_taken_once(w: World<impl Ground>) {
    let s = session("a");
    let mut replies = written(&w, &s, "r").await;
    replies.extend(written(&w, &s, "r").await);
    assert_eq!(w.takes_reply("r").await, None);
    w.hands_out(&s, &replies).await;
    assert_eq!(w.holds(&s).await.out, []);
    for n in [1, 2] {
        assert_eq!(w.takes_reply("r").await, Some(format!("{{\"answer\":{n}}}")));
    }
    assert_eq!(w.takes_reply("r").await, None);
}

pub async fn a_repeated_delivery_pushes_nothing_again(w: World<impl Ground>) {
    let s = session("a");
    let replies = written(&w, &s, "r").await;
    w.hands_out(&s, &replies).await;
    w.hands_out(&s, &replies).await;
    assert!(w.takes_reply("r").await.is_some());
    assert_eq!(w.takes_reply("r").await, None);
}

pub async fn a_repeated_delivery_leaves_the_time_of_its_list_as_it_was(w: World<impl Ground>) {
    let s = session("a");
    let replies = written(&w, &s, "r").await;
    w.hands_out(&s, &replies).await;
    w.advance(HOUR / 2);
    w.hands_out(&s, &replies).await;
    w.advance(HOUR / 2 + MS);
    assert_eq!(w.takes_reply("r").await, None);
}

pub async fn what_its_writer_delivered_nobody_delivers_again(w: World<impl Ground>) {
    let s = session("a");
    w.occupy(&key("taken")).await;
    let mut replies = written(&w, &s, "r").await;
    replies.extend(written(&w, &s, "taken").await);
    replies.extend(written(&w, &s, "r").await);
    w.store().deliver(w.partition(&s), &replies, Deliverer::Writer).await.unwrap();
    let held = w.holds(&s).await;
    assert_eq!((held.out.len(), held.dead.len()), (0, 1));
    w.hands_out(&s, &replies).await;
    for n in [1, 3] {
        assert_eq!(w.takes_reply("r").await, Some(format!("{{\"answer\":{n}}}")));
    }
    assert_eq!((w.takes_reply("r").await, w.holds(&s).await.dead.len()), (None, 1));
}

pub async fn a_reply_waits_an_hour_from_the_last_push_to_its_key(w: World<impl Ground>) {
    let s = session("a");
    w.hands_out(&s, &written(&w, &s, "r").await).await;
    w.advance(HOUR);
    w.hands_out(&s, &written(&w, &s, "r").await).await;
    w.advance(HOUR);
    assert!(w.takes_reply("r").await.is_some(), "the second push lengthened it");
    w.advance(MS);
    assert_eq!(w.takes_reply("r").await, None);
}

pub async fn a_key_that_takes_no_reply_puts_it_into_dead_and_holds_up_no_other(w: World<impl Ground>) {
    let s = session("a");
    w.occupy(&key("taken")).await;
    let mut replies = written(&w, &s, "taken").await;
    replies.extend(written(&w, &s, "r").await);
    let message = w.history(&s).await[0].message;
    w.hands_out(&s, &replies).await;
    assert!(w.takes_reply("r").await.is_some());
    let held = w.holds(&s).await;
    assert_eq!((held.out.len(), held.dead.len()), (0, 1));
    let letter = &held.dead[0];
    assert_eq!((letter.reason.as_str(), &letter.session, letter.message), ("reply_to", &Some(s), message));
    assert_eq!(
        (&letter.reply_to, &letter.body),
        (&Some(key("taken")), &Body::parse("{\"answer\":1}").unwrap())
    );
}

pub async fn whoever_waits_for_a_reply_gets_it(w: World<impl Ground>) {
    let s = session("a");
    let replies = written(&w, &s, "r").await;
    let list = key("r");
    let (reply, ()) = tokio::join!(w.store().take_reply(&list, Duration::from_secs(20)), async {
        tokio::task::yield_now().await;
        w.hands_out(&s, &replies).await;
    });
    assert_eq!(reply.unwrap().as_deref(), Some("{\"answer\":1}"));
}

pub async fn a_wait_for_a_reply_that_is_given_up_takes_none(w: World<impl Ground>) {
    let s = session("a");
    let replies = written(&w, &s, "r").await;
    let list = key("r");
    let given_up =
        tokio::time::timeout(Duration::from_millis(20), w.store().take_reply(&list, Duration::from_secs(20)));
    assert!(given_up.await.is_err());
    w.hands_out(&s, &replies).await;
    let waited = w.store().take_reply(&list, Duration::from_secs(20)).await.unwrap();
    assert_eq!(waited.as_deref(), Some("{\"answer\":1}"));
}
