//! Finds a race in an agent, runs it again, and makes it small: `cargo run --example simulate`.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use tenure::{
    Agent, AgentError, Message, Reply, Turn,
    sim::{Recorded, Simulation, Workload},
};

/// Sells from a stock that all sessions share.
#[derive(Clone)]
struct Shop {
    stock: Arc<AtomicI64>,
}

impl Shop {
    fn with(stock: i64) -> Self {
        Self { stock: Arc::new(AtomicI64::new(stock)) }
    }
}

impl Agent for Shop {
    type State = ();

    async fn turn(&self, cx: &mut Turn<()>, _: Message) -> Result<Reply, AgentError> {
        if self.stock.load(Ordering::SeqCst) <= 0 {
            return Ok(Reply::text("sold out"));
        }
        cx.checkpoint().await; // here the shop asks the warehouse
        self.stock.fetch_sub(1, Ordering::SeqCst);
        Ok(Reply::text("sold"))
    }
}

/// A shop with three things and a dozen customers. The stock is new in each run.
fn simulation(seed: u64) -> Simulation {
    let shop = Shop::with(3);
    let stock = shop.stock.clone();
    Simulation::new(seed).agent("shop", shop).workload(Workload::messages("shop", 5, 12)).check(
        "nothing is sold twice",
        move |_| match stock.load(Ordering::SeqCst) {
            0.. => Ok(()),
            less => Err(format!("{less} are left")),
        },
    )
}

fn main() {
    let failed = (1..=200).map(|seed| simulation(seed).run()).find(|report| !report.is_ok());
    let failed = failed.expect("one of so many schedules shows the race");
    println!("seed {}: {}", failed.seed, failed.failure.as_ref().expect("it failed"));

    let recorded = Recorded::from_jsonl(&failed.trace.to_jsonl()).expect("what was written can be read");
    let again = simulation(failed.seed).replay(&recorded);
    assert_eq!(again.trace_hash, failed.trace_hash, "a replay is the same run, bit for bit");
    println!("replayed: trace {:016x} again", again.trace_hash);

    let smaller = Simulation::smaller(|| simulation(failed.seed), &failed, 300).expect("it fails still");
    println!("{} steps instead of {}; what the last depends on:", smaller.steps, failed.steps);
    println!("{}", smaller.trace.slice());
}
