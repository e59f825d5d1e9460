use std::time::Duration;

use super::ground::{Draw, counting, ms, session};
use crate::{
    client::Outgoing,
    model::{Door, Durability, WorkerConfig},
    sim::{End, Fault, Faults, Planned, Scenario, SimClient, Simulation, Workload},
    store::Store,
};

/// The class that all of it is about.
const CLASS: Durability = Durability { fsync: false, replicas: 1 };

/// Writes that no replica has are repeated, and the repeat finds them there: that alone acknowledges nothing.
pub(super) const FAILOVER: Scenario = Scenario {
    name: "what-a-replica-was-said-to-have-survives-a-failover",
    about: "The replica is cut off, writes go on without it, and it takes over.",
    holds: "What was told to be accepted or answered at `replicas:1` is there afterwards.",
    made: |seed| {
        let mut draw = Draw::of(seed);
        let cut = draw.between_ms(300, 3_000);
        let over = cut + draw.between_ms(1, 2_500);
        let plan = vec![Planned::at(cut, Fault::CutReplica), Planned::at(over, Fault::Failover)];
        replicated(seed).faults(Faults::Plan(plan)).check("what was told is there", told)
    },
};

/// Nothing leaves while its class is not reached; then all of it does, once.
pub(super) const HEALED: Scenario = Scenario {
    name: "a-reply-waits-for-its-class-and-comes-once",
    about: "The replica is cut off for a while, longer than clients are patient.",
    holds: "Each message is one turn, and is answered once the replica has it.",
    made: |seed| {
        let mut draw = Draw::of(seed);
        let cut = draw.between_ms(300, 3_000);
        let healed = cut + draw.between_ms(1, 8_000);
        let plan = vec![Planned::at(cut, Fault::CutReplica), Planned::at(healed, Fault::HealReplica)];
        replicated(seed).faults(Faults::Plan(plan)).check("what was told is there", told)
    },
};

/// The class of one message is no other's: the reply and the repeat of the one wait, and the rest goes on.
pub(super) const ASKED: Scenario = Scenario {
    name: "what-one-message-asked-for-survives-a-failover",
    about: "Agents are at `memory`, and some messages ask for a replica, which is cut off, and takes over.",
    holds: "What was told at `replicas:1` is there afterwards, whoever ran it and whatever else was lost.",
    made: |seed| {
        let mut draw = Draw::of(seed);
        let cut = draw.between_ms(300, 3_000);
        let over = cut + draw.between_ms(1, 2_500);
        let plan = vec![Planned::at(cut, Fault::CutReplica), Planned::at(over, Fault::Failover)];
        counting(seed, ms(300))
            .workload(some_ask())
            .faults(Faults::Plan(plan))
            .check("what was told is there", told)
    },
};

/// Three clients, by all doors; every other message asks for a replica.
fn some_ask() -> Workload {
    (0..3).fold(Workload::none(), |workload, _| workload.client(asker))
}

async fn asker(client: SimClient) {
    for n in 0..12 {
        client.env().sleep(Duration::from_micros(client.env().random_below(500_000))).await;
        let class = if n % 2 == 0 { CLASS } else { Durability::MEMORY };
        let message =
            Outgoing::text(session(client.env().random_below(4)), &format!("{}.{n}", client.number()));
        let message = message.durability(class);
        // What is unknown is of no further interest: what was told counts.
        match client.env().random_below(6) {
            0..3 => _ = client.ask_with(message).await,
            3..5 => {
                let id = client.client().new_id();
                _ = client.send(message.id(id)).await;
            }
            _ => post(&client, &message, class).await,
        }
    }
}

/// The plain door.
async fn post(client: &SimClient, message: &Outgoing, class: Durability) {
    let class = class.to_string();
    let fields =
        [("to", message.session().as_str()), ("body", message.body().as_json()), ("durability", &class)];
    let fields = fields.map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()));
    _ = client.client().store().post(Door::MAIN, &fields).await;
}

fn replicated(seed: u64) -> Simulation {
    counting(seed, ms(300))
        .configure(|_, config| WorkerConfig { durability: CLASS, ..config })
        .workload(Workload::messages("count", 6, 40))
}

/// Every message and every reply that a client was told of at the class is in its session's history.
fn told(end: &End) -> Result<(), String> {
    for told in end.acked().iter().filter(|told| told.class >= CLASS) {
        let (session, message) = (&told.session, told.message);
        let history = end.history(session);
        if !history.iter().any(|entry| entry.message == Some(message)) {
            return Err(format!("{session}: {message} was accepted at {}, and is lost", told.class));
        }
        if let Some(reply) = told.entry
            && !history.iter().any(|entry| entry.id == reply && entry.message == Some(message))
        {
            return Err(format!("{session}: reply {reply} was told at {}, and is lost", told.class));
        }
    }
    Ok(())
}
