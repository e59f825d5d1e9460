//! A register, the smallest object that is worth checking.

use tenure::sim::{
    Actor, Object,
    check::Model,
    history::{History, Operation},
};

/// Holds one number, at first 0.
pub struct Register;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    Write(u8),
    Read,
}

impl Model for Register {
    type State = u8;
    type Call = Call;
    type Answer = u8;

    fn initial(&self) -> u8 {
        0
    }

    /// A write answers with what it wrote.
    fn step(&self, &state: &u8, &call: &Call, answer: Option<&u8>) -> Option<u8> {
        let state = match call {
            Call::Write(value) => value,
            Call::Read => state,
        };
        answer.is_none_or(|&answer| answer == state).then_some(state)
    }
}

pub type Operations = History<Call, u8>;

/// Notes an operation of `client` on `object`, asked and answered at these stamps.
pub fn note(
    history: &mut Operations,
    client: u16,
    object: u32,
    call: Call,
    asked: u64,
    answer: Option<(u64, u8)>,
) {
    let name = history.invoke(Actor::Client(client), Object(object), call, asked);
    if let Some((at, answer)) = answer {
        history.returned(name, answer, at);
    }
}

pub fn all(history: &Operations) -> Vec<&Operation<Call, u8>> {
    history.operations().iter().collect()
}
