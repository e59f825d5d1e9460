//! Hints on their way: the server publishes at once, and the controller decides when they are heard.

use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::mpsc;

use super::{
    choice::{Actor, Choice, Kind, Object},
    faults::{Cut, Fault},
    process::Link,
    trace::Said,
    world::State,
};
use crate::{
    model::{Partition, WorkerId},
    store::{Hint, Lapsed, Listener, MemoryStore, Store, memory::MemoryListener},
};

/// Where a simulated worker hears its hints.
#[derive(Debug)]
pub struct SimListener(pub(super) mpsc::UnboundedReceiver<Hint>);

impl Listener for SimListener {
    async fn recv(&mut self) -> Hint {
        match self.0.recv().await {
            Some(hint) => hint,
            // The process is no more.
            None => std::future::pending().await,
        }
    }
}

/// A subscription at the server, and where what comes over it goes.
pub(super) struct Ear {
    actor: Actor,
    worker: WorkerId,
    /// None while the subscription is broken.
    at_server: Option<MemoryListener>,
    to: mpsc::UnboundedSender<Hint>,
}

impl Ear {
    /// The next of what the server has published.
    fn published(&mut self) -> Option<Hint> {
        self.at_server.as_mut()?.recv().now_or_never()
    }
}

/// A hint on its way.
pub(super) struct HintPoint {
    pub(super) choice: Choice,
    pub(super) due: Duration,
    hint: Hint,
    to: mpsc::UnboundedSender<Hint>,
}

impl HintPoint {
    pub(super) fn is_due(&self, now: Duration) -> bool {
        now >= self.due
    }
}

impl State {
    /// Subscribes a worker.
    pub(super) fn listen(&mut self, actor: Actor, worker: &WorkerId) -> SimListener {
        let (to, heard) = mpsc::unbounded_channel();
        let at_server = Some(subscribed(self.server.store(), worker));
        self.ears.push(Ear { actor, worker: worker.clone(), at_server, to });
        SimListener(heard)
    }

    /// Takes over what the server has published since the last step.
    pub(super) fn collect_hints(&mut self) {
        self.close_ears();
        for index in 0..self.ears.len() {
            while let Some(hint) = self.ears[index].published() {
                self.send_hint(index, hint);
            }
        }
    }

    /// Ends the subscriptions of those who do not listen any more: their incarnations are over.
    pub(super) fn close_ears(&mut self) {
        let Self { ears, watch, .. } = self;
        for ear in ears.extract_if(.., |ear| ear.to.is_closed()) {
            watch.incarnation_over(&ear.worker);
        }
    }

    fn send_hint(&mut self, ear: usize, hint: Hint) {
        let Ear { actor, to, .. } = &self.ears[ear];
        let (actor, to) = (*actor, to.clone());
        if self.process(actor).link == Link::Cut(Cut::Drop) {
            return;
        }
        let object = match &hint {
            Hint::Wake { session, .. } | Hint::Offer { session } => Some(self.names.session(session)),
            Hint::Lapsed(Lapsed::Session(session)) => Some(self.names.session(session)),
            Hint::Buried | Hint::Drain | Hint::Lapsed(_) | Hint::Missed => None,
        };
        let choice = self.choice(actor, Kind::Hint, object, false);
        let now = self.now();
        let due = match self.fates.of_hint(now, choice.id) {
            // That hints were missed is not told over the connection that missed them.
            Some(Fault::LoseHint) if hint != Hint::Missed => return self.misses(object),
            Some(Fault::Delay { by }) => {
                self.misses(object);
                now + by
            }
            _ => now,
        };
        self.hints.insert(choice.id, HintPoint { choice, due, hint, to });
    }

    /// A hint about this is lost, or late.
    fn misses(&mut self, object: Option<Object>) {
        if let Some(session) = object.and_then(|object| self.names.as_session(object)) {
            self.unowned.hint_lost(session);
        }
    }

