//! Everything that a run shares: time, who is there, what waits for its turn, and the server.
//!
//! One lock guards it, and nobody ever contends for it: a simulation runs on one thread. It is never
//! held over an `await`, nor while code of a worker, client or agent runs.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard},
    task::Waker,
    time::Duration,
};

use super::{
    calls::CallPoint,
    check::surviving::Loss,
    choice::{Actor, Choice, Kind, Object},
    fates::Fates,
    faults::Fault,
    hints::{Ear, HintPoint},
    names::Names,
    process::Process,
    record::Records,
    report::Failure,
    server::Server,
    trace::{Said, Trace},
    unowned::Unowned,
    watch::Watch,
};
use crate::runtime::Moment;

/// What everybody in a simulation stands in.
pub(super) struct World {
    state: Mutex<State>,
}

/// The world at one moment.
pub(super) struct State {
    now: Duration,
    step: u64,
    next_id: u64,
    /// Tasks by first appearance; looked up and never gone over, so that its order cannot matter.
    tasks: HashMap<tokio::task::Id, u32>,
    pub(super) workers: u16,
    pub(super) processes: Vec<Process>,
    pub(super) calls: BTreeMap<u64, CallPoint>,
    pub(super) hints: BTreeMap<u64, HintPoint>,
    pub(super) ears: Vec<Ear>,
    pub(super) server: Server,
    pub(super) fates: Fates,
    pub(super) names: Names,
    pub(super) trace: Trace,
    pub(super) watch: Watch,
    pub(super) unowned: Unowned,
    pub(super) records: Records,
    /// How long a caller waits for an answer.
    pub(super) patience: Duration,
    /// Whether calls take effect at once: there is no controller.
    pub(super) is_direct: bool,
    /// When the last fault of a machine was over.
    faults_ended: Duration,
    /// Whether the server lost writes: then what was accepted may be gone.
    pub(super) lost_writes: bool,
    /// The step at which the replica was cut off; none while it follows.
    cut_off: Option<u64>,
    /// When the server lost writes, oldest first.
    pub(super) losses: Vec<Loss>,
    /// The first thing that was found wrong.
    pub(super) failure: Option<Failure>,
}

/// What a world is made of.
pub(super) struct Making {
    pub(super) workers: u16,
    pub(super) clients: u16,
    pub(super) server: Server,
    pub(super) fates: Fates,
    pub(super) patience: Duration,
}

