//! What belongs to the namespace: settings, agents, members.

use std::time::Duration;

use tenure::{
    model::{AgentDeclaration, Durability, Resume, Settings},
    store::{Burial, Configured, Member, MemberState, Store, Tally, UpkeepLag},
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
    assert!(w.store().agents().await.unwrap().is_empty());
    let how = |resume, pool_name| AgentDeclaration {
        pool: pool(pool_name),
        resume,
        durability: Durability::MEMORY,
    };
    assert_eq!(w.store().declare(&echo(), &how(Resume::Lazy, "a")).await.unwrap(), None);
    w.store().declare(&"other".parse().unwrap(), &how(Resume::Lazy, "a")).await.unwrap();
    let before = w.store().declare(&echo(), &how(Resume::Eager, "b")).await.unwrap();
    assert_eq!(before, Some(how(Resume::Lazy, "a")), "who comes later is told what it replaces");
    let agents = w.store().agents().await.unwrap();
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
