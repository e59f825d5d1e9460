//! Which sessions have an actor here: starts them, hands hints to them, and outlives them all.

use std::{
    collections::BTreeMap,
    panic::AssertUnwindSafe,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures_util::FutureExt;
use tokio::sync::mpsc;
use tracing::{debug, error};

use super::{
    actor::{Activity, Departure, Nudge, SessionActor},
    incarnation::Incarnation,
};
use crate::{model::SessionId, store::Store};

/// How many nudges wait for one actor; more are dropped, for a busy actor's commit brings the mail.
const NUDGES: usize = 16;

/// The pause before a session is claimed again whose actor broke.
const BROKEN_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The pause before a session is claimed again of which the server lost writes, or may have.
const BEHIND_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// What the supervisor is told.
#[derive(Debug)]
pub(super) enum Command {
    /// This session is ours, and something happened to it.
    Wake(SessionId, Nudge),
    /// This session wants an owner.
    Offered(SessionId),
    /// Hints may have been lost.
    LookEverywhere,
    /// These are ours by the server's word: see that each has an actor.
    Recover(Vec<SessionId>),
    /// These are ours by the server's word, of some moment ago: those that nobody here knows of get an actor.
    Held(Vec<SessionId>),
    /// An actor ended.
    Ended(SessionId, Departure),
}

/// The actors of one incarnation.
pub(super) struct Supervisor<S: Store> {
    shared: Arc<Incarnation<S>>,
    commands: mpsc::Receiver<Command>,
    actors: BTreeMap<SessionId, Actor>,
}

/// A handle on one actor.
struct Actor {
    nudges: mpsc::Sender<Nudge>,
    activity: Arc<Activity>,
    /// A hint came that this actor may have been too late for: claim again when it has ended.
    again: bool,
    /// Whom it makes room for.
    heir: Option<SessionId>,
}

impl<S: Store> Supervisor<S> {
    pub(super) fn new(shared: Arc<Incarnation<S>>, commands: mpsc::Receiver<Command>) -> Self {
        Self { shared, commands, actors: BTreeMap::new() }
    }

    /// Runs until the incarnation drains or is lost, and every actor has ended.
    pub(super) async fn run(mut self) {
        let stops = self.shared.stops.clone();
        loop {
            let leaving = stops.drain.is_cancelled() || stops.lost.is_cancelled();
            if leaving && self.actors.is_empty() {
                return self.leave();
            }
            let command = tokio::select! {
                biased;
                () = stops.lost.cancelled(), if !leaving => continue,
                () = stops.drain.cancelled(), if !leaving => continue,
                // Cancel-safe: a command is taken or stays.
                command = self.commands.recv() => command,
            };
            let Some(command) = command else { return };
            self.obey(command);
        }
    }

    /// What was offered by now and nobody has looked at is somebody else's; what comes from here on, the intake passes on.
    fn leave(mut self) {
        self.commands.close();
        while let Ok(command) = self.commands.try_recv() {
            self.obey(command);
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Wake(session, nudge) => self.wake(session, nudge),
            Command::Offered(session) => self.offered(session),
            Command::LookEverywhere => self.look_everywhere(),
            Command::Recover(sessions) => {
                for session in sessions {
                    match self.actors.get_mut(&session) {
                        // Perhaps still leaving, because trust had ended.
                        Some(actor) => actor.again = true,
                        None => self.start(session),
                    }
                }
            }
            Command::Held(sessions) => self.take_up_strays(sessions),
            Command::Ended(session, departure) => self.ended(session, departure),
        }
    }

    fn take_up_strays(&mut self, mut held: Vec<SessionId>) {
        held.retain(|session| !self.actors.contains_key(session));
        for session in held {
            debug!(%session, "ours, and nobody here knew");
            self.start(session);
        }
    }

    /// Our session: its actor is told, and one is started if there is none.
    fn wake(&mut self, session: SessionId, nudge: Nudge) {
        match self.actors.get_mut(&session) {
            Some(actor) => {
                // Full means busy, and closed means leaving: the commit or the claim will see the mail.
                let told = actor.nudges.try_send(nudge);
                actor.again |= matches!(told, Err(mpsc::error::TrySendError::Closed(_)));
            }
            None => self.start(session),
        }
    }

    /// A session wants an owner: claim it if there is room, else make some.
    fn offered(&mut self, session: SessionId) {
        if self.shared.stops.drain.is_cancelled() {
            self.shared.pass_on(session);
        } else if let Some(actor) = self.actors.get_mut(&session) {
            actor.again = true;
        } else if self.actors.len() < self.shared.config.capacity {
            self.start(session);
        } else if let Some(idle) = self.longest_idle() {
            // The next offer puts out another session than this one.
            idle.activity.set_busy();
            // Its room is not for whoever is offered next: in a crowd one session could wait for ever.
            idle.heir = Some(session);
            // A hint that is lost here is repeated by the duty.
            let _ = idle.nudges.try_send(Nudge::Passivate);
        } else {
            debug!(%session, "no room");
        }
    }

    fn longest_idle(&mut self) -> Option<&mut Actor> {
        let idle = self.actors.values_mut().filter_map(|actor| Some((actor.activity.idle_since()?, actor)));
        idle.min_by_key(|(since, _)| *since).map(|(_, actor)| actor)
    }

    fn look_everywhere(&self) {
        for actor in self.actors.values() {
            // Full: it has reasons enough to look.
            let _ = actor.nudges.try_send(Nudge::Look);
        }
    }

    fn start(&mut self, session: SessionId) {
        let stops = &self.shared.stops;
        if stops.drain.is_cancelled() || stops.lost.is_cancelled() {
            return;
        }
        let Some(hosted) = self.shared.agents.get(&session.agent()).cloned() else {
            return debug!(%session, "not an agent of ours");
        };
        let (nudges, inbox) = mpsc::channel(NUDGES);
        let activity = Arc::new(Activity::busy());
        let actor = SessionActor {
            shared: self.shared.clone(),
            session: session.clone(),
            hosted,
            nudges: inbox,
            activity: activity.clone(),
        };
        let commands = self.shared.commands.clone();
        let name = session.clone();
        self.shared.spawn(async move {
            let departure = AssertUnwindSafe(actor.run()).catch_unwind().await.unwrap_or(Departure::Broken);
            // Nobody listens only when the incarnation is over.
            let _ = commands.send(Command::Ended(name, departure)).await;
        });
        self.actors.insert(session, Actor { nudges, activity, again: false, heir: None });
        self.count();
    }

    fn ended(&mut self, session: SessionId, departure: Departure) {
        debug!(%session, ?departure, worker = %self.shared.worker, "an actor ended");
        let (again, heir) =
            self.actors.remove(&session).map_or((false, None), |actor| (actor.again, actor.heir));
        self.count();
        self.shared.counts.made_room();
        self.shared.ledger.left(&session, self.shared.env.now());
        match departure {
            // Not at once: what is behind for ever, because somebody edited it, must not keep us busy.
            Departure::Behind => self.recover_after(BEHIND_AGAIN_AFTER, session),
            // Somebody else has it, who knows nothing of what was lost.
            Departure::Unreported => self.recover_after(self.shared.config.lease.ttl(), session),
            Departure::Broken => {
                error!(%session, "an actor broke: this is a defect of tenure");
                self.recover_after(BROKEN_AGAIN_AFTER, session);
            }
            _ if again && self.shared.stops.drain.is_cancelled() => self.shared.pass_on(session),
            _ if again => self.start(session),
            // Most often by another worker; but a server that lost our last claim takes us for the owner by the one
            // before, and then nobody else would come.
            Departure::Fenced => self.recover_after(BEHIND_AGAIN_AFTER, session),
            _ => (),
        }
        if let Some(heir) = heir {
            self.offered(heir);
        }
    }

    fn recover_after(&self, pause: Duration, session: SessionId) {
        let (env, commands) = (self.shared.env.clone(), self.shared.commands.clone());
        self.shared.spawn(async move {
            env.sleep(pause).await;
            let _ = commands.send(Command::Recover(vec![session])).await;
        });
    }

    fn count(&self) {
        self.shared.counts.sessions.store(self.actors.len(), Ordering::Relaxed);
    }
}
