//! Who takes part: few of each, so that they meet.

use std::time::Duration;

use tenure::{
    model::{AgentName, Door, Limits, Millis, Pool, ReplyTo, SessionId, Settings, WorkerId},
    store::{DutyWish, Presence},
};

/// Where both clocks stand at first.
pub const START: Millis = Millis(1_800_000_000_000);
/// Every worker's lease.
pub const LEASE: Duration = Duration::from_secs(10);

/// Sessions, in two partitions and of two agents.
const SESSIONS: [&str; 6] = ["echo/{a}1", "echo/{a}2", "other/{a}3", "echo/{b}1", "echo/{b}2", "other/{b}3"];

/// Incarnations of three workers, the third in a pool of its own. The last of each hears nothing.
const WORKERS: [&str; 9] = ["w0-a", "w1-a", "w2-a", "w0-b", "w1-b", "w2-b", "w0-deaf", "w1-deaf", "w2-deaf"];

/// How many join before the first operation.
pub const FIRST: usize = 3;
/// How many listen.
pub const LISTENING: usize = 6;

/// Reply keys; the last takes no push.
const LISTS: [&str; 3] = ["replies:1", "replies 2/\"\n", "taken"];

const IDS: [&str; 3] = ["k1", "k/2 \"ü\"", "k3"];

pub fn settings() -> Settings {
    Settings { partitions: 4, limits: Limits { body: 1_500, inbox: 4 }, ..Settings::default() }
}

pub fn sessions() -> Vec<SessionId> {
    SESSIONS.iter().map(|name| name.parse().expect("a good session")).collect()
}

pub fn workers() -> Vec<WorkerId> {
    WORKERS.iter().map(|name| name.parse().expect("a good worker")).collect()
}

pub fn lists() -> Vec<ReplyTo> {
    LISTS.iter().map(|name| name.parse().expect("a good reply key")).collect()
}

pub fn ids() -> Vec<tenure::model::IdempotencyKey> {
    IDS.iter().map(|name| name.parse().expect("a good id")).collect()
}

pub fn pools() -> [Pool; 2] {
    ["default", "other"].map(|name| name.parse().expect("a good pool"))
}

pub fn agents() -> Vec<AgentName> {
    ["echo", "other"].map(|name| name.parse().expect("a good agent")).to_vec()
}

/// The pool that serves a session's agent.
pub fn home(session: &SessionId) -> Pool {
    let [first, second] = pools();
    if session.agent().as_str() == "other" { second } else { first }
}

/// What an incarnation tells a partition, with that load and wish. Some loads are those of a worker of which
/// an agent is full.
pub fn presence(worker: &WorkerId, load: Option<u64>, duty: DutyWish) -> Presence {
    let [first, second] = pools();
    let pool = if worker.as_str().starts_with("w2") { second } else { first };
    let full =
        agents().into_iter().zip([1, 2]).filter(|(_, last)| load.is_some_and(|load| load % 8 == *last));
    let full = full.map(|(agent, _)| agent).collect();
    Presence { worker: worker.clone(), lease: LEASE, pool, agents: agents(), full, load, duty }
}

/// A plain door: the one without a number, or the second with one.
pub fn door(number: u8) -> Door {
    if number == 0 { Door::MAIN } else { Door::numbered(number).expect("a small number") }
}
