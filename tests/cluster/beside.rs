//! Replies at class `memory` whose lists are on the master of their session: they go there with the commit.

use std::time::Duration;

use redis::Cmd;
use tenure::{
    Env,
    client::{Client, ClientError, Outgoing},
    model::{NewMessage, ReplyTo, SessionId},
    store::{Claimed, Commit, Deliverer, OutReply, RedisStore, Store},
};

use crate::{
    desk::{boundary, claim, first, message, send},
    scene::{Scene, list, store_at},
    slot,
};

/// A session on a master, and a list in another slot of the same one.
struct Pair {
    session: SessionId,
    near: ReplyTo,
}

impl Pair {
    fn on(scene: &Scene, master: usize) -> Self {
        let keys = scene.store.keys();
        let session = |n| format!("echo/s{n}").parse::<SessionId>().expect("a good session");
        let session = (0..).map(session).find(|of| scene.master_of(&keys.session(of).meta()) == master);
        let session = session.expect("sessions are spread");
        let own = slot(&keys.session(&session).meta());
        let near = (0..).map(|n| format!("reply:{n}")).find(|name| scene.master_of(name) == master);
        let near = near.expect("lists are spread");
        assert_ne!(slot(&near), own, "it is in another slot");
        Self { session, near: list(&near) }
    }

    /// Its first message, that wants its reply in `list`, is claimed.
    async fn asked(&self, store: &RedisStore, to: &ReplyTo) -> Claimed {
        send(store, &NewMessage { reply_to: Some(to.clone()), ..message(&self.session, 1) }).await;
        claim(store, &self.session).await
    }

    /// Hands out what is left, and checks that the list holds what was there before, and the reply.
    async fn comes_once_behind_another(&self, scene: &Scene, out: &[OutReply]) {
        let partition = scene.store.partitions().of(&self.session);
        scene.store.deliver(partition, out, Deliverer::Writer).await.expect("the masters answer");
        let taken = scene.taken(self.near.as_str()).await;
        assert!(taken.len() == 2 && taken[0] == "before", "{taken:?}");
    }

    async fn left(&self, scene: &Scene) -> usize {
        scene.left(scene.store.partitions().of(&self.session)).await
    }
}

/// Ends the turn; what there is left to hand out.
async fn ended(store: &RedisStore, claimed: &Claimed) -> Vec<OutReply> {
    match store.commit(&claimed.lease, &boundary(claimed)).await.expect("the master answers") {
        Commit::Done { out, .. } => out,
        other => panic!("it should have been committed: {other:?}"),
    }
}

fn lists_of(out: &[OutReply]) -> Vec<&str> {
    out.iter().map(|reply| reply.to.as_str()).collect()
}

fn pttl(list: &ReplyTo) -> Cmd {
    Cmd::pttl(list.as_str())
}

#[tokio::test]
async fn a_reply_whose_list_is_on_its_sessions_master_is_there_with_the_commit_and_once() {
    let scene = Scene::start().await;
    for master in [0, 1] {
        let pair = Pair::on(&scene, master);
        let claimed = pair.asked(&scene.store, &pair.near).await;
        assert_eq!(ended(&scene.store, &claimed).await, []);
        assert_eq!(ended(&scene.store, &claimed).await, [], "a repeat pushes nothing");
        let kept: i64 = scene.ask(pair.near.as_str(), &pttl(&pair.near)).await;
        assert!(kept > 0 && kept <= 3_600_000, "{kept} ms");
        assert_eq!(scene.taken(pair.near.as_str()).await.len(), 1);
        assert_eq!(pair.left(&scene).await, 0);
    }
}

#[tokio::test]
async fn a_reply_whose_list_is_on_another_master_goes_through_out() {
    let scene = Scene::start().await;
    let (pair, far) = (Pair::on(&scene, 0), Pair::on(&scene, 1).near);
    let claimed = pair.asked(&scene.store, &far).await;
    let out = ended(&scene.store, &claimed).await;
    assert_eq!(lists_of(&out), [far.as_str()]);
    assert_eq!((pair.left(&scene).await, scene.taken(far.as_str()).await.len()), (1, 0));
}