impl World {
    pub(super) fn new(making: Making) -> Self {
        let Making { workers, clients, server, fates, patience } = making;
        let partitions = server.partitions().count();
        let everybody = usize::from(workers) + usize::from(clients);
        let state = State {
            now: Duration::ZERO,
            step: 0,
            next_id: 1,
            tasks: HashMap::new(),
            workers,
            processes: (0..everybody).map(|_| Process::default()).collect(),
            calls: BTreeMap::new(),
            hints: BTreeMap::new(),
            ears: Vec::new(),
            names: Names::of(partitions),
            watch: Watch::default(),
            unowned: Unowned::default(),
            records: Records::default(),
            trace: Trace::default(),
            server,
            fates,
            patience,
            is_direct: false,
            faults_ended: Duration::ZERO,
            lost_writes: false,
            cut_off: None,
            losses: Vec::new(),
            failure: None,
        };
        Self { state: Mutex::new(state) }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl State {
    /// Virtual time since the start.
    pub(super) fn now(&self) -> Duration {
        self.now
    }

    /// Steps so far.
    pub(super) fn step(&self) -> u64 {
        self.step
    }

    /// Lets time pass up to `to`. `is_held_up`: though some worker could go on.
    pub(super) fn advance(&mut self, to: Duration, is_held_up: bool) {
        self.waits_until(to, is_held_up);
        self.now = self.now.max(to);
        self.server.tick(self.now);
        self.subscribe_again();
    }

    /// Begins the next step, which is this choice.
    pub(super) fn begin_step(&mut self, choice: Choice) {
        self.step += 1;
        self.trace.begin(self.step, self.now, choice);
    }

    /// What came of the present step.
    pub(super) fn says(&mut self, said: Said) {
        self.trace.says(said);
    }

    /// A fault of a machine happens now.
    pub(super) fn note_fault(&mut self, fault: Fault) {
        let lasting = match fault {
            Fault::Pause { lasting, .. }
            | Fault::BreakLifeline { lasting, .. }
            | Fault::FillMemory { lasting }
            | Fault::SlowFsync { lasting, .. } => lasting,
            _ => Duration::ZERO,
        };
        self.faults_ended = self.faults_ended.max(self.now + lasting);
        match fault {
            Fault::CutReplica => _ = self.cut_off.get_or_insert(self.step),
            Fault::HealReplica => self.cut_off = None,
            Fault::Failover => self.loses_writes(),
            _ => (),
        }
    }

    fn loses_writes(&mut self) {
        self.lost_writes = true;
        let since = self.cut_off.take().unwrap_or(self.step);
        self.losses.push(Loss { since, until: self.step });
    }

    /// Until when anything went wrong.
    pub(super) fn faults_ended(&self) -> Duration {
        self.faults_ended.max(self.fates.until())
    }

    /// Calls of clients that are still under way, though nobody may wait for them.
    pub(super) fn calls_of_clients(&self) -> usize {
        self.calls.values().filter(|call| matches!(call.choice.actor, Actor::Client(_))).count()
    }

    /// Something is wrong; only the first counts.
    pub(super) fn fail(&mut self, invariant: &str, sentence: String) {
        let step = self.step;
        self.failure.get_or_insert_with(|| Failure { invariant: invariant.to_owned(), sentence, step });
    }

    pub(super) fn next_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id - 1
    }

    /// The number of the task that runs now.
    pub(super) fn task(&mut self) -> u32 {
        let next = u32::try_from(self.tasks.len() + 1).unwrap_or(u32::MAX);
        tokio::task::try_id().map_or(0, |id| *self.tasks.entry(id).or_insert(next))
    }

    /// A choice of `actor`'s, of which nothing more is known.
    pub(super) fn choice(
        &mut self,
        actor: Actor,
        kind: Kind,
        object: Option<Object>,
        writes: bool,
    ) -> Choice {
        let (id, task) = (self.next_id(), self.task());
        Choice { id, actor, task, kind, object, writes }
    }

    pub(super) fn process(&self, actor: Actor) -> &Process {
        &self.processes[self.index(actor)]
    }

    pub(super) fn process_mut(&mut self, actor: Actor) -> &mut Process {
        let index = self.index(actor);
        &mut self.processes[index]
    }

    fn index(&self, actor: Actor) -> usize {
        match actor {
            Actor::Worker(worker) => worker.into(),
            Actor::Client(client) => usize::from(self.workers) + usize::from(client),
            Actor::World => unreachable!("the world has no process"),
        }
    }

    /// What the actor's own clock shows.
    pub(super) fn local_time(&self, actor: Actor) -> Moment {
        self.process(actor).clock.at(self.now)
    }

    /// Parks a timer; gives its id. One of a process that is no more never fires.
    pub(super) fn start_timer(
        &mut self,
        actor: Actor,
        generation: u32,
        at: Moment,
        is_checkpoint: bool,
        waker: &Waker,
    ) -> u64 {
        if !self.process(actor).is(generation) {
            return 0;
        }
        let kind = if is_checkpoint { Kind::Step } else { Kind::Timer };
        let choice = self.choice(actor, kind, None, false);
        self.process_mut(actor).timers.insert((at, choice.id), (choice, waker.clone()));
        choice.id
    }

    /// Whether a timer still waits; if so, for `waker`.
    pub(super) fn still_waits(&mut self, actor: Actor, at: Moment, id: u64, waker: &Waker) -> bool {
        match self.process_mut(actor).timers.get_mut(&(at, id)) {
            Some((_, waiting)) => {
                waiting.clone_from(waker);
                true
            }
            None => id == 0,
        }
    }

    pub(super) fn forget_timer(&mut self, actor: Actor, at: Moment, id: u64) {
        self.process_mut(actor).timers.remove(&(at, id));
    }

    /// All that may happen now, by id.
    pub(super) fn enabled(&self, all: &mut Vec<Choice>) {
        all.clear();
        let now = self.now;
        all.extend(self.calls.values().filter_map(|call| call.enabled(now, self.process(call.choice.actor))));
        let hints = self.hints.values();
        let heard = hints.filter(|hint| hint.is_due(now) && self.process(hint.choice.actor).hears(now));
        all.extend(heard.map(|hint| hint.choice));
        for process in &self.processes {
            all.extend(process.due(now));
        }
        all.sort_unstable_by_key(|choice| choice.id);
    }

    /// When something that is not enabled now will be.
    pub(super) fn next_event(&self) -> Option<Duration> {
        let calls = self.calls.values().filter_map(|call| call.next_event(self.now));
        let hints = self.hints.values().map(|hint| hint.due).filter(|due| *due > self.now);
        let processes = self.processes.iter().filter_map(|process| process.next_event(self.now));
        calls.chain(hints).chain(processes).min()
    }
}
