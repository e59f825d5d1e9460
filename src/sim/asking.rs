//! How a simulated process asks the server: each question waits for its turn, and so may its answer.

use std::{future::poll_fn, time::Duration};

use futures_util::FutureExt;

use super::{
    calls::{Late, Verdict},
    choice::{Object, Op},
    history::Asked,
    names::Names,
    record::{self, Told},
    store::SimStore,
    trace::Said,
    words::Answer,
    world::World,
};
use crate::{
    model::{Partition, SessionId},
    store::{MemoryStore, Overdue, Presence, Reckoning, Renewal, Run, Store, StoreError, StoreResult},
};

/// How often somebody who waits for something at the server looks for it.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// A call under way. If it is dropped on the way, nobody waits for it any more, but it may still arrive.
struct Call<'a, L: Fn() -> Option<Late>> {
    world: &'a World,
    id: u64,
    late: L,
}

impl<L: Fn() -> Option<Late>> Call<'_, L> {
    async fn verdict(&self) -> Verdict {
        poll_fn(|cx| match self.world.state().verdict(self.id, cx.waker()) {
            Some(verdict) => std::task::Poll::Ready(verdict),
            None => std::task::Poll::Pending,
        })
        .await
    }
}

impl<L: Fn() -> Option<Late>> Drop for Call<'_, L> {
    fn drop(&mut self) {
        self.world.state().abandon(self.id, &self.late);
    }
}

impl SimStore {
    /// Sends a call, waits for its turn, has it take effect, and waits for its answer.
    pub(super) async fn call<T: Answer>(
        &self,
        op: Op,
        object: Object,
        effect: impl Fn(&MemoryStore) -> StoreResult<T>,
        late: impl Fn() -> Option<Late>,
    ) -> StoreResult<T> {
        let sent = self.world.state().send_call(self.actor, self.generation, op, object);
        let Some(id) = sent else { return std::future::pending().await };
        let call = Call { world: &self.world, id, late };
        if call.verdict().await == Verdict::GiveUp {
            return Err(no_answer());
        }
        let (store, is_full) = {
            let state = self.world.state();
            (state.server.store().clone(), state.server.is_full(state.now()))
        };
        let answer = match op {
            Op::Send | Op::Relay | Op::Post | Op::Revive if is_full => Err(StoreError::OutOfMemory),
            _ => effect(&store),
        };
        let waits = self.world.state().answered(id, Said::of(&answer));
        if waits && call.verdict().await == Verdict::GiveUp {
            return Err(no_answer());
        }
        answer
    }

    pub(super) fn asks(&self, session: &SessionId, call: record::SessionCall) -> Asked {
        self.world.state().asks(self.actor, session, call)
    }

    pub(super) fn told<T: Told>(&self, asked: Asked, answer: StoreResult<T>) -> StoreResult<T> {
        self.world.state().told(asked, &answer);
        answer
    }

    /// A renewal; whether it brings somebody back who is buried is looked at in the moment when it takes effect.
    pub(super) async fn renew_one(&self, partition: Partition, presence: &Presence) -> StoreResult<Renewal> {
        let effect = |store: &MemoryStore| {
            let was_buried = store.is_buried(partition, &presence.worker);
            let renewed = now(store.renew(partition, presence));
            if was_buried && matches!(renewed, Ok(Renewal::Renewed { .. })) {
                self.world.state().revived(&presence.worker);
            }
            renewed
        };
        let late = || {
            let presence = presence.clone();
            let late: Late = Box::new(move |store: &MemoryStore| {
                // Nobody is there to be told.
                let _ = now(store.renew(partition, &presence));
            });
            Some(late)
        };
        self.call(Op::Renew, Names::partition(partition), effect, late).await
    }

    /// The start of the server that answers what is asked now.
    pub(super) fn run(&self) -> Run {
        Run::named(&self.world.state().server.run())
    }

    /// What a claim that is sent now may do with an owner past its deadline.
    pub(super) fn overdue(&self, wish: Overdue) -> Overdue {
        match wish {
            Overdue::BuryUnder(reckoning) if reckoning.run == self.run() => {
                Overdue::BuryUnder(within(reckoning))
            }
            Overdue::BuryUnder(_) => Overdue::Spare,
            wish => wish,
        }
    }

    pub(super) fn session(&self, session: &SessionId) -> Object {
        self.world.state().names.session(session)
    }

    /// Looks again and again for up to `wait`, until something is found.
    pub(super) async fn patient<T, F: Future<Output = StoreResult<T>>>(
        &self,
        wait: Duration,
        look: impl Fn() -> F,
        found: impl Fn(&T) -> bool,
    ) -> StoreResult<T> {
        let until = self.env.now().plus(wait);
        loop {
            let seen = look().await?;
            let left = until.since(self.env.now());
            if found(&seen) || left.is_zero() {
                return Ok(seen);
            }
            if self.world.state().is_direct {
                // There is no controller to let time pass: somebody else's task has to come in between.
                tokio::task::yield_now().await;
            } else {
                self.env.sleep(left.min(LOOK_EVERY)).await;
            }
        }
    }
}

fn no_answer() -> StoreError {
    StoreError::Unavailable("no answer".into())
}

/// What an operation of the memory store gives: it never waits.
pub(super) fn now<T>(operation: impl Future<Output = T>) -> T {
    operation.now_or_never().expect("the memory store never waits")
}

/// An operation that arrives though nobody waits for it any more needs its arguments for itself.
macro_rules! call {
    ($self:ident.$op:ident on $object:expr, $store:ident => $call:expr) => {{
        let effect = |$store: &MemoryStore| now($call);
        $self.call(Op::$op, $object, effect, || None).await
    }};
    ($self:ident.$op:ident on $object:expr, keeps [$($arg:ident = $kept:expr),*], $store:ident => $call:expr) => {{
        let effect = |$store: &MemoryStore| now($call);
        let late = || {
            $(let $arg = $kept;)*
            let late: Late = Box::new(move |$store: &MemoryStore| {
                $(let $arg = &$arg;)*
                // Nobody is there to be told.
                let _ = now($call);
            });
            Some(late)
        };
        $self.call(Op::$op, $object, effect, late).await
    }};
}

pub(super) use call;

/// The same to the store that stands behind every start of the simulated server, and knows of one alone.
pub(super) fn within(reckoning: Reckoning) -> Reckoning {
    Reckoning { run: MemoryStore::only_run(), ..reckoning }
}
