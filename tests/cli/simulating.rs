//! `tenure sim`, which needs no server.

use serde_json::Value;

use crate::command::{Ended, end, tenure};

const NAME: &str = "a-commit-without-an-answer-is-one-turn";

fn rows(ended: &Ended) -> Vec<Value> {
    ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn every_scenario_is_listed_with_what_it_is_about() {
    let listed = end(tenure(&["sim", "ls", "--json"]));
    assert_eq!(listed.code, 0, "{}", listed.stderr);
    let rows = rows(&listed);
    assert!(rows.len() >= 12);
    for row in rows {
        assert!(["name", "about", "holds"].iter().all(|field| row[field].is_string()), "{row}");
    }
}

#[test]
fn rows_come_in_seed_order_and_are_the_same_whatever_the_number_of_jobs() {
    let run = |jobs: &str| {
        let args = ["sim", "--scenario", NAME, "--seeds", "1..40", "--strategy", "pct:depth=2", "--json"];
        let ended = end(tenure(&[&args[..], &["--jobs", jobs]].concat()));
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        rows(&ended)
    };
    let (mut one, mut two) = (run("1"), run("2"));
    let (last, _) = (one.pop().unwrap(), two.pop().unwrap());
    assert_eq!(one, two);
    assert_eq!(
        one.iter().map(|row| row["seed"].as_u64().unwrap()).collect::<Vec<_>>(),
        (1..=40).collect::<Vec<_>>()
    );
    assert!(
        one.iter().all(|row| row["ok"] == true && row["scenario"] == NAME && row.get("elapsed").is_none())
    );
    assert_eq!((&last["summary"], &last["seeds"], &last["failed"]), (&true.into(), &40.into(), &0.into()));
    assert!(last["elapsed"].is_f64());
}

#[test]
fn a_seed_runs_again_as_the_same_run() {
    let args = ["--scenario", NAME, "--strategy", "pos", "--json"];
    let ran = rows(&end(tenure(&[&["sim", "--seeds", "7"], &args[..]].concat())));
    let again = rows(&end(tenure(&[&["sim", "replay", "--seed", "7"], &args[..]].concat())));
    assert_eq!(ran[0]["trace_hash"], again[0]["trace_hash"]);
}

#[test]
fn what_is_not_there_is_told_in_one_line() {
    for (args, code) in [
        (&["sim", "--scenario", "nonsense"][..], 3),
        (&["sim", "--seeds", "5..3"], 2),
        (&["sim", "--strategy", "chaos"], 2),
        (&["sim", "replay", "no-such-file.jsonl"], 2),
        (&["sim", "replay"], 2),
    ] {
        let ended = end(tenure(args));
        assert_eq!((ended.code, ended.stderr.lines().count()), (code, 1), "{args:?}: {}", ended.stderr);
    }
}
