//! Two stores, one sequence of operations, every answer compared.
//!
//! An [`Operation`] is a wish with small numbers in it ("claim session 2 for worker 1"), easy to
//! draw and to shrink. [`resolve`](resolve::resolve) makes it a [`Call`] with all arguments, by what the memory store
//! holds at that moment, so that most calls are ones a worker would make. The [`Pair`] makes the
//! call on both stores, under clocks that move in step, and compares the answers; now and then it
//! compares all that the stores hold and all that their workers heard.

#![allow(dead_code, unused_imports, reason = "each test binary takes what it needs")]

mod call;
mod cast;
mod invariant;
mod knowledge;
mod operation;
mod pair;
mod resolve;

pub use operation::{Operation, sequences};
pub use pair::{Ground, Mismatch};
