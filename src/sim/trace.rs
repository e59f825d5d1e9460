//! What happened, step by step: for people to read, and for a replay to follow.

use std::{fmt::Write as _, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    choice::{Actor, Choice, Feedback, Kind, Object, ReadsFrom},
    plan::Planned,
    strategy::Pick,
};

/// One step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// Its number, from 1.
    pub step: u64,
    /// Virtual time since the start.
    pub time: Duration,
    /// What was picked.
    pub choice: Choice,
    /// What came of it.
    pub said: Said,
    /// Whose write it read, if it was a call.
    pub reads: Option<ReadsFrom>,
}

/// What came of a step: a word, and a number where one says more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Said {
    /// The word.
    pub word: &'static str,
    /// The number.
    pub number: Option<u64>,
}

impl Said {
    /// Only a word.
    pub fn word(word: &'static str) -> Self {
        Self { word, number: None }
    }

    /// A word with a number.
    pub fn number(word: &'static str, number: u64) -> Self {
        Self { word, number: Some(number) }
    }
}

/// The schedule of one run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trace {
    /// The run's seed.
    pub seed: u64,
    /// Until when its faults were drawn.
    pub until: Duration,
    /// All faults that happened, as a plan that makes them happen again.
    pub faults: Vec<Planned>,
    /// All steps.
    pub events: Vec<Event>,
    /// What the numbers of objects stand for.
    pub objects: Vec<String>,
}

/// A trace as far as a replay needs it: read from a file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Recorded {
    /// The run's seed.
    pub seed: u64,
    /// Until when its faults were drawn.
    pub until: Duration,
    /// Its faults.
    pub faults: Vec<Planned>,
    /// What was picked, in order; faults are not among it.
    pub picks: Vec<Pick>,
    /// What the run's trace came to, by [`Trace::hash`].
    pub hash: u64,
}

impl Trace {
    pub(super) fn begin(&mut self, step: u64, time: Duration, choice: Choice) {
        self.events.push(Event { step, time, choice, said: Said::default(), reads: None });
    }

    pub(super) fn says(&mut self, said: Said) {
        if let Some(event) = self.events.last_mut() {
            event.said = said;
        }
    }

    pub(super) fn reads(&mut self, reads: ReadsFrom) {
        if let Some(event) = self.events.last_mut() {
            event.reads = Some(reads);
        }
    }

    /// The time of the present step.
    pub(super) fn time(&self) -> Duration {
        self.events.last().map_or(Duration::ZERO, |event| event.time)
    }

    /// What is known of the present step.
    pub(super) fn last(&self) -> Option<(Choice, Feedback)> {
        let Event { step, time, choice, reads, .. } = *self.events.last()?;
        Some((choice, Feedback { step, time, reads }))
    }

