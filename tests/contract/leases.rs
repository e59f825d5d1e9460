//! A worker's own lease in a partition: `join`, `renew`, `bury`, `held`.

use tenure::{
    model::{Millis, SessionId},
    store::{Bury, Duty, DutyWish, Ground as Reason, Hint, Presence, Reckoning, Renewal, Run, Store},
};

use super::{ground::Ground, world::*};
use crate::support::eventually;

/// How long a server may take to notice that a connection was closed.
const TELLING: std::time::Duration = std::time::Duration::from_secs(10);

async fn bury(w: &World<impl Ground>, at: &SessionId, name: &str, ground: Reason) -> Bury {
    w.store().bury(w.partition(at), &worker(name), ground).await.unwrap()
}

async fn deadline(w: &World<impl Ground>, at: &SessionId, name: &str) -> Option<Option<Millis>> {
    w.holds(at).await.workers.get(&worker(name)).copied()
}

fn duty(renewal: Renewal) -> Option<String> {
    match renewal {
        Renewal::Renewed { duty, .. } => duty.map(|worker| worker.to_string()),
        Renewal::Lost => panic!("it should live"),
    }
}

pub async fn joining_and_renewing_set_the_deadline_one_lease_away(w: World<impl Ground>) {
    let at = session("a");
    let joined = w.join_as(&at, &w.presence("w")).await;
    assert_eq!(joined, Renewal::Renewed { now: w.now(), duty: None, alive: 1 });
    assert_eq!(deadline(&w, &at, "w").await, Some(Some(w.now().plus(LEASE))));
    w.advance(MS);
    w.join(&at, "w").await;
    assert_eq!(deadline(&w, &at, "w").await, Some(Some(w.now().plus(LEASE))), "joining again renews");
    w.advance(LEASE * 9);
    let presence = Presence { lease: LEASE * 2, ..w.presence("w") };
    w.renewed(&at, &presence).await;
    assert_eq!(deadline(&w, &at, "w").await, Some(Some(w.now().plus(LEASE * 2))), "long past it too");
}

pub async fn who_never_joined_cannot_renew(w: World<impl Ground>) {
    let at = session("a");
    assert_eq!(w.renewed(&at, &w.presence("w")).await, Renewal::Lost);
    assert_eq!(deadline(&w, &at, "w").await, None);
}

pub async fn neither_joining_nor_renewing_brings_back_the_buried(w: World<impl Ground>) {
    let at = session("a");
    let wishes = Presence { duty: DutyWish::Take, load: Some(0), ..w.presence("w") };
    w.join_as(&at, &wishes).await;
    assert_eq!(bury(&w, &at, "w", Reason::OwnWish).await, Bury::Buried);
    let before = w.snapshot().await;
    assert_eq!(w.renewed(&at, &wishes).await, Renewal::Lost);
    assert_eq!(w.join_as(&at, &wishes).await, Renewal::Lost);
    assert_eq!(w.snapshot().await, before);
}

pub async fn a_worker_counts_as_alive_up_to_its_deadline(w: World<impl Ground>) {
    let at = session("a");
    for name in ["w", "v", "buried"] {
        w.join(&at, name).await;
    }
    bury(&w, &at, "buried", Reason::OwnWish).await;
    let mut alive = Vec::new();
    for by in [LEASE, MS] {
        w.advance(by);
        let Renewal::Renewed { alive: count, .. } = w.renewed(&at, &w.presence("w")).await else { panic!() };
        alive.push(count);
    }
    assert_eq!(alive, [2, 1]);
}

pub async fn a_load_is_shown_for_each_agent_and_taken_away_without_room(w: World<impl Ground>) {
    let at = session("a");
    let agents = vec![echo(), "other".parse().unwrap()];
    let with_room = Presence { agents: agents.clone(), load: Some(42), ..w.presence("w") };
    w.join_as(&at, &with_room).await;
    let idle = w.holds(&at).await.idle;
    assert_eq!(idle.len(), 2);
    assert!(agents.iter().all(|agent| idle[&(pool("default"), agent.clone())][&worker("w")] == 42));
    w.renewed(&at, &Presence { load: Some(7), ..with_room.clone() }).await;
    assert_eq!(w.idle(&at).await[&worker("w")], 7);
    w.renewed(&at, &Presence { load: None, ..with_room }).await;
    assert!(w.holds(&at).await.idle.is_empty());
}

