//! `commit` at class `memory`, with a list on the session's own server: the reply is in the list with it.

use std::time::Duration;

use tenure::{
    model::NewMessage,
    store::{Boundary, Claimed, Done},
};

use super::{ground::Ground, world::*};

const HOUR: Duration = Duration::from_secs(60 * 60);
const ANSWER: &str = "{\"answer\":1}";

/// A claimed session whose first message wants its reply in `r`, and the end of its turn.
async fn about_to_end(w: &World<impl Ground>) -> (Claimed, Boundary) {
    let s = session("a");
    w.join(&s, "w").await;
    w.accepted(NewMessage { reply_to: Some(key("r")), ..w.message_with_id(&s, "k") }).await;
    let claimed = w.claimed("w", &s).await;
    let end = w.turn_of(&claimed.record, &first_message(&claimed.mail));
    (claimed, end)
}

pub async fn a_reply_is_in_its_list_with_the_commit_and_never_in_out(w: World<impl Ground>) {
    let (claimed, end) = about_to_end(&w).await;
    let s = session("a");
    assert_eq!(w.committed(&claimed.lease, &end).await.0, [], "nothing is left to hand out");
    let held = w.holds(&s).await;
    assert_eq!((held.out.len(), held.dead.len()), (0, 0));
    let kept = held.ids.values().next().expect("the id is kept");
    assert_eq!(kept.answer.as_deref(), Some(ANSWER));
    assert_eq!(w.takes_reply("r").await.as_deref(), Some(ANSWER));
    assert_eq!(w.takes_reply("r").await, None);
}

pub async fn a_repeated_commit_pushes_its_reply_once(w: World<impl Ground>) {
    let (claimed, end) = about_to_end(&w).await;
    w.committed(&claimed.lease, &end).await;
    assert_eq!(w.committed(&claimed.lease, &end).await.0, []);
    assert!(w.takes_reply("r").await.is_some());
    assert_eq!(w.committed(&claimed.lease, &end).await.0, []);
    assert_eq!(w.takes_reply("r").await, None, "also when it was taken");
    assert_eq!(w.holds(&session("a")).await.out, []);
}

pub async fn a_commit_that_is_not_written_pushes_nothing(w: World<impl Ground>) {
    let (claimed, end) = about_to_end(&w).await;
    let s = session("a");
    w.commits(&claimed.lease, &Boundary { after: 7, ..end.clone() }).await;
    let done = end.done.clone().map(|done| Done { number: 7, ..done });
    w.commits(&claimed.lease, &Boundary { done, ..end.clone() }).await;
    w.claimed("w", &s).await;
    w.commits(&claimed.lease, &end).await;
    assert_eq!(w.takes_reply("r").await, None);
}

pub async fn a_reply_pushed_with_its_commit_waits_an_hour_from_the_last_one(w: World<impl Ground>) {
    let (claimed, end) = about_to_end(&w).await;
    w.committed(&claimed.lease, &end).await;
    w.advance(HOUR);
    let s = session("a");
    w.accepted(NewMessage { reply_to: Some(key("r")), ..w.message(&s, "again") }).await;
    w.takes_a_turn("w", &s).await;
    w.advance(HOUR);
    assert_eq!(w.takes_reply("r").await.as_deref(), Some(ANSWER), "the second push lengthened it");
    w.advance(MS);
    assert_eq!(w.takes_reply("r").await, None);
}

pub async fn a_key_that_takes_no_push_leaves_the_reply_in_out_and_then_in_dead(w: World<impl Ground>) {
    w.occupy(&key("r")).await;
    let (claimed, end) = about_to_end(&w).await;
    let s = session("a");
    let (out, _) = w.committed(&claimed.lease, &end).await;
    assert_eq!(to(&out), ["r"]);
    assert_eq!(w.holds(&s).await.out, out);
    assert_eq!(w.committed(&claimed.lease, &end).await.0, [], "a repeat writes nothing");
    w.hands_out(&s, &out).await;
    let held = w.holds(&s).await;
    assert_eq!((held.out.len(), held.dead.len()), (0, 1));
    assert_eq!((held.dead[0].reason.as_str(), &held.dead[0].reply_to), ("reply_to", &Some(key("r"))));
}

pub async fn who_asked_again_gets_the_reply_through_out_and_who_sent_it_at_once(w: World<impl Ground>) {
    let (claimed, end) = asked_for_again(&w).await;
    let s = session("a");
    let (out, _) = w.committed(&claimed.lease, &end).await;
    assert_eq!(to(&out), ["a", "z"], "the sender's own list is none of them");
    w.hands_out(&s, &out).await;
    for list in ["r", "a", "z"] {
        assert_eq!(w.takes_reply(list).await.as_deref(), Some(ANSWER), "{list}");
        assert_eq!(w.takes_reply(list).await, None, "{list} has it once");
    }
}

pub async fn an_error_in_place_of_a_reply_is_pushed_as_well(w: World<impl Ground>) {
    let (claimed, end) = about_to_end(&w).await;
    let given_up = end.done.clone().map(|done| Done { dead: Some(("failed".into(), 5)), ..done });
    w.committed(&claimed.lease, &Boundary { done: given_up, ..end }).await;
    assert_eq!(w.takes_reply("r").await.as_deref(), Some(ANSWER));
    let held = w.holds(&session("a")).await;
    assert_eq!((held.out.len(), held.dead.len()), (0, 1));
}

pub async fn whoever_waits_for_a_reply_gets_it_with_the_commit(w: World<impl Ground>) {
    let (claimed, end) = about_to_end(&w).await;
    let list = key("r");
    let (reply, ()) = tokio::join!(w.waits_for_reply(&list), async {
        tokio::task::yield_now().await;
        w.committed(&claimed.lease, &end).await;
    });
    assert_eq!(reply.as_deref(), Some(ANSWER));
}

/// The end of a turn, for whose reply two ask again and the sender too.
async fn asked_for_again(w: &World<impl Ground>) -> (Claimed, Boundary) {
    let about = about_to_end(w).await;
    for list in ["z", "a", "r"] {
        w.sent(&NewMessage { reply_to: Some(key(list)), ..w.message_with_id(&session("a"), "k") }).await;
    }
    about
}

pub async fn a_reply_at_any_other_class_is_left_in_out(w: World<impl Ground>) {
    let (claimed, end) = asked_for_again(&w).await;
    let end = Boundary { class: "replicas:1".parse().unwrap(), ..end };
    let (out, _) = w.committed(&claimed.lease, &end).await;
    assert_eq!(to(&out), ["r", "a", "z"], "each list once, the sender's own first");
    assert_eq!(w.holds(&session("a")).await.out, out);
    assert_eq!(w.takes_reply("r").await, None);
}
