//! The memory store and the Redis store are the same store: random operations of three workers
//! under a moving clock, every answer, every hint and all that is held compared.
//!
//! `TENURE_DIFFERENTIAL_CASES` says how many sequences are tried (default 100), and
//! `TENURE_DIFFERENTIAL_SEED` which (the same number, the same sequences). A failure is shrunk, and
//! kept in `tests/seeds/`, from where it is tried first ever after.

mod differ;
mod support;

use std::{cell::RefCell, env};

use differ::{Ground, Operation, sequences};
use proptest::test_runner::{Config, FileFailurePersistence, RngSeed, TestCaseError, TestError, TestRunner};

/// Operations in one sequence, at most.
const LONGEST: usize = 200;

fn number(variable: &str) -> Option<u64> {
    env::var(variable)
        .ok()
        .map(|value| value.parse().unwrap_or_else(|_| panic!("{variable} is no number: {value}")))
}

fn config(seed: u64) -> Config {
    Config {
        cases: number("TENURE_DIFFERENTIAL_CASES").unwrap_or(100).try_into().expect("fewer cases"),
        rng_seed: RngSeed::Fixed(seed),
        max_shrink_iters: 3_000,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct("tests/seeds/differential.txt"))),
        source_file: Some(file!()),
        ..Config::default()
    }
}

#[test]
fn both_stores_answer_hint_and_hold_the_same_whatever_is_asked() {
    let seed = number("TENURE_DIFFERENTIAL_SEED").unwrap_or(1);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let ground = RefCell::new(runtime.block_on(Ground::start()));
    let try_sequence = |operations: Vec<Operation>| {
        let tried = runtime.block_on(ground.borrow_mut().try_sequence(&operations));
        tried.map_err(|parted| TestCaseError::fail(parted.to_string()))
    };
    match TestRunner::new(config(seed)).run(&sequences(LONGEST), try_sequence) {
        Ok(()) => (),
        Err(TestError::Fail(reason, operations)) => {
            let lines: Vec<_> = operations.iter().map(|operation| format!("{operation:?}")).collect();
            panic!("TENURE_DIFFERENTIAL_SEED={seed}\n{}\n{reason}", lines.join("\n"));
        }
        Err(aborted) => panic!("TENURE_DIFFERENTIAL_SEED={seed}: {aborted}"),
    }
}
