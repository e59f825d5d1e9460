//! Sequential and causal consistency, on the examples that tell the levels apart.

use proptest::prelude::*;
use tenure::sim::{
    Actor, Object,
    check::{
        consistency::{Access, AccessKind, Anomaly, Level, Sequential, causal, sequential},
        linear::check_history,
    },
};

use crate::register::{Call, Operations, Register, note};

#[test]
fn a_late_read_is_sequential_but_not_linearizable() {
    let mut history = Operations::default();
    note(&mut history, 1, 0, Call::Write(7), 0, Some((1, 7)));
    note(&mut history, 2, 0, Call::Read, 2, Some((3, 0)));
    assert_eq!(sequential(&Register, &history), Sequential::Consistent(vec![1, 0]));
    assert!(check_history(&Register, &history).is_err());
}

#[test]
fn two_writers_that_miss_each_other_are_not_sequential_though_each_object_is() {
    let both = |objects: &[u32]| {
        let mut history = Operations::default();
        let mut noted = |client, object, call, asked, answer| {
            if objects.contains(&object) {
                note(&mut history, client, object, call, asked, Some((asked + 2, answer)));
            }
        };
        noted(1, 0, Call::Write(1), 0, 1);
        noted(2, 1, Call::Write(1), 1, 1);
        noted(1, 1, Call::Read, 4, 0);
        noted(2, 0, Call::Read, 5, 0);
        sequential(&Register, &history)
    };
    assert!(matches!(both(&[0]), Sequential::Consistent(_)));
    assert!(matches!(both(&[1]), Sequential::Consistent(_)));
    assert!(matches!(both(&[0, 1]), Sequential::Violated(_)));
}

fn write(actor: u16, object: u32, version: u64) -> Access {
    Access { actor: Actor::Client(actor), object: Object(object), kind: AccessKind::Write(version) }
}

fn read(actor: u16, object: u32, version: impl Into<Option<u64>>) -> Access {
    Access { actor: Actor::Client(actor), object: Object(object), kind: AccessKind::Read(version.into()) }
}

const LEVELS: [Level; 3] = [Level::Causal, Level::Convergent, Level::Memory];

fn fits(accesses: &[Access]) -> [bool; 3] {
    LEVELS.map(|level| causal(accesses, level).is_ok())
}

#[test]
fn an_effect_without_its_cause_is_wrong() {
    let told =
        |last| causal(&[write(1, 0, 1), read(2, 0, 1), write(2, 1, 2), read(3, 1, 2), last], Level::Causal);
    assert_eq!(told(read(3, 0, 1)), Ok(()));
    assert_eq!(told(read(3, 0, None)), Err(Anomaly::Forgotten { read: 4, write: 0 }));
}

#[test]
fn a_version_known_to_be_overwritten_is_stale() {
    let accesses = [write(1, 0, 1), write(1, 0, 2), read(2, 0, 2), read(2, 0, 1)];
    assert_eq!(causal(&accesses, Level::Causal), Err(Anomaly::Stale { read: 3, old: 0, new: 1 }));
}

#[test]
fn a_version_out_of_thin_air_and_one_written_twice_are_named() {
    assert_eq!(causal(&[read(1, 0, 9)], Level::Causal), Err(Anomaly::ThinAir { read: 0 }));
    let twice = [write(1, 0, 1), write(2, 0, 1)];
    assert_eq!(causal(&twice, Level::Causal), Err(Anomaly::Ambiguous { first: 0, second: 1 }));
}

#[test]
fn two_reads_that_are_each_other_s_cause_are_wrong() {
    let accesses = [read(1, 0, 1), write(1, 1, 2), read(2, 1, 2), write(2, 0, 1)];
    assert!(matches!(causal(&accesses, Level::Causal), Err(Anomaly::Cycle { .. })));
}

#[test]
fn writers_who_each_see_the_other_last_do_not_converge_but_have_orders_of_their_own() {
    let accesses = [write(1, 0, 1), write(2, 0, 2), read(1, 0, 2), read(2, 0, 1)];
    assert_eq!(fits(&accesses), [true, false, true]);
}

#[test]
fn what_converges_need_not_fit_one_order_for_each() {
    let accesses = [
        write(1, 2, 1),
        write(1, 0, 1),
        write(1, 1, 1),
        write(2, 0, 2),
        read(2, 2, None),
        read(2, 1, 1),
        read(2, 0, 2),
    ];
    // Who has seen y knows of x = 1, so x = 2 must have come after it; but z was not there yet.
    assert_eq!(fits(&accesses), [true, true, false]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_went_one_by_one_is_causal_at_every_level(steps in prop::collection::vec((0..4u16, 0..3u32, any::<bool>()), 0..40)) {
        let mut newest = [None; 3];
        let accesses: Vec<Access> = (0..).zip(steps).map(|(version, (actor, object, writes))| {
            let now = &mut newest[object as usize];
            if writes {
                *now = Some(version);
                write(actor, object, version)
            } else {
                read(actor, object, *now)
            }
        }).collect();
        prop_assert_eq!(fits(&accesses), [true; 3]);
    }
}