#[tokio::test]
async fn a_list_that_went_to_another_master_unseen_gets_its_reply_through_out() {
    let scene = Scene::start().await;
    let pair = Pair::on(&scene, 0);
    let claimed = pair.asked(&scene.store, &pair.near).await;
    scene.cluster.move_slot(slot(pair.near.as_str()), 0, 1);
    // The store was not told, so it says that the list is beside.
    let out = ended(&scene.store, &claimed).await;
    assert_eq!(lists_of(&out), [pair.near.as_str()]);
    assert_eq!(ended(&scene.store, &claimed).await, [], "the commit is written");
    assert_eq!(pair.left(&scene).await, 1);
}

#[tokio::test]
async fn while_a_lists_slot_moves_its_reply_comes_once_whether_the_list_has_gone_or_not() {
    for gone in [false, true] {
        let scene = Scene::start().await;
        let pair = Pair::on(&scene, 0);
        let to = pair.near.as_str();
        let _: u64 = scene.ask(to, &Cmd::rpush(to, "before")).await;
        let claimed = pair.asked(&scene.store, &pair.near).await;
        scene.cluster.open_to_move(slot(to), 0, 1);
        if gone {
            scene.cluster.begin_to_move(slot(to), 0, 1);
        }
        let out = ended(&scene.store, &claimed).await;
        assert_eq!(out.len(), usize::from(gone), "what is not there may be on its way");
        scene.cluster.move_slot(slot(to), 0, 1);
        pair.comes_once_behind_another(&scene, &out).await;
    }
}

#[tokio::test]
async fn while_its_sessions_slot_moves_a_commit_waits_and_asks_nobody_who_has_not_all_of_it() {
    let scene = Scene::start().await;
    let pair = Pair::on(&scene, 0);
    let to = pair.near.as_str();
    let _: u64 = scene.ask(to, &Cmd::rpush(to, "before")).await;
    let claimed = pair.asked(&scene.store, &pair.near).await;
    let own = slot(&scene.store.keys().session(&pair.session).meta());
    // Both slots go, the session's first: where that arrives its list has not.
    scene.cluster.open_to_move(slot(to), 0, 1);
    scene.cluster.begin_to_move(own, 0, 1);
    let arrives = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        scene.cluster.finish_moving(own, 0, 1);
    };
    let (out, ()) = tokio::join!(ended(&scene.store, &claimed), arrives);
    assert_eq!(lists_of(&out), [to], "the list is at the other master now");
    assert_eq!(
        scene.cluster.calls(1, "asking"),
        0,
        "with that, a list that is not there would be begun there"
    );
    scene.cluster.move_slot(slot(to), 0, 1);
    pair.comes_once_behind_another(&scene, &out).await;
}

#[tokio::test]
async fn a_list_beside_that_is_none_or_not_for_this_user_leaves_the_reply_in_out() {
    let scene = Scene::start().await;
    let pair = Pair::on(&scene, 0);
    let worker = scene.store_of_a_worker().await;
    let foreign = (0..).map(|n| format!("elsewhere:{n}")).find(|name| scene.master_of(name) == 0);
    let foreign = list(&foreign.expect("lists are spread"));
    let claimed = pair.asked(&worker, &foreign).await;
    assert_eq!(lists_of(&ended(&worker, &claimed).await), [foreign.as_str()]);
    assert_eq!(scene.taken(foreign.as_str()).await.len(), 0);

    let other = Pair::on(&scene, 1);
    let set = Cmd::set(other.near.as_str(), "no list");
    let () = scene.ask(other.near.as_str(), &set).await;
    let claimed = other.asked(&worker, &other.near).await;
    assert_eq!(lists_of(&ended(&worker, &claimed).await), [other.near.as_str()]);
    assert_eq!((pair.left(&scene).await, other.left(&scene).await), (1, 1));
}

#[tokio::test]
async fn who_asks_names_a_list_in_the_slot_of_its_session() {
    let scene = Scene::start().await;
    let pair = Pair::on(&scene, 1);
    let client = Client::new(store_at(&scene.cluster.url()).await, Env::system());
    let asked = client.ask(Outgoing::text(pair.session.clone(), "hello"), Duration::from_millis(1)).await;
    assert!(matches!(asked, Err(ClientError::NoAnswer { .. })), "nobody answers: {asked:?}");
    let claimed = claim(&scene.store, &pair.session).await;
    let to = first(&claimed).reply_to.clone().expect("it waits for its reply");
    assert_eq!(slot(to.as_str()), slot(&scene.store.keys().session(&pair.session).meta()), "{to}");
}
