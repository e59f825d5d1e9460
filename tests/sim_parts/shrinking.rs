//! Shrinking of schedules that a strategy found.

use tenure::sim::{
    shrink::{Plan, Shrunk, Trial, shrink},
    strategy::{Pick, Replay},
};

use crate::toy::{Run, Thread, run, runs};

/// The second reads in the middle of the first's two-step update, each of which is surrounded by much else.
fn program() -> Vec<Thread> {
    let mut update = vec![(1, true); 20];
    update[9] = (0, true);
    update[10] = (0, true);
    let mut look = vec![(2, true); 20];
    look[14] = (0, false);
    vec![update, look, vec![(3, true); 20]]
}

fn torn(run: &Run) -> bool {
    run.before(0, 1, 14) == 10
}

fn shrunk(failing: &Run) -> Shrunk<()> {
    let plan = Plan { faults: vec![], picks: failing.picks.iter().map(Pick::from).collect() };
    let trial = |plan: &Plan<()>| {
        let run = run(&program(), 0, &mut Replay::loose(plan.picks.clone()));
        if torn(&run) { Trial::Fails(run.picks.iter().map(Pick::from).collect()) } else { Trial::Passes }
    };
    shrink(plan, 2_000, trial).expect("it failed before")
}

fn switches(picks: &[Pick]) -> usize {
    picks.windows(2).filter(|pair| pair[0].actor != pair[1].actor).count()
}

#[test]
fn a_random_schedule_shrinks_to_the_few_picks_out_of_turn() {
    let failing: Vec<Run> = runs(&program(), "random", 300).into_iter().filter(torn).collect();
    assert!(!failing.is_empty());
    for run in &failing {
        let Shrunk { plan, .. } = shrunk(run);
        assert!(switches(&plan.picks) <= 1, "{:?}", plan.picks);
        assert!(plan.picks.len() <= 20, "{:?}", plan.picks);
    }
}

#[test]
fn what_was_shrunk_fails_again_in_an_exact_replay_and_shrinks_alike() {
    let failing = runs(&program(), "random", 300).into_iter().find(torn).expect("a seed finds it");
    let first = shrunk(&failing);
    assert_eq!(first, shrunk(&failing));
    let ids = first.picks.iter().map(|pick| pick.id).collect();
    assert!(torn(&run(&program(), 0, &mut Replay::exact(ids))));
}
