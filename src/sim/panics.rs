//! Panics while a simulation runs on this thread: of agents, which the runtime handles, and of anything else, which is a
//! failure of the run.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    pin::pin,
    sync::Once,
};

use crate::{Agent, AgentError, Message, Reply, Turn, model::TurnPolicy};

/// Whose code runs on this thread.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Code {
    /// No simulation's.
    Outside,
    /// The runtime's, or a client's.
    Simulated,
    /// An agent's: the runtime catches its panics.
    Agents,
}

thread_local! {
    static CODE: Cell<Code> = const { Cell::new(Code::Outside) };
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// While this lives, panics on this thread are noted instead of printed.
pub(super) struct Noted(Code);

impl Noted {
    /// From here on simulated code runs.
    pub(super) fn simulated() -> Self {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| match CODE.get() {
                Code::Outside => before(info),
                Code::Simulated => PANIC.with_borrow_mut(|seen| {
                    seen.get_or_insert_with(|| info.to_string());
                }),
                Code::Agents => (),
            }));
        });
        Self::enter(Code::Simulated)
    }

    /// From here on the simulation's own code runs: its panics are its own.
    pub(super) fn outside() -> Self {
        Self::enter(Code::Outside)
    }

    fn enter(code: Code) -> Self {
        Self(CODE.replace(code))
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        CODE.set(self.0);
    }
}

/// What panicked since this was asked last.
pub(super) fn take() -> Option<String> {
    PANIC.with_borrow_mut(Option::take)
}

/// An agent whose panics are its own affair.
pub(super) struct Watched<A>(pub(super) A);

impl<A: Agent> Agent for Watched<A> {
    type State = A::State;

    fn policy(&self) -> TurnPolicy {
        self.0.policy()
    }

    async fn turn(&self, cx: &mut Turn<A::State>, message: Message) -> Result<Reply, AgentError> {
        let mut turn = pin!(self.0.turn(cx, message));
        poll_fn(|task| {
            let _agents = Noted::enter(Code::Agents);
            turn.as_mut().poll(task)
        })
        .await
    }
}