pub async fn a_full_agent_is_not_offered_though_its_worker_has_room(w: World<impl Ground>) {
    let at = session("a");
    let other: tenure::model::AgentName = "other".parse().unwrap();
    // First in one order, then in the other: the place in the list means nothing.
    for agents in [vec![echo(), other.clone()], vec![other.clone(), echo()]] {
        let with_room = Presence { agents, load: Some(42), ..w.presence("w") };
        w.join_as(&at, &with_room).await;
        assert_eq!(w.holds(&at).await.idle.len(), 2);
        w.renewed(&at, &Presence { full: [echo()].into(), ..with_room.clone() }).await;
        let idle = w.holds(&at).await.idle;
        assert_eq!(idle.keys().collect::<Vec<_>>(), [&(pool("default"), other.clone())]);
        w.renewed(&at, &Presence { full: [echo(), other.clone()].into(), ..with_room.clone() }).await;
        assert!(w.holds(&at).await.idle.is_empty());
        w.renewed(&at, &Presence { load: Some(7), ..with_room }).await;
        assert_eq!(w.idle(&at).await[&worker("w")], 7, "there is room again");
    }
}

pub async fn the_duty_is_one_workers_until_its_deadline_passes(w: World<impl Ground>) {
    let at = session("a");
    let wants = |name: &str| Presence { duty: DutyWish::Take, ..w.presence(name) };
    assert_eq!(duty(w.join_as(&at, &wants("w")).await).as_deref(), Some("w"));
    assert_eq!(duty(w.join_as(&at, &wants("v")).await).as_deref(), Some("w"));
    w.advance(LEASE);
    assert_eq!(duty(w.renewed(&at, &wants("v")).await).as_deref(), Some("w"));
    w.advance(MS);
    assert_eq!(duty(w.renewed(&at, &w.presence("v")).await).as_deref(), Some("w"), "nobody else wanted it");
    assert_eq!(duty(w.renewed(&at, &wants("v")).await).as_deref(), Some("v"));
    assert_eq!(w.holds(&at).await.duty, Some(Duty { holder: worker("v"), is_yielded: false }));
}

pub async fn the_duty_of_the_dead_is_free_a_lease_after_the_clock_went_back(w: World<impl Ground>) {
    let at = session("a");
    let wants = |name: &str| Presence { duty: DutyWish::Take, ..w.presence(name) };
    assert_eq!(duty(w.join_as(&at, &wants("w")).await).as_deref(), Some("w"));
    w.set_clock(Millis(w.now().0 - 3_600_000));
    assert_eq!(duty(w.join_as(&at, &wants("v")).await).as_deref(), Some("w"));
    w.advance(LEASE + MS);
    assert_eq!(duty(w.renewed(&at, &wants("v")).await).as_deref(), Some("v"));
}

pub async fn the_duty_is_given_up_by_its_holder_only(w: World<impl Ground>) {
    let at = session("a");
    w.join_as(&at, &Presence { duty: DutyWish::Take, ..w.presence("w") }).await;
    let gives_up = |name: &str| Presence { duty: DutyWish::GiveUp, ..w.presence(name) };
    assert_eq!(duty(w.join_as(&at, &gives_up("v")).await).as_deref(), Some("w"));
    assert_eq!(
        duty(w.renewed(&at, &w.presence("w")).await).as_deref(),
        Some("w"),
        "leaving it is keeping it"
    );
    assert_eq!(duty(w.renewed(&at, &gives_up("w")).await), None);
}