    /// Whose subscriptions the server has.
    pub(super) fn heard(&self) -> impl Iterator<Item = &WorkerId> {
        self.ears.iter().filter(|ear| ear.at_server.is_some()).map(|ear| &ear.worker)
    }

    /// Somebody buries a worker by its deadline.
    pub(super) fn buries_overdue(&mut self, worker: &WorkerId, partition: Partition) {
        if !self.heard().any(|heard| heard == worker) {
            let now = self.now();
            self.watch.gives_up_unheard(worker, partition, now);
        }
    }

    /// Somebody buries a worker whose lifeline it misses.
    pub(super) fn buries_missed(&mut self, worker: &WorkerId, partition: Partition) {
        if let Some(actor) = self.ears.iter().find(|ear| ear.worker == *worker).map(|ear| ear.actor) {
            self.lifeline_was_broken(actor);
        }
        self.watch.gives_up_on(worker, partition);
    }

    /// It was until now, if it was at all: as long as nobody listens for the worker, however short the fault.
    fn lifeline_was_broken(&mut self, actor: Actor) {
        let now = self.now();
        if let Some(since) = self.process(actor).lifeline_broken {
            self.watch.lifeline_broke(actor, since, now);
        }
    }

    /// A hint arrives.
    pub(super) fn hear(&mut self, id: u64) {
        let Some(HintPoint { hint, to, .. }) = self.hints.remove(&id) else { return };
        self.says(Said::word(match &hint {
            Hint::Wake { .. } => "wake",
            Hint::Offer { .. } => "offer",
            Hint::Buried => "buried",
            Hint::Drain => "drain",
            Hint::Lapsed(_) => "lapsed",
            Hint::Missed => "missed",
        }));
        // Nobody listens any more: the same as lost.
        let _ = to.send(hint);
    }

    /// Loses the hints that are under way to `whom` (everybody, if none).
    pub(super) fn lose_hints(&mut self, whom: Option<Actor>) {
        self.hints.retain(|_, hint| whom.is_some_and(|actor| actor != hint.choice.actor));
    }

    /// A process is no more: nobody listens for it at the server.
    pub(super) fn unsubscribe(&mut self, actor: Actor) {
        self.ears.retain(|ear| ear.actor != actor);
        self.lose_hints(Some(actor));
    }

    /// A worker's subscriptions break, until then.
    pub(super) fn deafen(&mut self, actor: Actor, until: Duration) {
        let process = self.process_mut(actor);
        process.deaf_until = process.deaf_until.max(until);
        for ear in self.ears.iter_mut().filter(|ear| ear.actor == actor) {
            ear.at_server = None;
        }
        self.lose_hints(Some(actor));
    }

    /// Makes those subscriptions anew whose time has come.
    pub(super) fn subscribe_again(&mut self) {
        let now = self.now();
        for index in 0..self.ears.len() {
            let Ear { actor, at_server, .. } = &self.ears[index];
            let process = self.process(*actor);
            if at_server.is_none() && process.hears(now) && now >= process.deaf_until {
                self.subscribe(index);
            }
        }
    }

    /// Connections are made anew, of `whom` (everybody, if none): hints may have been missed.
    pub(super) fn resubscribe(&mut self, whom: Option<Actor>) {
        for index in 0..self.ears.len() {
            if whom.is_none_or(|whom| whom == self.ears[index].actor) {
                self.subscribe(index);
            }
        }
    }

    fn subscribe(&mut self, ear: usize) {
        let actor = self.ears[ear].actor;
        self.lifeline_was_broken(actor);
        self.process_mut(actor).lifeline_broken = None;
        let at_server = subscribed(self.server.store(), &self.ears[ear].worker);
        self.ears[ear].at_server = Some(at_server);
        self.send_hint(ear, Hint::Missed);
    }
}

fn subscribed(store: &MemoryStore, worker: &WorkerId) -> MemoryListener {
    let listener = store.listen(worker).now_or_never().expect("the memory store never waits");
    listener.expect("the memory store always answers")
}
