//! Owns the schedule: waits until everybody waits, looks at what the last step did, and picks the next.

use std::{
    future::poll_fn,
    ops::ControlFlow,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Poll, Waker},
    time::Duration,
};

use super::{
    choice::{Actor, Choice, Kind, Strategy},
    faults::{Cut, Fault, Planned, When, mixed},
    fleet::Fleet,
    panics::{self, Noted},
    process::Link,
    trace::Said,
    watch::invariants as must,
    world::World,
};

/// How close two moments lie whose order is a choice: timers and lease ends within this may come in any order.
const CLOSE: Duration = Duration::from_millis(3);

/// All sessions are looked at every so many steps.
const LOOK_AT_ALL: u64 = 100;

/// Whether a run is over is asked every so many steps.
const ASK_WHETHER_OVER: u64 = 16;

/// Knows when nobody can go on by themselves: the runtime is about to put its thread to sleep.
#[derive(Default)]
pub(super) struct Quiet {
    is_quiet: AtomicBool,
    waits: Mutex<Option<Waker>>,
}

impl Quiet {
    /// The runtime has nothing to run.
    pub(super) fn reached(&self) {
        self.is_quiet.store(true, Ordering::Relaxed);
        let waker = self.waits.lock().expect("nobody panics with it").take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    async fn wait(&self) {
        poll_fn(|cx| {
            if self.is_quiet.swap(false, Ordering::Relaxed) {
                return Poll::Ready(());
            }
            *self.waits.lock().expect("nobody panics with it") = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

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
            let planned = self.plan.last().and_then(|planned| match planned.when {
                When::At(at) => Some(at),
                When::Step(_) | When::StepAt(..) | When::To(_) => None,
            });
            let next = state.next_event().into_iter().chain(planned).min();
            match (self.enabled.is_empty(), next) {
                (true, None) => {
                    state.fail(must::LIVENESS, "nothing can happen any more".to_owned());
                    return ControlFlow::Break(());
                }
                (true, Some(next)) => {
                    let to = self.about(next);
                    state.advance(to);
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

    /// The moment `next`, or a little later: then what is due shortly after may come before it.
    fn about(&self, next: Duration) -> Duration {
        let nanos = u64::try_from(next.as_nanos()).unwrap_or(u64::MAX);
        let drawn = mixed(self.seed ^ nanos);
        let close = u64::try_from(CLOSE.as_nanos()).unwrap_or(1);
        if drawn.is_multiple_of(2) { next } else { next + Duration::from_nanos((drawn >> 8) % close) }
    }

    /// Has the next fault of the plan happen, if its time has come.
    fn inject_what_is_due(&mut self) -> bool {
        let is_due = {
            let state = self.world.state();
            self.plan.last().is_some_and(|planned| match planned.when {
                When::At(at) => at <= state.now(),
                When::Step(step) => step <= state.step() + 1,
                When::StepAt(step, at) => step <= state.step() + 1 && at <= state.now(),
                When::To(_) => true,
            })
        };
        match self.plan.pop_if(|_| is_due) {
            Some(planned) => {
                self.inject(planned);
                true
            }
            None if self.plan.is_empty() => self.mend_everything(),
            None => false,
        }
    }

    /// Once there is no fault to come, what they left behind is put right: everything is connected, and all run.
    fn mend_everything(&mut self) -> bool {
        let cut = {
            let state = self.world.state();
            if state.now() < state.fates.until() {
                return false;
            }
            (0..state.workers).find(|worker| state.process(Actor::Worker(*worker)).link != Link::Up)
        };
        let down = || self.fleet.down().first().copied();
        let mend =
            cut.map(|worker| Fault::Heal { worker }).or_else(|| down().map(|worker| Fault::Start { worker }));
        let Some(fault) = mend else { return false };
        let (step, now) = {
            let state = self.world.state();
            (state.step() + 1, state.now())
        };
        self.inject(Planned::before_step_at(step, now, fault));
        true
    }

    /// When a process that stands still goes on, if this fault needs it to.
    fn must_wait_for(&self, fault: Fault) -> Option<Duration> {
        let Fault::Drain { worker } = fault else { return None };
        let state = self.world.state();
        let paused = (worker < state.workers).then(|| state.process(Actor::Worker(worker)).paused_until)?;
        paused.filter(|until| *until > state.now())
    }

    fn inject(&mut self, planned: Planned) {
        let fault = planned.fault;
        if let Some(until) = self.must_wait_for(fault) {
            // A signal to a process that stands still is delivered when it goes on.
            let later = Planned::at(until, fault);
            let place = self.plan.partition_point(|other| *other > later);
            return self.plan.insert(place, later);
        }
        {
            let mut state = self.world.state();
            let choice = Choice {
                id: state.next_id(),
                actor: Actor::World,
                task: 0,
                kind: Kind::Fault,
                object: None,
                writes: false,
            };
            state.begin_step(choice);
            state.says(Said { word: fault.as_str(), number: fault.worker().map(u64::from) });
            state.fates.happened.push(planned);
            state.suffer(fault);
        }
        match fault {
            Fault::Stop { worker } => self.fleet.stop(worker),
            Fault::Drain { worker } => self.fleet.drain(worker),
            Fault::Start { worker } => self.fleet.start(worker),
            _ => (),
        }
    }

    fn carry_out(&mut self, chosen: Choice) {
        let mut state = self.world.state();
        state.begin_step(chosen);
        match chosen.kind {
            Kind::Call(_) | Kind::Reply(_) => state.let_go(&chosen),
            Kind::Timer | Kind::Step => state.fire(&chosen),
            Kind::Hint => state.hear(chosen.id),
            Kind::Time => {
                if let Some(next) = state.next_event() {
                    let to = self.about(next);
                    state.advance(to);
                }
            }
            Kind::Fault => unreachable!("faults are not picked"),
        }
    }
}

impl super::world::State {
    /// A timer fires.
    fn fire(&mut self, chosen: &Choice) {
        let now = self.now();
        let waker = self.process_mut(chosen.actor).take_timer(chosen.id, now);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// What a fault does to the world; what it does to processes is the fleet's part.
    fn suffer(&mut self, fault: Fault) {
        let now = self.now();
        self.note_fault(fault);
        match fault {
            Fault::Partition { worker, how } if worker < self.workers => {
                let actor = Actor::Worker(worker);
                self.process_mut(actor).cut(now, how);
                if how == Cut::Drop {
                    self.lose_calls(Some(actor), None);
                    self.lose_hints(Some(actor));
                }
            }
            Fault::Heal { worker } if worker < self.workers => {
                let actor = Actor::Worker(worker);
                let link = self.process_mut(actor).heal();
                if link == Link::Cut(Cut::Drop) {
                    self.resubscribe(Some(actor));
                }
            }
            Fault::Pause { worker, lasting } if worker < self.workers => {
                self.process_mut(Actor::Worker(worker)).pause(now, lasting);
            }
            Fault::Leap { worker, by } if worker < self.workers => {
                self.process_mut(Actor::Worker(worker)).clock.jump(now, by);
            }
            Fault::Drift { worker, ppm } if worker < self.workers => {
                self.process_mut(Actor::Worker(worker)).clock.drift(now, ppm);
            }
            Fault::SetServerClock { by_ms } => {
                self.server.set_clock(now, by_ms);
                self.watch.doubt_deadlines(now);
            }
            Fault::RestartServer => {
                self.server.started = Some(now);
                self.lose_connections();
            }
            Fault::CutReplica => self.server.cut_replica(),
            Fault::HealReplica => self.server.heal_replica(),
            Fault::Failover => {
                self.server.fail_over();
                self.server.started = Some(now);
                self.lose_connections();
                self.watch.forget(now);
                self.check_all();
            }
            Fault::FillMemory { lasting } => self.server.fill(now + lasting),
            Fault::SlowFsync { by, lasting } => self.server.slow_down(by, now + lasting),
            _ => (),
        }
    }

    /// Every connection breaks, and everybody notices at once.
    fn lose_connections(&mut self) {
        let now = self.now();
        self.lose_calls(None, Some(now));
        self.lose_hints(None);
        self.resubscribe(None);
    }
}
