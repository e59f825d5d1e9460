//! What belongs to the namespace: settings, agents, members.

use std::time::Duration;

use tenure::{
    model::{AgentDeclaration, Durability, Resume, Settings},
    store::{
        Burial, Configured, Declared, Member, MemberState, Store, Tally, Unacknowledged, UpkeepLag, Waiting,
    },
};

use super::{
    ground::{Ground, settings},
    world::*,
};

pub async fn the_first_settings_stand(w: World<impl Ground>) {
    let ours = settings();
    assert_eq!(w.store().configure(&ours).await.unwrap(), Configured::Agreed);
    assert_eq!(w.store().configure(&ours).await.unwrap(), Configured::Agreed);
    let others = Settings { partitions: 8, ..ours.clone() };
    assert_eq!(w.store().configure(&others).await.unwrap(), Configured::Differs(ours.clone()));
    assert_eq!(w.store().configure(&ours).await.unwrap(), Configured::Agreed);
}

pub async fn the_last_word_on_an_agent_counts(w: World<impl Ground>) {
    assert!(w.store().agents().await.unwrap().known.is_empty());
    let how = |resume, pool_name| AgentDeclaration {
        pool: pool(pool_name),
        resume,
        durability: Durability::MEMORY,
    };
    let declare = async |agent, how| w.store().declare(&worker("w"), &agent, &how).await.unwrap();
    assert_eq!(declare(echo(), how(Resume::Lazy, "a")).await, Declared::Known(None));
    declare("other".parse().unwrap(), how(Resume::Lazy, "a")).await;
    let before = Declared::Known(Some(how(Resume::Lazy, "a")));
    assert_eq!(
        declare(echo(), how(Resume::Eager, "b")).await,
        before,
        "who comes later is told what it replaces"
    );
    let agents = w.store().agents().await.unwrap().known;
    assert_eq!(agents.len(), 2);
    assert_eq!(agents[&echo()], how(Resume::Eager, "b"));
}

fn member(w: &World<impl Ground>, name: &str) -> Member {
    Member {
        worker: worker(name),
        pool: pool("default"),
        agents: vec![echo()],
        full: [echo()].into(),
        sessions: 3,
        running: 1,
        capacity: 10,
        since: w.now(),
        state: MemberState::Ready,
        tally: Tally {
            at: w.now(),
            turns: 7,
            reaped: 2,
            losses: 1,
            lost_turns: 2,
            servers: vec![w.now()],
            buried: vec![Burial { worker: worker("dead"), at: w.now() }],
            upkeep: UpkeepLag { round_ms: 101, pass_ms: Some(7) },
            unacknowledged: Unacknowledged {
                sessions: 2,
                longest: vec![Waiting {
                    session: "echo/a".parse().unwrap(),
                    class: "replicas:1".parse().unwrap(),
                    since: w.now(),
                }],
            },
        },
    }
}

pub async fn members_are_seen_until_their_time_is_over_or_they_retire(w: World<impl Ground>) {
    let members = async || w.store().members().await.unwrap();
    assert!(members().await.is_empty());
    for (name, ttl) in [("c", 20), ("a", 10), ("b", 20)] {
        w.store().announce(&member(&w, name), Duration::from_secs(ttl)).await.unwrap();
    }
    let mut all = members().await;
    all.sort_by_key(|member| member.worker.clone());
    assert_eq!(all, ["a", "b", "c"].map(|name| member(&w, name)));
    let since = w.now();
    w.advance(Duration::from_secs(10));
    assert_eq!(members().await.len(), 3);
    w.advance(MS);
    assert_eq!(members().await.len(), 2);
    let draining = Member { state: MemberState::Draining, since, ..member(&w, "b") };
    w.store().announce(&draining, Duration::from_secs(5)).await.unwrap();
    w.store().retire(&worker("c")).await.unwrap();
    w.store().retire(&worker("c")).await.unwrap();
    assert_eq!(members().await, [draining]);
}

fn in_pool(name: &str) -> AgentDeclaration {
    AgentDeclaration { pool: pool(name), resume: Resume::Lazy, durability: Durability::MEMORY }
}

pub async fn an_agent_has_no_second_home_while_members_that_are_alive_serve_it_in_the_first(
    w: World<impl Ground>,
) {
    let declare = async |who, name| w.store().declare(&worker(who), &echo(), &in_pool(name)).await.unwrap();
    let refused = |workers: &[&str]| Declared::Elsewhere {
        pool: pool("a"),
        workers: workers.iter().map(|name| worker(name)).collect(),
    };
    let announce = async |name, of, agents, secs| {
        let member = Member { pool: pool(of), agents, ..member(&w, name) };
        w.store().announce(&member, Duration::from_secs(secs)).await.unwrap();
    };
    announce("two", "a", vec!["other".parse().unwrap(), echo()], 10).await;
    announce("one", "a", vec![echo()], 20).await;
    announce("elsewhere", "b", vec![echo()], 60).await;
    announce("another", "a", vec!["other".parse().unwrap()], 60).await;
    assert_eq!(declare("one", "a").await, Declared::Known(None));
    assert_eq!(declare("new", "b").await, refused(&["one", "two"]), "all are named, in order");
    assert_eq!(w.store().agents().await.unwrap().known[&echo()], in_pool("a"), "and nothing is changed");
    let same = AgentDeclaration { resume: Resume::Eager, ..in_pool("a") };
    let declared = w.store().declare(&worker("new"), &echo(), &same).await.unwrap();
    assert_eq!(declared, Declared::Known(Some(in_pool("a"))), "the rest is as the last one has it");
    w.advance(Duration::from_secs(10) + MS);
    assert_eq!(declare("new", "b").await, refused(&["one"]), "whose time is over does not count");
    assert_eq!(declare("one", "b").await, Declared::Known(Some(same)), "nor does the one that declares");
    assert_eq!(
        declare("new", "a").await,
        Declared::Elsewhere { pool: pool("b"), workers: vec![worker("elsewhere")] }
    );
}

pub async fn an_agent_moves_when_the_last_member_that_served_it_has_left(w: World<impl Ground>) {
    let declare = async |name| w.store().declare(&worker("new"), &echo(), &in_pool(name)).await.unwrap();
    w.store().declare(&worker("old"), &echo(), &in_pool("default")).await.unwrap();
    let draining = Member { state: MemberState::Draining, ..member(&w, "old") };
    w.store().announce(&draining, Duration::from_secs(60)).await.unwrap();
    let old = Declared::Elsewhere { pool: pool("default"), workers: vec![worker("old")] };
    assert_eq!(declare("b").await, old, "who drains still has sessions there");
    w.store().retire(&worker("old")).await.unwrap();
    assert_eq!(declare("b").await, Declared::Known(Some(in_pool("default"))));
    assert_eq!(w.store().agents().await.unwrap().known[&echo()], in_pool("b"));
}