    /// A number that another trace has only if it is the same trace (FNV-1a over every step).
    pub fn hash(&self) -> u64 {
        let mut hash = Fnv::new();
        hash.number(self.seed);
        for Event { step, time, choice, said, .. } in &self.events {
            let (who, which) = actor_number(choice.actor);
            hash.number(*step ^ (who << 56) ^ (which << 40));
            hash.number(choice.id);
            hash.number(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
            hash.number(said.number.unwrap_or(u64::MAX));
            hash.number(choice.object.map_or(u64::MAX, |Object(object)| object.into()));
            hash.bytes(said.word.as_bytes());
        }
        hash.0
    }

    /// What a replay needs.
    pub fn recorded(&self) -> Recorded {
        let picks = self.events.iter().filter(|event| event.choice.kind != Kind::Fault);
        Recorded {
            seed: self.seed,
            until: self.until,
            faults: self.faults.clone(),
            picks: picks.map(|event| Pick::from(&event.choice)).collect(),
            hash: self.hash(),
        }
    }

    /// A line a step: number, virtual time, who, what, on what, what came of it.
    pub fn render(&self) -> String {
        let mut text = String::new();
        for event in &self.events {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{}", self.line(event));
        }
        text
    }

    pub(super) fn line(&self, event: &Event) -> String {
        let Event { step, time, choice, said, .. } = event;
        let who = match choice.actor {
            Actor::Worker(worker) => format!("worker {worker}"),
            Actor::Client(client) => format!("client {client}"),
            Actor::World => "world".to_owned(),
        };
        let what = match choice.kind {
            Kind::Call(op) => op.as_str().to_owned(),
            Kind::Reply(op) => format!("answer to {}", op.as_str()),
            Kind::Timer => "timer".to_owned(),
            Kind::Hint => "hint".to_owned(),
            Kind::Step => "checkpoint".to_owned(),
            Kind::Time => "time passes".to_owned(),
            Kind::Fault => "fault".to_owned(),
        };
        let on = choice.object.map_or(String::new(), |object| format!(" {}", self.name(object)));
        let number = said.number.map_or(String::new(), |number| format!(" {number}"));
        let arrow = if said.word.is_empty() { "" } else { " -> " };
        let id = if choice.id == Choice::TIME { "-".to_owned() } else { format!("#{}", choice.id) };
        format!(
            "{step:>6} {:>10.6}s {who:<9} {id:<6} {what}{on}{arrow}{}{number}",
            time.as_secs_f64(),
            said.word
        )
    }

    /// What an object is called.
    pub fn name(&self, object: Object) -> &str {
        usize::try_from(object.0).ok().and_then(|index| self.objects.get(index)).map_or("?", String::as_str)
    }

    /// As lines of JSON: a head with the seed, a line a fault, a line a step.
    pub fn to_jsonl(&self) -> String {
        let mut lines = vec![json(&Line::Run {
            seed: self.seed,
            until: self.until,
            hash: format!("{:016x}", self.hash()),
        })];
        lines.extend(self.faults.iter().map(|fault| json(&Line::Planned(*fault))));
        lines.extend(self.events.iter().map(|event| json(&self.as_line(event))));
        lines.join("\n") + "\n"
    }

    fn as_line(&self, event: &Event) -> Line {
        Line::Step {
            step: event.step,
            id: event.choice.id,
            actor: event.choice.actor,
            task: event.choice.task,
            is_fault: event.choice.kind == Kind::Fault,
            text: self.line(event),
        }
    }
}

impl Recorded {
    /// Reads what [`Trace::to_jsonl`] wrote. The error names the line.
    pub fn from_jsonl(text: &str) -> Result<Self, String> {
        let mut recorded = Self::default();
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let bad = |why: &dyn std::fmt::Display| format!("line {}: {why}", number + 1);
            match serde_json::from_str(line).map_err(|err| bad(&err))? {
                Line::Run { seed, until, hash } => {
                    (recorded.seed, recorded.until) = (seed, until);
                    recorded.hash = u64::from_str_radix(&hash, 16).map_err(|err| bad(&err))?;
                }
                Line::Planned(fault) => recorded.faults.push(fault),
                Line::Step { is_fault: true, .. } => (),
                Line::Step { id, actor, task, .. } => recorded.picks.push(Pick { id, actor, task }),
            }
        }
        Ok(recorded)
    }
}

/// A line of a trace file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
enum Line {
    Run {
        seed: u64,
        until: Duration,
        hash: String,
    },
    Planned(Planned),
    Step {
        step: u64,
        id: u64,
        actor: Actor,
        task: u32,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        is_fault: bool,
        text: String,
    },
}

fn json(line: &Line) -> String {
    serde_json::to_string(line).expect("a line is plain data")
}

fn actor_number(actor: Actor) -> (u64, u64) {
    match actor {
        Actor::Worker(worker) => (1, worker.into()),
        Actor::Client(client) => (2, client.into()),
        Actor::World => (3, 0),
    }
}

/// A number for some bytes.
pub(super) fn fnv(bytes: &[u8]) -> u64 {
    let mut hash = Fnv::new();
    hash.bytes(bytes);
    hash.0
}

/// Fowler, Noll and Vo's hash, 64 bits, 1a.
struct Fnv(u64);

impl Fnv {
    fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn number(&mut self, number: u64) {
        self.bytes(&number.to_le_bytes());
    }
}
