//! What each strategy promises, on toy programs.

use proptest::prelude::*;
use tenure::sim::{
    Actor, Choice,
    strategy::{Campaign, Dice, Pick, Replay, RoundRobin, StrategyName},
};

use crate::toy::{GUARDED, Run, Thread, found, named, run, runs};

/// A thread that writes to `object` this many times.
fn writes(object: u32, times: usize) -> Thread {
    vec![(object, true); times]
}

fn programs() -> impl proptest::strategy::Strategy<Value = Vec<Thread>> {
    let thread = prop::collection::vec((0..3u32, any::<bool>()), 1..12);
    prop::collection::vec(thread, 1..5)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_strategy_picks_what_is_enabled_and_the_same_for_the_same_seed(program in programs(), seed in 0..u64::MAX) {
        for name in StrategyName::all() {
            let once = |name: &StrategyName| run(&program, 50, &mut *Campaign::new(name.clone()).strategy(seed));
            let first = once(&name);
            prop_assert!(first.valid, "{name}");
            prop_assert_eq!(first.threads().len(), program.iter().map(Vec::len).sum::<usize>());
            prop_assert_eq!(&first, &once(&name), "{}", name);
        }
    }

    #[test]
    fn a_recording_replays_to_the_letter(program in programs(), seed in 0..u64::MAX) {
        let recorded = run(&program, 50, &mut *Campaign::new(named("random:stalls=100")).strategy(seed));
        let mut replay = Replay::exact(recorded.picks.iter().map(|choice| choice.id).collect());
        let diverged = replay.divergence();
        prop_assert_eq!(run(&program, 50, &mut replay), recorded);
        prop_assert_eq!(diverged.get(), None);
    }
}

#[test]
fn other_seeds_make_other_picks() {
    let program = [writes(0, 10), writes(0, 10), writes(0, 10)];
    for name in StrategyName::all().filter(|name| name.word() != "round-robin") {
        let mut runs: Vec<_> = runs(&program, name.clone().for_runs_of(30).to_string().as_str(), 50);
        runs.dedup();
        assert!(runs.len() > 25, "{name}: {}", runs.len());
    }
}

/// The other thread's one step comes right between two given steps of the first: two orderings have to be met.
fn in_the_gap(run: &Run) -> bool {
    run.before(0, 1, 0) == 13
}

#[test]
fn pct_finds_a_race_of_depth_two_as_often_as_promised() {
    let program = [writes(0, 19), writes(0, 1)];
    let (seeds, tasks, steps) = (4000, 2, 20);
    let hits = found(&program, "pct:depth=2,steps=20,stalls=0", seeds, in_the_gap);
    let promised = usize::try_from(seeds).unwrap() / (tasks * steps);
    // The promise is a lower bound of the chance; three standard deviations below it is no accident.
    assert!(hits >= promised - 30, "{hits} of {promised}");
}

#[test]
fn pct_of_depth_one_never_switches_back() {
    let program = [writes(0, 9), writes(0, 9), writes(0, 9)];
    for run in runs(&program, "pct:depth=1,stalls=0", 100) {
        let mut threads = run.threads();
        threads.dedup();
        assert_eq!(threads.len(), 3);
    }
}

#[test]
fn idpct_deepens_as_seeds_go() {
    let program = [writes(0, 19), writes(0, 19)];
    let switches = |run: &Run| run.threads().windows(2).filter(|pair| pair[0] != pair[1]).count();
    let most: Vec<usize> = runs(&program, "idpct:depth=3,each=40,steps=38,stalls=0", 120)
        .chunks(40)
        .map(|runs| runs.iter().map(switches).max().unwrap())
        .collect();
    assert_eq!(most, [1, 2, 3]);
}

#[test]
fn pos_finds_one_who_comes_last_far_more_often_than_a_random_walk() {
    // The second's step races only with what comes after the first is through.
    let mut first = writes(0, 12);
    first.push((1, true));
    let program = [first, writes(1, 1)];
    let last = |run: &Run| run.before(0, 1, 0) >= 12;
    let (pos, random) = (found(&program, "pos", 1000, last), found(&program, "random", 1000, last));
    assert!(pos > 10 * random.max(1), "{pos} against {random}");
}

#[test]
fn a_fair_strategy_lets_everybody_on_in_the_end() {
    // The first spins: there is always something for it to do.
    let program = [writes(0, 5_000), writes(0, 1)];
    let starved = |run: &Run| run.before(0, 1, 0) == 5_000;
    assert!(found(&program, "pct:depth=1,stalls=0", 20, starved) > 0);
    for name in ["fair-pct:steps=100", "coverage:steps=100", "random", "pos", "round-robin"] {
        assert_eq!(found(&program, name, 20, starved), 0, "{name}");
    }
}

