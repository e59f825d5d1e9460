//! From a run that failed to the least of it that a person has to read.

use super::{
    choice::{Actor, Kind, Object},
    report::Report,
    shrink::{Plan, Trial, shrink},
    simulation::Simulation,
    slice::{Event, Slice},
    strategy::{Pick, Replay},
    trace::{Recorded, Trace},
};

impl Simulation {
    /// A run with fewer faults and fewer switches between actors that fails at the same invariant as `failed` did; none if
    /// that run did not fail, or fails no more. Takes at most `budget` runs, each of a simulation made anew, so that what
    /// its agents share begins as it did then.
    pub fn smaller(made: impl Fn() -> Self, failed: &Report, budget: usize) -> Option<Report> {
        let invariant = &failed.failure.as_ref()?.invariant;
        let recorded = failed.trace.recorded();
        let run = |plan: &Plan<_>| {
            let faults = plan.faults.clone();
            let tried = Recorded { faults, picks: plan.picks.clone(), ..recorded.clone() };
            made().follow(&tried, &mut Replay::loose(plan.picks.clone()))
        };
        let plan = Plan { faults: recorded.faults.clone(), picks: recorded.picks.clone() };
        let shrunk = shrink(plan, budget, |plan| {
            let report = run(plan);
            match &report.failure {
                Some(failure) if failure.invariant == *invariant => Trial::Fails(picks_of(&report.trace)),
                _ => Trial::Passes,
            }
        })?;
        Some(run(&shrunk.plan))
    }
}

fn picks_of(trace: &Trace) -> Vec<Pick> {
    let picked = trace.events.iter().filter(|event| event.choice.kind != Kind::Fault);
    picked.map(|event| Pick::from(&event.choice)).collect()
}

impl Trace {
    /// The steps that the last one depends on, a line each; how many were left out is said between.
    pub fn slice(&self) -> String {
        let events: Vec<_> = self.events.iter().map(|event| as_event(&event.choice)).collect();
        match events.len() {
            0 => String::new(),
            steps => Slice::new(&events, steps - 1).render(|at| self.line(&self.events[at])),
        }
    }
}

/// What one step touches: a call reads its object and may write it; all else only goes on from the task's last step.
fn as_event(choice: &super::choice::Choice) -> Event<(Actor, u32), Object> {
    let is_call = matches!(choice.kind, Kind::Call(_));
    let touched: Vec<_> = choice.object.into_iter().filter(|_| is_call).collect();
    let writes = if choice.writes { touched.clone() } else { Vec::new() };
    Event { task: (choice.actor, choice.task), reads: touched, writes }
}
