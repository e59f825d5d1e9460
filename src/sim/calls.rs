//! Calls on their way: each waits before it takes effect, and its answer may wait too.

use std::{task::Waker, time::Duration};

use super::{
    choice::{Actor, Choice, Kind, Object, Op, ReadsFrom},
    faults::{Cut, Fault},
    process::{Link, Process},
    trace::Said,
    world::State,
};
use crate::store::MemoryStore;

/// What a call does at the server though nobody waits for it any more; it owns all that it needs.
pub(super) type Late = Box<dyn FnOnce(&MemoryStore) + Send>;

/// A call on its way.
pub(super) struct CallPoint {
    pub(super) choice: Choice,
    pub(super) op: Op,
    /// The start of the caller's process that waits for it.
    generation: u32,
    stage: Stage,
    /// Not before this.
    due: Duration,
    /// When its caller gives up.
    gives_up: Duration,
    verdict: Option<Verdict>,
    waker: Option<Waker>,
}

/// How far a call is.
enum Stage {
    /// It is under way to the server.
    Sent,
    /// It took effect, and its answer is under way.
    Answered,
    /// It or its answer is lost, and nobody knows yet.
    Lost,
    /// It is under way, and nobody waits for it any more.
    Orphan(Late),
}

/// What a caller is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Its turn has come.
    Go,
    /// No answer came.
    GiveUp,
}

impl CallPoint {
    /// What may happen to it now.
    pub(super) fn enabled(&self, now: Duration, process: &Process) -> Option<Choice> {
        if self.verdict.is_some() {
            return None;
        }
        let reply = Choice { kind: Kind::Reply(self.op), object: None, writes: false, ..self.choice };
        let waits = process.is(self.generation) && process.runs(now);
        let given_up = || (now >= self.gives_up && waits).then_some(reply);
        let is_due = now >= self.due && process.link == Link::Up;
        match self.stage {
            Stage::Sent | Stage::Orphan(_) if is_due => Some(self.choice),
            Stage::Answered if is_due && waits => Some(reply),
            Stage::Orphan(_) => None,
            Stage::Sent | Stage::Answered | Stage::Lost => given_up(),
        }
    }

    /// When that may change.
    pub(super) fn next_event(&self, now: Duration) -> Option<Duration> {
        let orphan = matches!(self.stage, Stage::Orphan(_));
        let gives_up = (!orphan).then_some(self.gives_up);
        [Some(self.due), gives_up].into_iter().flatten().filter(|at| *at > now).min()
    }

    /// Whether it has yet to arrive and is late, or somebody waits for its answer who could go on, and that is late or lost.
    pub(super) fn is_hampered(&self, now: Duration, process: &Process) -> bool {
        let waits = process.is(self.generation) && process.hears(now);
        match self.stage {
            Stage::Sent | Stage::Orphan(_) => now < self.due && process.link == Link::Up,
            Stage::Answered => now < self.due && waits,
            Stage::Lost => waits,
        }
    }

    /// It, or its answer, does not arrive.
    fn lose(&mut self, known_at: Option<Duration>) {
        self.stage = Stage::Lost;
        self.gives_up = known_at.unwrap_or(self.gives_up);
    }
}

impl State {
    /// A call is sent; none if the caller's process is no more.
    pub(super) fn send_call(&mut self, actor: Actor, generation: u32, op: Op, object: Object) -> Option<u64> {
        if !self.process(actor).is(generation) {
            return None;
        }
        let now = self.now();
        let choice = self.choice(actor, Kind::Call(op), Some(object), op.writes());
        let mut call = CallPoint {
            choice,
            op,
            generation,
            stage: Stage::Sent,
            due: now,
            gives_up: now.saturating_add(self.patience),
            verdict: None,
            waker: None,
        };
        call.verdict = self.is_direct.then_some(Verdict::Go);
        let is_cut = self.process(actor).link == Link::Cut(Cut::Drop);
        match self.fates.of_call(now, choice.id) {
            _ if is_cut => call.lose(None),
            Some(Fault::LoseCall) => call.lose(None),
            Some(Fault::Delay { by }) => call.due += by,
            _ => (),
        }
        self.calls.insert(choice.id, call);
        Some(choice.id)
    }