#[test]
fn round_robin_takes_turns_and_lets_time_pass_only_when_nothing_else_can_happen() {
    let program = [writes(0, 2), writes(0, 3), writes(0, 2)];
    let run = run(&program, 5, &mut RoundRobin::default());
    assert_eq!(run.threads(), [0, 1, 2, 0, 1, 2, 1]);
    assert_eq!(run.picks.len(), 7);
}

#[test]
fn time_passes_while_somebody_is_slow_and_only_then() {
    let program = [writes(0, 40), writes(0, 40)];
    let passed = |name: &str| -> usize {
        let mut campaign = Campaign::new(named(name));
        let runs = (1..=50).map(|seed| run(&program, 1000, &mut *campaign.strategy(seed)));
        runs.map(|run| run.picks.iter().filter(|choice| choice.actor == Actor::World).count()).sum()
    };
    for word in ["random", "pct", "fair-pct", "pos", "idpct", "coverage"] {
        assert_eq!(passed(&format!("{word}:stalls=0")), 0, "{word}");
        assert!(passed(&format!("{word}:stalls=50")) > 50, "{word}");
    }
}

#[test]
fn a_replay_says_where_it_could_not_follow() {
    let program = [writes(0, 3), writes(0, 3)];
    let recorded = run(&program, 0, &mut *Campaign::new(named("random")).strategy(1));
    let mut ids: Vec<u64> = recorded.picks.iter().map(|choice| choice.id).collect();
    ids[2] = 99;
    let mut replay = Replay::exact(ids);
    let diverged = replay.divergence();
    assert!(run(&program, 0, &mut replay).valid);
    assert_eq!(diverged.get().expect("there is no choice 99").step, 3);
}

#[test]
fn a_loose_replay_keeps_the_order_of_what_is_left() {
    let program = [writes(0, 4), writes(0, 4)];
    let pick = |thread| Pick { id: 1000, actor: Actor::Worker(thread), task: 1 };
    let picks = [1, 1, 7, 0, 1].map(pick).to_vec();
    let run = run(&program, 0, &mut Replay::loose(picks));
    assert_eq!(run.threads()[..4], [1, 1, 0, 1]);
    assert_eq!(run.threads().len(), 8);
}

#[test]
fn guided_seeds_are_a_function_of_their_block() {
    let program = [writes(0, 10), writes(0, 10), writes(1, 10)];
    let name = named("coverage:block=16,steps=30");
    let in_order = |seeds: std::ops::RangeInclusive<u64>| -> Vec<Run> {
        let mut campaign = Campaign::new(name.clone());
        seeds.map(|seed| run(&program, 0, &mut *campaign.strategy(seed))).collect()
    };
    let all = in_order(1..=48);
    for block in [1..=16, 17..=32, 33..=48] {
        let places = usize::try_from(block.start() - 1).unwrap()..usize::try_from(*block.end()).unwrap();
        assert_eq!(in_order(block), all[places]);
    }
}

#[test]
fn guidance_finds_what_takes_one_thing_after_another() {
    // Each read of the second has to see the write of the same number, or else it goes no further.
    let program = [writes(GUARDED, 5), vec![(GUARDED, false); 5], writes(0, 5)];
    let through = |run: &Run| run.threads().iter().filter(|thread| **thread == 1).count() == 5;
    let found = |name| found(&program, name, 5_120, through);
    let guided = found("coverage:steps=15,stalls=0,block=256");
    let (alone, random) = (found("coverage:steps=15,stalls=0,block=1"), found("random:stalls=0"));
    assert!(guided > 2 * random && guided > 4 * alone, "{guided}, unguided {alone}, random {random}");
}

#[test]
fn dice_mean_the_same_for_ever() {
    let mut dice = Dice::new(1);
    assert_eq!([dice.roll(), dice.roll()], [10_451_216_379_200_822_465, 13_757_245_211_066_428_519]);
}

#[test]
fn dice_are_even() {
    let mut dice = Dice::new(42);
    let mut counts = [0; 6];
    for _ in 0..60_000 {
        counts[dice.index(6)] += 1;
    }
    assert!(counts.iter().all(|count| (9_600..10_400).contains(count)), "{counts:?}");
}

/// A strategy may be asked with the passing of time alone.
#[test]
fn where_only_time_can_pass_it_passes() {
    let time = Choice { id: Choice::TIME, ..run(&[writes(0, 1)], 0, &mut RoundRobin::default()).picks[0] };
    for name in StrategyName::all() {
        assert_eq!(Campaign::new(name).strategy(3).pick(&[time]), 0);
    }
}
