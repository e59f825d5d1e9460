//! Seeds, schedules and replays.

use crate::fleet::counters;

#[test]
fn whatever_goes_wrong_each_message_is_one_turn() {
    tenure::sim::test(1..=80, counters);
}

#[test]
fn the_same_seed_gives_the_same_trace_on_any_thread() {
    for seed in [3, 17, 90] {
        let here = counters(seed).run();
        let there = std::thread::spawn(move || counters(seed).run()).join().unwrap();
        assert_eq!(here.trace.to_jsonl(), there.trace.to_jsonl());
        assert_eq!(here.trace_hash, there.trace_hash);
    }
}

#[test]
fn another_seed_gives_another_trace() {
    assert_ne!(counters(1).run().trace_hash, counters(2).run().trace_hash);
}

#[test]
fn a_recording_replays_bit_for_bit() {
    for seed in 1..=20 {
        let run = counters(seed).run();
        let read = tenure::sim::Recorded::from_jsonl(&run.trace.to_jsonl()).unwrap();
        assert_eq!(read, run.trace.recorded());
        let again = counters(0).replay(&read);
        assert_eq!(again.trace.render(), run.trace.render(), "seed {seed}");
        assert_eq!(again.trace_hash, read.hash);
    }
}
