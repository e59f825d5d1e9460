//! An agent with a state of its own, kept by Redis over restarts of this program.
//!
//! ```sh
//! cargo run --example counter          # a worker that serves the agent `counter`
//! tenure send counter/alice "" --wait  # 1, then 2, then 3 … also after a restart
//! ```

use serde::{Deserialize, Serialize};
use tenure::{
    Agent, AgentError, Message, Reply, Turn, Worker,
    store::{RedisStore, redis::Options},
};

/// What is kept of each session.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Counted {
    messages: u64,
    letters: usize,
}

struct Counter;

impl Agent for Counter {
    type State = Counted;

    async fn turn(&self, cx: &mut Turn<Counted>, message: Message) -> Result<Reply, AgentError> {
        let letters = message.body.as_text().unwrap_or_default().chars().count();
        let counted = cx.state_mut();
        counted.messages += 1;
        counted.letters += letters;
        Ok(Reply::text(format!("{} messages, {} letters so far", counted.messages, counted.letters)))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::var("TENURE_REDIS").unwrap_or_else(|_| "redis://127.0.0.1:6379".to_owned());
    let store = RedisStore::connect(Options::new(&url)).await?;
    let worker = Worker::builder(store).agent("counter", Counter).start().await?;
    println!("serving counter as {}; Ctrl-C ends it", worker.id());
    tokio::signal::ctrl_c().await?;
    worker.drain().await;
    Ok(())
}