pub async fn a_yielded_duty_stays_with_its_holder_until_another_wants_it(w: World<impl Ground>) {
    let at = session("a");
    let wish = |name: &str, duty| Presence { duty, ..w.presence(name) };
    w.join_as(&at, &wish("w", DutyWish::Take)).await;
    w.join_as(&at, &wish("v", DutyWish::Yield)).await;
    assert_eq!(
        w.holds(&at).await.duty,
        Some(Duty { holder: worker("w"), is_yielded: false }),
        "not its to yield"
    );
    assert_eq!(duty(w.renewed(&at, &wish("w", DutyWish::Yield)).await).as_deref(), Some("w"));
    assert_eq!(duty(w.renewed(&at, &w.presence("v")).await).as_deref(), Some("w"), "nobody wanted it");
    assert_eq!(duty(w.renewed(&at, &wish("w", DutyWish::Yield)).await).as_deref(), Some("w"));
    assert_eq!(w.holds(&at).await.duty, Some(Duty { holder: worker("w"), is_yielded: true }));
    assert_eq!(duty(w.renewed(&at, &wish("v", DutyWish::Take)).await).as_deref(), Some("v"));
    assert_eq!(
        duty(w.renewed(&at, &wish("w", DutyWish::Yield)).await).as_deref(),
        Some("v"),
        "it was taken over"
    );
    assert_eq!(w.holds(&at).await.duty, Some(Duty { holder: worker("v"), is_yielded: false }));
}

pub async fn who_yields_a_duty_may_keep_it_after_all(w: World<impl Ground>) {
    let at = session("a");
    for kept in [DutyWish::Leave, DutyWish::Take] {
        let wish = |name: &str, duty| Presence { duty, ..w.presence(name) };
        w.join_as(&at, &wish("w", DutyWish::Take)).await;
        w.renewed(&at, &wish("w", DutyWish::Yield)).await;
        assert_eq!(duty(w.renewed(&at, &wish("w", kept)).await).as_deref(), Some("w"));
        assert_eq!(duty(w.join_as(&at, &wish("v", DutyWish::Take)).await).as_deref(), Some("w"), "{kept:?}");
        w.renewed(&at, &wish("w", DutyWish::Yield)).await;
        assert_eq!(duty(w.renewed(&at, &wish("w", DutyWish::GiveUp)).await), None, "given up all the same");
    }
}

pub async fn only_a_passed_deadline_or_its_own_wish_buries_a_worker(w: World<impl Ground>) {
    let at = session("a");
    assert_eq!(bury(&w, &at, "w", Reason::Overdue).await, Bury::Unknown);
    assert_eq!(bury(&w, &at, "w", Reason::OwnWish).await, Bury::Unknown);
    w.join(&at, "w").await;
    w.join(&at, "v").await;
    assert_eq!(bury(&w, &at, "v", Reason::OwnWish).await, Bury::Buried);
    w.advance(LEASE);
    assert_eq!(bury(&w, &at, "w", Reason::Overdue).await, Bury::Alive);
    w.advance(MS);
    assert_eq!(bury(&w, &at, "w", Reason::Overdue).await, Bury::Buried);
    assert_eq!(bury(&w, &at, "w", Reason::Overdue).await, Bury::Buried, "a repeat says the same");
    assert_eq!(deadline(&w, &at, "w").await, Some(None));
}

pub async fn a_burial_by_deadline_holds_only_while_the_server_is_as_the_caller_reckons(
    w: World<impl Ground>,
) {
    let at = session("a");
    w.join(&at, "w").await;
    let alive = w.reckoning(w.now().plus(LEASE)).await;
    assert_eq!(bury(&w, &at, "w", Reason::OverdueUnder(alive)).await, Bury::Alive);
    w.advance(LEASE + MS);
    let before = w.snapshot().await;
    assert_eq!(
        bury(&w, &at, "w", Reason::OverdueUnder(alive)).await,
        Bury::Later,
        "its clock may have been set"
    );
    let reckoning = w.reckoning(w.now()).await;
    let other = Reckoning { run: Run::named("another"), ..reckoning };
    assert_eq!(bury(&w, &at, "w", Reason::OverdueUnder(other)).await, Bury::OtherRun);
    assert_eq!(w.snapshot().await, before);
    assert_eq!(bury(&w, &at, "w", Reason::OverdueUnder(reckoning)).await, Bury::Buried);
}

