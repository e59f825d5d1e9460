//! A fleet whose agents count and echo, and what may go wrong with it.

use tenure::{
    Agent, AgentError, Message, Reply, Turn,
    agents::Echo,
    sim::{Faults, Rates, Report, Simulation, Workload},
};

/// Counts its turns, in its state.
#[derive(Clone)]
pub struct Count;

impl Agent for Count {
    type State = u64;

    async fn turn(&self, cx: &mut Turn<u64>, _: Message) -> Result<Reply, AgentError> {
        *cx.state_mut() += 1;
        cx.checkpoint().await;
        Ok(Reply::text(cx.state().to_string()))
    }
}

/// Three workers, twenty sessions, a hundred messages.
pub fn counters(seed: u64) -> Simulation {
    Simulation::new(seed)
        .agent("count", Count)
        .agent("echo", Echo)
        .workload(Workload::messages("count", 20, 100))
        .faults(Faults::Rates(Rates::rough()))
}

/// Fails with all that is needed to see why.
pub fn assert_ok(report: &Report) {
    if let Some(failure) = &report.failure {
        let trace = report.trace.render();
        let tail: Vec<_> = trace.lines().rev().take(60).collect();
        let tail: Vec<_> = tail.into_iter().rev().collect();
        panic!("seed {}: {failure}\nfaults: {:?}\n{}", report.seed, report.trace.faults, tail.join("\n"));
    }
}