    /// What a caller that looks is told; it waits if there is nothing yet.
    pub(super) fn verdict(&mut self, id: u64, waker: &Waker) -> Option<Verdict> {
        let call = self.calls.get_mut(&id)?;
        let verdict = call.verdict.take();
        if verdict.is_none() {
            match &mut call.waker {
                Some(waiting) => waiting.clone_from(waker),
                none => *none = Some(waker.clone()),
            }
        }
        verdict
    }

    /// The turn of a call or answer has come.
    pub(super) fn let_go(&mut self, choice: &Choice) {
        let Some(call) = self.calls.get_mut(&choice.id) else { return };
        let goes = match (&call.stage, choice.kind) {
            (Stage::Orphan(_), _) => return self.arrive_late(choice.id),
            (Stage::Sent, Kind::Call(_)) => true,
            (Stage::Answered, _) => call.due <= self.trace.time(),
            _ => false,
        };
        call.verdict = Some(if goes { Verdict::Go } else { Verdict::GiveUp });
        let waker = call.waker.take();
        if !goes {
            self.says(Said::word("no answer"));
        }
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// A call of which nobody knows any more takes effect.
    fn arrive_late(&mut self, id: u64) {
        let Some(CallPoint { stage: Stage::Orphan(late), choice, op, .. }) = self.calls.remove(&id) else {
            return;
        };
        let store = self.server.store().clone();
        late(&store);
        self.took_effect(choice, op, Said::word("late"));
    }

    /// A call has taken effect; whether its answer must wait.
    pub(super) fn answered(&mut self, id: u64, said: Said) -> bool {
        let now = self.now();
        let Some(call) = self.calls.get(&id) else { return false };
        let (choice, op, generation) = (call.choice, call.op, call.generation);
        self.took_effect(choice, op, said);
        let fsync = self.server.fsync_takes(now).filter(|_| op.writes());
        let process = self.process(choice.actor);
        let is_cut = process.link == Link::Cut(Cut::Drop);
        let is_held_up = !process.hears(now) || !process.is(generation);
        let fate = self.fates.of_reply(now, id);
        let Some(call) = self.calls.get_mut(&id) else { return false };
        call.stage = Stage::Answered;
        match fate {
            _ if is_cut => call.lose(None),
            Some(Fault::LoseReply) => call.lose(None),
            Some(Fault::SlowReply { by }) => call.due = now + by,
            _ if fsync.is_some() || is_held_up => call.due = now + fsync.unwrap_or_default(),
            _ => {
                self.calls.remove(&id);
                return false;
            }
        }
        true
    }

    /// Nobody waits for this call any more; it may still arrive.
    pub(super) fn abandon(&mut self, id: u64, late: impl FnOnce() -> Option<Late>) {
        let Some(mut call) = self.calls.remove(&id) else { return };
        if let (Stage::Sent, Some(late)) = (&call.stage, late()) {
            call.stage = Stage::Orphan(late);
            (call.verdict, call.waker) = (None, None);
            self.calls.insert(id, call);
        }
    }

    /// The caller's process is no more: nobody waits for its answers, and what it sent may still arrive.
    pub(super) fn leave_calls(&mut self, actor: Actor) {
        let is_under_way = |call: &CallPoint| matches!(call.stage, Stage::Sent | Stage::Orphan(_));
        self.calls.retain(|_, call| call.choice.actor != actor || is_under_way(call));
    }

    /// Loses what is under way between the server and `whom` (everybody, if none). `known_at`: when they notice.
    pub(super) fn lose_calls(&mut self, whom: Option<Actor>, known_at: Option<Duration>) {
        let concerns = |call: &CallPoint| whom.is_none_or(|actor| actor == call.choice.actor);
        self.calls.retain(|_, call| !(concerns(call) && matches!(call.stage, Stage::Orphan(_))));
        for call in self.calls.values_mut().filter(|call| concerns(call)) {
            call.lose(known_at);
        }
    }

    /// Writes down what an operation came to, and remembers what must be looked at.
    fn took_effect(&mut self, choice: Choice, op: Op, said: Said) {
        self.says(said);
        let object = choice.object.expect("a call touches something");
        let reads = ReadsFrom { writer: self.watch.last_writer(object), reader: (choice.actor, op) };
        self.watch.touched(object, choice.actor, op);
        self.trace.reads(reads);
    }
}
