//! Simulates a fleet of counters over a range of seeds: `cargo run --release --example simulate -- 1 200`.

use std::time::Duration;

use tenure::{
    Agent, AgentError, Message, Reply, Turn,
    sim::{Faults, Rates, Simulation, Workload},
};

/// Counts its turns.
#[derive(Clone)]
struct Count;

impl Agent for Count {
    type State = u64;

    async fn turn(&self, cx: &mut Turn<u64>, _: Message) -> Result<Reply, AgentError> {
        *cx.state_mut() += 1;
        cx.checkpoint().await;
        Ok(Reply::text(cx.state().to_string()))
    }
}

fn main() {
    let given: Vec<u64> = std::env::args().skip(1).map(|given| given.parse().expect("a seed")).collect();
    let harsh = given.get(2) == Some(&1);
    let (first, last) = (given.first().copied().unwrap_or(1), given.get(1).copied().unwrap_or(200));
    let (mut steps, mut failed, mut time) = (0, 0, Duration::ZERO);
    let rates = Rates { failovers: u32::from(harsh), clocks: 2 * u32::from(harsh), ..Rates::rough() };
    for seed in first..=last {
        let report = Simulation::new(seed)
            .agent("count", Count)
            .workload(Workload::messages("count", 20, 100))
            .faults(Faults::Rates(rates.clone()))
            .run();
        steps += report.steps;
        time += report.time;
        if let Some(failure) = report.failure {
            failed += 1;
            println!("seed {seed}: {failure}");
            if first == last {
                print!("{}{:?}", report.trace.render(), report.trace.faults);
            }
        }
    }
    let runs = last + 1 - first;
    println!(
        "{runs} runs, {failed} failed, {} steps and {:?} a run",
        steps / runs,
        time / u32::try_from(runs).unwrap_or(1)
    );
}
