//! What the clients and workers of a run asked and were told: the material of every check at the end.
//!
//! A stamp is the number of a step of the run. An operation takes effect at some moment between its invocation
//! and its return; where the answer never came (a lost call, a lost reply, a stopped worker) nobody knows whether
//! it took effect at all. That is all a client can see of a store, and so all that a check may use.

use std::collections::BTreeMap;

use super::choice::{Actor, Object};

/// One operation as its caller saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation<C, R> {
    /// Who asked.
    pub actor: Actor,
    /// What it was about.
    pub object: Object,
    /// The question.
    pub call: C,
    /// The stamp at which it was asked.
    pub invoked: u64,
    /// The answer, if one came.
    pub returned: Option<Returned<R>>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Returned<R> {
    /// The stamp at which it arrived; greater than that of the question.
    pub at: u64,
    /// What it said.
    pub answer: R,
}

impl<C, R> Operation<C, R> {
    /// When the answer came, or the end of time.
    pub fn ended(&self) -> u64 {
        self.returned.as_ref().map_or(u64::MAX, |returned| returned.at)
    }

    /// The answer, if one came.
    pub fn answer(&self) -> Option<&R> {
        self.returned.as_ref().map(|returned| &returned.answer)
    }

    /// Whether it was over before `other` began.
    pub fn precedes(&self, other: &Self) -> bool {
        self.ended() < other.invoked
    }
}

/// All operations of a run, in the order in which they were asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History<C, R> {
    operations: Vec<Operation<C, R>>,
}

/// Names an operation of a [`History`] until its answer comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Asked(usize);

impl<C, R> Default for History<C, R> {
    fn default() -> Self {
        Self { operations: Vec::new() }
    }
}

impl<C, R> History<C, R> {
    /// Notes a question asked at `stamp`.
    pub fn invoke(&mut self, actor: Actor, object: Object, call: C, stamp: u64) -> Asked {
        self.operations.push(Operation { actor, object, call, invoked: stamp, returned: None });
        Asked(self.operations.len() - 1)
    }

    /// Notes its answer, which came at `stamp`. A second answer to one question replaces the first.
    pub fn returned(&mut self, asked: Asked, answer: R, stamp: u64) {
        self.operations[asked.0].returned = Some(Returned { at: stamp, answer });
    }

    /// The operations, in the order in which they were asked.
    pub fn operations(&self) -> &[Operation<C, R>] {
        &self.operations
    }

    /// The same, object by object.
    ///
    /// Linearizability is local (Herlihy & Wing 1990): a history is linearizable exactly if it is so for each
    /// object. Checking the parts is exponentially cheaper (P-compositionality: Horn & Kroening 2015).
    pub fn by_object(&self) -> BTreeMap<&Object, Vec<&Operation<C, R>>> {
        let mut parts: BTreeMap<&Object, Vec<&Operation<C, R>>> = BTreeMap::new();
        for operation in &self.operations {
            parts.entry(&operation.object).or_default().push(operation);
        }
        parts
    }
}
