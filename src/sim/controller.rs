//! Owns the schedule: waits until everybody waits, looks at what the last step did, and picks the next.

use std::{
    ops::ControlFlow,
    sync::{Arc, Mutex},
    time::Duration,
};

use super::{
    choice::{Actor, Choice, Kind, Strategy},
    fleet::Fleet,
    invariants as must,
    mixed::mixed,
    panics::{self, Noted},
    plan::{Planned, When},
    quiet::Quiet,
    world::{State, World},
};

/// How close two moments lie whose order is a choice: timers and lease ends within this may come in any order.
const CLOSE: Duration = Duration::from_millis(3);

/// All sessions are looked at every so many steps.
const LOOK_AT_ALL: u64 = 100;

/// Whether a run is over is asked every so many steps.
const ASK_WHETHER_OVER: u64 = 16;

/// What a run is bounded by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// How long after the last fault everything must be finished.
    pub(super) settle: Duration,
    /// The most steps.
    pub(super) steps: u64,
    /// One in so many steps may let time pass though something else could happen; 0 is never, and 1 always.
    pub(super) time_one_in: u64,
}

/// Runs one simulation.
pub(super) struct Controller<'a> {
    pub(super) world: Arc<World>,
    pub(super) quiet: Arc<Quiet>,
    pub(super) fleet: Fleet,
    pub(super) strategy: &'a mut dyn Strategy,
    pub(super) seed: u64,
    /// The faults of machines to come, the next one last.
    pub(super) plan: Vec<Planned>,
    pub(super) bounds: Bounds,
    pub(super) clients: Arc<Clients>,
    pub(super) enabled: Vec<Choice>,
}

/// How many clients are not finished.
#[derive(Default)]
pub(super) struct Clients {
    pub(super) busy: Mutex<u16>,
}

impl Controller<'_> {
    /// Goes on until the run is over, or something is wrong.
    pub(super) async fn run(&mut self) {
        loop {
            self.quiet.wait().await;
            let _own = Noted::outside();
            if self.step().is_break() {
                return;
            }
        }
    }

    fn step(&mut self) -> ControlFlow<()> {
        self.look()?;
        self.fleet.start_ended();
        if let Some(chosen) = self.next()? {
            self.carry_out(chosen);
        }
        ControlFlow::Continue(())
    }

    /// Sees what the last step did.
    fn look(&mut self) -> ControlFlow<()> {
        let mut state = self.world.state();
        state.collect_hints();
        state.check_touched();
        if state.step().is_multiple_of(LOOK_AT_ALL) {
            state.check_all();
        }
        if let Some(panic) = panics::take() {
            state.fail(must::NO_PANIC, panic);
        }
        if let Some((choice, feedback)) = state.trace.last()
            && choice.kind != Kind::Fault
        {
            self.strategy.saw(&choice, &feedback);
        }
        if state.failure.is_some() {
            return ControlFlow::Break(());
        }
        drop(state);
        self.is_over()
    }

    /// Whether the run is over, or should have been.
    fn is_over(&mut self) -> ControlFlow<()> {
        let mut state = self.world.state();
        if state.step() >= self.bounds.steps {
            state.fail(must::ENDS, format!("it went on for {} steps", self.bounds.steps));
            return ControlFlow::Break(());
        }
        if !state.step().is_multiple_of(ASK_WHETHER_OVER)
            || !self.plan.is_empty()
            || state.now() < state.fates.until()
        {
            return ControlFlow::Continue(());
        }
        let busy = *self.clients.busy.lock().expect("nobody panics with it");
        let quiet_since = state.faults_ended();
        if busy == 0 && state.calls_of_clients() == 0 && state.server.store().is_settled() {
            return ControlFlow::Break(());
        }
        // A fault may look like a message that kills its workers, and be taken for one.
        if state.now() > quiet_since + self.bounds.settle / 2 {
            state.server.free_all();
        }
        if state.now() > quiet_since + self.bounds.settle {
            let unfinished = state.watch.unfinished();
            let settle = self.bounds.settle;
            let how = format!(
                "{settle:?} after the last fault {busy} clients wait, and {unfinished} messages are not done"
            );
            state.fail(must::LIVENESS, how);
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    /// What happens next; nothing if a fault just did.
    fn next(&mut self) -> ControlFlow<(), Option<Choice>> {
        loop {
            if self.inject_what_is_due() {
                return ControlFlow::Continue(None);
            }
            let mut state = self.world.state();
            state.enabled(&mut self.enabled);
            match (self.enabled.is_empty(), self.next_event(&state)) {
                (true, None) => {
                    state.fail(must::LIVENESS, "nothing can happen any more".to_owned());
                    return ControlFlow::Break(());
                }
                (true, Some(next)) => {
                    let to = self.about(next);
                    state.advance(to, false);
                    continue;
                }
                (false, Some(_)) if self.may_time_pass(state.step()) => {
                    let actor = Actor::World;
                    let kind = Kind::Time;
                    self.enabled.push(Choice {
                        id: Choice::TIME,
                        actor,
                        task: 0,
                        kind,
                        object: None,
                        writes: false,
                    });
                }
                (false, _) => (),
            }
            drop(state);
            let picked = self.strategy.pick(&self.enabled);
            return ControlFlow::Continue(Some(self.enabled[picked]));
        }
    }

    fn may_time_pass(&self, step: u64) -> bool {
        match self.bounds.time_one_in {
            0 => false,
            one_in => mixed(self.seed ^ mixed(step)).is_multiple_of(one_in),
        }
    }

    /// When something happens by itself next: also a fault, over which time must not leap.
    fn next_event(&self, state: &State) -> Option<Duration> {
        let planned = self.plan.last().and_then(|planned| match planned.when {
            When::At(at) => Some(at),
            When::Step(_) | When::StepAt(..) | When::To(_) => None,
        });
        state.next_event().into_iter().chain(planned).min()
    }

    /// The moment `next`, or a little later: then what is due shortly after may come before it.
    fn about(&self, next: Duration) -> Duration {
        let nanos = u64::try_from(next.as_nanos()).unwrap_or(u64::MAX);
        let drawn = mixed(self.seed ^ nanos);
        let close = u64::try_from(CLOSE.as_nanos()).unwrap_or(1);
        if drawn.is_multiple_of(2) { next } else { next + Duration::from_nanos((drawn >> 8) % close) }
    }

    /// Whether some worker could go on.
    fn holds_up_a_worker(&self) -> bool {
        self.enabled.iter().any(|choice| matches!(choice.actor, Actor::Worker(_)))
    }

    fn carry_out(&mut self, chosen: Choice) {
        let mut state = self.world.state();
        state.begin_step(chosen);
        match chosen.kind {
            Kind::Call(_) | Kind::Reply(_) => state.let_go(&chosen),
            Kind::Timer | Kind::Step => state.fire(&chosen),
            Kind::Hint => state.hear(chosen.id),
            Kind::Time => {
                if let Some(next) = self.next_event(&state) {
                    let to = self.about(next);
                    state.advance(to, self.holds_up_a_worker());
                }
            }
            Kind::Fault => unreachable!("faults are not picked"),
        }
    }
}

impl State {
    /// A timer fires.
    fn fire(&mut self, chosen: &Choice) {
        let now = self.now();
        let waker = self.process_mut(chosen.actor).take_timer(chosen.id, now);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