pub async fn whoever_vouches_for_a_death_buries_a_worker_within_its_deadline(w: World<impl Ground>) {
    let at = session("a");
    assert_eq!(bury(&w, &at, "w", Reason::Lifeline).await, Bury::Unknown);
    w.join(&at, "w").await;
    assert_eq!(bury(&w, &at, "w", Reason::Lifeline).await, Bury::Buried);
    assert_eq!(deadline(&w, &at, "w").await, Some(None));
}

pub async fn who_is_buried_is_told_so_once_unless_it_was_its_own_wish(w: World<impl Ground>) {
    let at = session("a");
    for (name, reason, told) in [
        ("u", Reason::OwnWish, vec![]),
        ("v", Reason::Lifeline, vec![Hint::Buried]),
        ("w", Reason::Overdue, vec![Hint::Buried]),
    ] {
        let mut ears = w.listen(name).await;
        w.join(&at, name).await;
        if reason == Reason::Overdue {
            w.let_leases_pass();
        }
        for _ in 0..2 {
            assert_eq!(bury(&w, &at, name, reason).await, Bury::Buried);
        }
        assert_eq!(w.heard(&mut ears).await, told, "{reason:?}");
    }
}

pub async fn who_listens_is_there_until_its_listener_is_gone(w: World<impl Ground>) {
    let names = [worker("v"), worker("w")];
    let there = async || w.store().vital(&names).await.unwrap().present;
    assert_eq!(there().await, [false, false]);
    let (first, _second) = (w.listen("v").await, w.listen("w").await);
    let run = w.store().vital(&[]).await.unwrap().run;
    assert_eq!(there().await, [true, true]);
    drop(first);
    eventually("the server notices", TELLING, async || there().await == [false, true]).await;
    assert_eq!(w.store().vital(&names).await.unwrap().run, run);
}

pub async fn a_worker_that_listens_hears_that_it_is_to_drain(w: World<impl Ground>) {
    assert!(!w.store().tell_to_drain(&worker("w")).await.unwrap(), "nobody is there");
    let mut ears = w.listen("w").await;
    assert!(w.store().tell_to_drain(&worker("w")).await.unwrap());
    assert_eq!(w.heard(&mut ears).await, [Hint::Drain]);
}

pub async fn a_burial_frees_the_duty_and_ends_offers_but_not_others(w: World<impl Ground>) {
    let at = session("a");
    w.join_as(&at, &Presence { duty: DutyWish::Take, load: Some(0), ..w.presence("w") }).await;
    w.join_with_load(&at, "v", 1).await;
    bury(&w, &at, "v", Reason::OwnWish).await;
    assert_eq!(w.holds(&at).await.duty, Some(Duty { holder: worker("w"), is_yielded: false }));
    bury(&w, &at, "w", Reason::OwnWish).await;
    assert_eq!(w.holds(&at).await.duty, None);
    assert!(w.idle(&at).await.is_empty());
}

pub async fn a_worker_is_buried_in_one_partition_and_lives_on_in_others(w: World<impl Ground>) {
    let here = session("a");
    let there =
        (0..).map(|n| session(&n.to_string())).find(|s| w.partition(s) != w.partition(&here)).unwrap();
    w.join(&here, "w").await;
    w.join(&there, "w").await;
    bury(&w, &here, "w", Reason::OwnWish).await;
    assert_ne!(w.renewed(&there, &w.presence("w")).await, Renewal::Lost);
}

pub async fn held_lists_what_a_worker_owns_in_a_partition(w: World<impl Ground>) {
    let (one, two) = (session("{x}1"), session("{x}2"));
    w.claimed_with_mail("w", &one).await;
    w.claimed_with_mail("w", &two).await;
    let held = async |limit| w.store().held(w.partition(&one), &worker("w"), limit).await.unwrap();
    let mut all = held(10).await;
    all.sort();
    assert_eq!(all, [one.clone(), two]);
    assert_eq!(held(1).await.len(), 1);
    assert!(w.store().held(w.partition(&one), &worker("v"), 10).await.unwrap().is_empty());
}
