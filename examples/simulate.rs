//! Finds a race in an agent, runs it again, and makes it small: `cargo run --example simulate`.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use tenure::{
    Agent, AgentError, Message, Reply, Turn,
    sim::{End, Recorded, Simulation, Workload},
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

/// Five customers who come at once.
fn customers() -> Workload {
    (0..5).fold(Workload::none(), |workload, n| {
        workload.client(move |client| async move {
            let session = format!("shop/{n}").parse().expect("a good name");
            // Sold or sold out: the shop's books tell.
            _ = client.ask(session, "one, please").await;
        })
    })
}

/// A shop with three things. The stock is new in each run.
fn simulation(seed: u64) -> Simulation {
    let shop = Shop::with(3);
    let stock = shop.stock.clone();
    let is_sold_once = move |_: &End| match stock.load(Ordering::SeqCst) {
        0.. => Ok(()),
        less => Err(format!("{less} are left")),
    };
    Simulation::new(seed)
        .agent("shop", shop)
        .workload(customers())
        .check("nothing is sold twice", is_sold_once)
}

/// Finds the race, runs it again, and makes it small.
pub fn main() {
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
