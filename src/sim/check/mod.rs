//! What must hold of a whole run, judged from what its clients saw.
//!
//! A [`Model`] says what one object would do if it were used by one client at a time. [`linear`] asks whether the
//! answers that concurrent clients got can be explained by such a one, with every operation taking effect at one
//! moment between question and answer; [`consistency`] asks for less. [`session`] is the model of a session of ours.

pub mod consistency;
pub mod linear;
mod order;
mod search;
pub mod session;

use std::hash::Hash;

/// What an object does for one client at a time.
pub trait Model {
    /// Everything that later answers depend on.
    type State: Clone + Eq + Hash;
    /// What can be asked.
    type Call;
    /// What can be answered.
    type Answer;

    /// The object before anybody used it.
    fn initial(&self) -> Self::State;

    /// The state after `call` was asked in `state` and answered with `answer`; `None` if that cannot be the answer.
    ///
    /// Without an answer (nobody knows it): the state after the call took effect. That it did not need not be told.
    fn step(
        &self,
        state: &Self::State,
        call: &Self::Call,
        answer: Option<&Self::Answer>,
    ) -> Option<Self::State>;
}
