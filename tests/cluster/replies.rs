//! Replies whose lists are on other masters than their `out`.

use std::time::Duration;

use futures_util::future::join_all;
use tenure::store::{Deliverer, Store, StoreError};

use crate::{
    scene::Scene,
    slot,
    support::{RedisCluster, eventually},
};

/// Two lists that are on different masters.
const LISTS: [&str; 2] = ["reply:{a}", "reply:{b}"];

#[tokio::test]
async fn replies_of_many_at_once_arrive_in_order_by_few_pushes_wherever_their_lists_are() {
    let scene = Scene::start().await;
    let mut of_each = Vec::new();
    for at in [scene.partition_on(0), scene.partition_on(1)] {
        for n in 0..12 {
            let mut replies = Vec::new();
            for part in ["first", "then"] {
                let payload = format!("{at} {n:02} {part}");
                replies.push(scene.written(at, LISTS[n % 2], &payload).await);
            }
            of_each.push((at, replies));
        }
    }
    let before = scene.pushes().await;
    let all = of_each.iter().map(|(at, replies)| scene.store.deliver(*at, replies, Deliverer::Writer));
    join_all(all).await.into_iter().for_each(|delivered| delivered.expect("the masters answer"));
    let pushes = scene.pushes().await - before;
    assert!(pushes <= 8, "{pushes} for 48 replies to two lists");
    let again = of_each.iter().map(|(at, replies)| scene.store.deliver(*at, replies, Deliverer::Duty));
    join_all(again).await.into_iter().for_each(|delivered| delivered.expect("the masters answer"));
    for to in LISTS {
        let mut taken = scene.taken(to).await;
        assert_eq!(taken.len(), 24, "each once: {taken:?}");
        for pair in taken.chunks(2) {
            assert!(pair[0].ends_with("first") && pair[1].ends_with("then"), "{pair:?}");
        }
        taken.dedup();
        assert_eq!(taken.len(), 24, "{taken:?}");
    }
    for (at, _) in of_each {
        assert_eq!((scene.left(at).await, scene.dead(at).await), (0, 0));
    }
}

#[tokio::test]
async fn a_list_that_is_none_or_not_for_this_user_puts_its_replies_into_dead_and_holds_up_no_other() {
    let scene = Scene::start().await;
    let at = scene.partition_on(0);
    let worker = scene.store_of_a_worker().await;
    let _: () = scene.ask("reply:taken", redis::cmd("SET").arg("reply:taken").arg("x")).await;
    for by in [Deliverer::Writer, Deliverer::Duty] {
        let mut replies = Vec::new();
        for to in ["reply:taken", LISTS[0], "elsewhere:1", LISTS[1]] {
            replies.push(scene.written(at, to, to).await);
        }
        worker.deliver(at, &replies, by).await.expect("it holds up nobody");
        for to in LISTS {
            assert_eq!(scene.taken(to).await, [to]);
        }
        assert_eq!(scene.left(at).await, 0);
    }
    assert_eq!(scene.dead(at).await, 4);
    let dead = scene.store.dead(at, None, 10).await.expect("it answers");
    assert!(dead.iter().all(|letter| letter.reason == "reply_to"), "{dead:?}");
}

#[tokio::test]
async fn a_master_that_takes_no_writes_now_keeps_no_reply_from_its_list_for_good() {
    let scene = Scene::start().await;
    // Where `out` is takes writes, and the list's master none.
    let (to, near) = ("reply:{b}", "reply:{a}");
    let at = scene.partition_on(RedisCluster::master_of(slot(near), 2));
    let demand = async |replicas: u32| {
        let mut set = redis::cmd("CONFIG");
        scene.ask::<()>(to, set.arg("SET").arg("min-replicas-to-write").arg(replicas)).await;
    };
    let (held_up, other) = (scene.written(at, to, "1").await, scene.written(at, near, "2").await);
    demand(1).await;
    let refused = scene.store.deliver(at, &[held_up.clone(), other], Deliverer::Writer).await.unwrap_err();
    assert!(matches!(&refused, StoreError::Refused(why) if why.contains("replicas")), "{refused:?}");
    assert_eq!(
        (scene.left(at).await, scene.dead(at).await),
        (1, 0),
        "the other is delivered, and none is dead"
    );
    demand(0).await;
    scene.store.deliver(at, &[held_up], Deliverer::Duty).await.expect("it takes writes again");
    assert_eq!(
        (scene.taken(to).await, scene.taken(near).await),
        (vec!["1".to_owned()], vec!["2".to_owned()])
    );
}

#[tokio::test]
async fn while_a_lists_master_is_away_its_replies_stay_and_those_of_other_lists_arrive() {
    let mut scene = Scene::of_three().await;
    let (to, near) = ("reply:{b}", "reply:{a}");
    let (away, at) = (scene.master_of(to), scene.partition_on(scene.master_of(near)));
    assert_ne!(away, scene.master_of(near));
    let (held_up, other) = (scene.written(at, to, "1").await, scene.written(at, near, "2").await);
    scene.cluster.node_mut(away).kill();
    // Two at once, so that they share pipelines.
    let replies = [held_up.clone(), other];
    let (one, another) = tokio::join!(
        scene.store.deliver(at, &replies, Deliverer::Duty),
        scene.store.deliver(at, std::slice::from_ref(&held_up), Deliverer::Duty),
    );
    for delivered in [one, another] {
        let error = delivered.unwrap_err();
        assert!(error.passes(), "whoever gave no answer is asked again: {error:?}");
    }
    assert_eq!((scene.left(at).await, scene.dead(at).await), (1, 0), "it waits, and none is dead");
    assert_eq!(scene.taken(near).await, ["2"]);
    scene.cluster.node_mut(away).restart();
    let is_delivered =
        async || scene.store.deliver(at, std::slice::from_ref(&held_up), Deliverer::Duty).await.is_ok();
    eventually("its master is back", Duration::from_secs(60), is_delivered).await;
    assert_eq!((scene.taken(to).await, scene.left(at).await), (vec!["1".to_owned()], 0));
}
