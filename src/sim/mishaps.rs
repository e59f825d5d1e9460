//! Has faults happen when their time has come, and mends what they left behind.

use std::time::Duration;

use super::{
    choice::{Actor, Choice, Kind},
    controller::Controller,
    faults::Fault,
    plan::{Planned, When},
    process::Link,
    trace::Said,
};

impl Controller<'_> {
    /// Has the next fault of the plan happen, if its time has come.
    pub(super) fn inject_what_is_due(&mut self) -> bool {
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
}
