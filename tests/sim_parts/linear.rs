//! Linearizability, on histories of a register.

use proptest::prelude::*;
use tenure::sim::{
    check::{
        Model,
        linear::{Verdict, check, check_history},
    },
    history::Operation,
};

use crate::register::{Call, Operations, Register, all, note};

fn verdict(history: &Operations) -> Verdict {
    check(&Register, &all(history))
}

fn holds(history: &Operations) -> bool {
    matches!(verdict(history), Verdict::Linearizable(_))
}

#[test]
fn a_read_during_a_write_may_see_either_value() {
    for seen in [0, 7] {
        let mut history = Operations::default();
        note(&mut history, 1, 0, Call::Write(7), 0, Some((3, 7)));
        note(&mut history, 2, 0, Call::Read, 1, Some((2, seen)));
        assert!(holds(&history), "{seen}");
    }
}

#[test]
fn a_read_after_a_write_may_not_see_what_was_before() {
    let mut history = Operations::default();
    note(&mut history, 1, 0, Call::Write(7), 0, Some((1, 7)));
    note(&mut history, 2, 0, Call::Read, 2, Some((3, 0)));
    assert!(!holds(&history));
}

#[test]
fn two_reads_may_not_see_a_write_come_and_go() {
    let mut history = Operations::default();
    note(&mut history, 1, 0, Call::Write(7), 0, Some((9, 7)));
    note(&mut history, 2, 0, Call::Read, 1, Some((2, 7)));
    note(&mut history, 3, 0, Call::Read, 3, Some((4, 0)));
    let Verdict::Violated(violation) = verdict(&history) else { panic!("it came and went") };
    assert_eq!(violation.culprit, 2);
    assert_eq!(violation.before, [0, 1]);
}

#[test]
fn a_write_without_an_answer_may_have_happened_or_not_and_late() {
    for (first, second, may_be) in [(0, 0, true), (7, 7, true), (0, 7, true), (7, 0, false)] {
        let mut history = Operations::default();
        note(&mut history, 1, 0, Call::Write(7), 0, None);
        note(&mut history, 2, 0, Call::Read, 10, Some((11, first)));
        note(&mut history, 2, 0, Call::Read, 12, Some((13, second)));
        assert_eq!(holds(&history), may_be, "{first} and then {second}");
    }
}

#[test]
fn the_first_answer_that_fits_no_order_is_named_and_what_came_later_is_not() {
    let mut history = Operations::default();
    note(&mut history, 1, 0, Call::Write(1), 0, Some((1, 1)));
    note(&mut history, 1, 0, Call::Write(2), 2, Some((3, 2)));
    note(&mut history, 2, 0, Call::Read, 4, Some((5, 1)));
    note(&mut history, 2, 0, Call::Read, 6, Some((7, 9)));
    let told = check_history(&Register, &history).unwrap_err().to_string();
    let expected = "the answers about Object(0) fit no order of the operations:
    [0, 1] Client(1): Write(1) → 1
    [2, 3] Client(1): Write(2) → 2
  ✗ [4, 5] Client(2): Read → 1";
    assert_eq!(told, expected);
}

#[test]
fn objects_are_judged_one_by_one() {
    let mut history = Operations::default();
    note(&mut history, 1, 0, Call::Write(7), 0, Some((1, 7)));
    note(&mut history, 2, 1, Call::Read, 2, Some((3, 0)));
    assert_eq!(check_history(&Register, &history), Ok(()));
}

#[test]
fn hundreds_of_operations_are_no_trouble() {
    let mut history = Operations::default();
    for round in 0..100_u64 {
        let value = u8::try_from(round).unwrap();
        note(&mut history, 1, 0, Call::Write(value), 10 * round, Some((10 * round + 5, value)));
        note(&mut history, 2, 0, Call::Read, 10 * round + 1, Some((10 * round + 7, value)));
        note(
            &mut history,
            3,
            0,
            Call::Write(200),
            10 * round + 2,
            (round % 10 != 0).then_some((10 * round + 3, 200)),
        );
    }
    assert!(holds(&history));
    note(&mut history, 4, 0, Call::Read, 2000, Some((2001, 3)));
    let Verdict::Violated(violation) = verdict(&history) else { panic!("3 was overwritten long ago") };
    assert_eq!(violation.culprit, 300);
}

/// By trying every order of every choice of pending operations.
fn some_order_fits(operations: &[&Operation<Call, u8>], state: u8, placed: &mut Vec<usize>) -> bool {
    let open: Vec<usize> = (0..operations.len()).filter(|at| !placed.contains(at)).collect();
    if open.iter().all(|&at| operations[at].returned.is_none()) {
        return true;
    }
    open.iter().any(|&at| {
        let minimal = open.iter().all(|&other| !operations[other].precedes(operations[at]));
        let next = Register.step(&state, &operations[at].call, operations[at].answer()).filter(|_| minimal);
        placed.push(at);
        let fits = next.is_some_and(|state| some_order_fits(operations, state, placed));
        placed.pop();
        fits
    })
}

prop_compose! {
    /// Up to six operations that overlap anyhow.
    fn histories()(drawn in prop::collection::vec((0..3u8, 0..20u64, 1..8u64, 0..3u8, 0..5u8), 1..7)) -> Operations {
        let mut drawn: Vec<_> = drawn.into_iter().enumerate().collect();
        drawn.sort_by_key(|(nth, (_, asked, ..))| (*asked, *nth));
        let mut history = Operations::default();
        for (nth, (kind, asked, long, value, luck)) in drawn {
            // Stamps of questions are even, those of answers odd: no two are the same moment.
            let (asked, ended) = (2 * asked, 2 * (asked + long) + 1);
            let call = if kind == 0 { Call::Read } else { Call::Write(value) };
            note(&mut history, u16::try_from(nth).unwrap(), 0, call, asked, (luck > 0).then_some((ended, value)));
        }
        history
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_verdict_is_that_of_trying_every_order(history in histories()) {
        let operations = all(&history);
        prop_assert_eq!(holds(&history), some_order_fits(&operations, 0, &mut Vec::new()));
    }

    #[test]
    fn an_order_that_is_given_explains_every_answer(history in histories()) {
        let operations = all(&history);
        if let Verdict::Linearizable(order) = verdict(&history) {
            let mut state = 0;
            for (nth, &at) in order.iter().enumerate() {
                prop_assert!(order[nth + 1..].iter().all(|&later| !operations[later].precedes(operations[at])));
                state = Register.step(&state, &operations[at].call, operations[at].answer()).expect("it fits");
            }
            let left_out = (0..operations.len()).filter(|at| !order.contains(at));
            prop_assert!(left_out.into_iter().all(|at| operations[at].returned.is_none()));
        }
    }
}
