//! The session's owner: turn by turn, from its claim until it leaves this worker's memory.
//!
//! One task per owned session, and the only one that writes to it. What it believes of the session
//! comes from its claim and from the answers to its own commits; hints only make it look sooner. It
//! ends with a [`Departure`], and what it does not give back in good order is found by others:
//! a fenced or lost session has an owner already, a distrusted one is claimed again or reaped.

mod running;

use std::{
    collections::VecDeque,
    ops::ControlFlow,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::sync::mpsc;
use tracing::{debug, info, warn};

use super::{
    actor::{Activity, Alone, Departure, Nudge, PAGE, REPEAT_AFTER, SessionActor, UNACKNOWLEDGED, Won},
    agent::Run,
    beyond,
    boundary::{self, Position, RunOf},
    env::Moment,
    incarnation::{Hosted, Incarnation},
    trust::Window,
};
use crate::{
    model::{
        Durability, Effect, EntryId, Epoch, Event, Failure, Lease, Loss, Message, Partition, Phase,
        SessionRecord, Verdict,
    },
    store::{
        Boundary, Claimed, Commit, Deliverer, Leaving, Mail, OutReply, Refresh, Release, Store, StoreError,
        StoreResult,
    },
};

/// For how long from the beginning of their commit nobody else delivers a session's replies, with room to spare.
const LEFT_TO_US: Duration = Duration::from_millis(250);

/// An actor that owns its session.
pub(super) struct Owner<S: Store> {
    shared: Arc<Incarnation<S>>,
    partition: Partition,
    /// How long this worker's lease is trusted.
    window: Window,
    nudges: mpsc::Receiver<Nudge>,
    activity: Arc<Activity>,
    lease: Lease,
    hosted: Arc<Hosted>,
    phase: Phase,
    position: Position,
    /// The agent's state as JSON, or why it cannot be read.
    state: Result<Option<Arc<str>>, String>,
    /// The first messages of the inbox; contiguous, from the head.
    queue: VecDeque<Mail>,
    /// The message that a person gave up on.
    dropped: Option<u64>,
    /// Held while the session is a suspect: until its first commit.
    alone: Option<Alone>,
    /// What the server lost of it, which is to be written down before anything else.
    loss: Option<Loss>,
    boundaries: u64,
    idle_since: Moment,
    next_look: Moment,
}

impl<S: Store> Owner<S> {
    /// The owner of what was claimed.
    pub(super) fn new(
        actor: SessionActor<S>,
        partition: Partition,
        window: Window,
        won: Won,
        loss: Option<Loss>,
    ) -> Self {
        let SessionActor { shared, hosted, nudges, activity, .. } = actor;
        let Won { claimed, alone } = won;
        let Claimed { lease, record, state, mail } = *claimed;
        let mail = runnable_mail(&record, mail);
        let now = shared.env.now();
        // Spread over a lease, so that sessions claimed together do not look together.
        let jitter = shared.env.random_below(500);
        let first_look = shared.config.lease.ttl().mul_f64(0.5 + jitter as f64 / 1000.0);
        Self {
            partition,
            window,
            nudges,
            activity,
            phase: Phase::claimed(record.turns, record.tries, record.backoff.is_some()),
            position: Position::of(&record),
            lease,
            hosted,
            state: state.as_deref().map(|stored| boundary::read_state(stored).map(Into::into)).transpose(),
            queue: mail,
            dropped: record.dropped,
            alone,
            loss,
            boundaries: 0,
            idle_since: now,
            next_look: now.plus(first_look),
            shared,
        }
    }

    /// Takes turns as long as there is something to run; then waits, and leaves in the end.
    pub(super) async fn serve(mut self) -> Departure {
        debug!(session = %self.lease.session(), epoch = %self.lease.epoch(), worker = %self.shared.worker, "claimed");
        let departure = self.serve_to_the_end().await;
        match departure {
            // Here, where no run is under way any more: what it does outside ends before the next owner can begin.
            Departure::Unacknowledged => {
                self.leave(Leaving::HandOff).await.break_value().unwrap_or(departure)
            }
            departure => departure,
        }
    }

    async fn serve_to_the_end(&mut self) -> Departure {
        if let Some(loss) = self.loss.take()
            && let ControlFlow::Break(departure) = self.report(&loss).await
        {
            return departure;
        }
        loop {
            let step = match self.next_mail() {
                Some(mail) => self.take_turn(mail).await,
                None => self.wait().await,
            };
            if let ControlFlow::Break(departure) = step {
                return departure;
            }
        }
    }

    /// Writes down what the server lost.
    async fn report(&mut self, loss: &Loss) -> ControlFlow<Departure> {
        let (boundary, position) = boundary::lost(&self.position, loss);
        self.commit(boundary, 0).await?;
        self.position = position;
        self.shared.ledger.lost(loss);
        let session = self.lease.session();
        warn!(%session, turns = ?loss.turns, entries = ?loss.entries, "the server lost what had been acknowledged");
        ControlFlow::Continue(())
    }

    /// What may be handed to the agent now.
    fn next_mail(&mut self) -> Option<Mail> {
        let free = self.phase.is_idle() && !self.shared.stops.drain.is_cancelled();
        if free { self.queue.pop_front() } else { None }
    }

    /// Waits for mail, for a reason to leave, or for the time to look after the lease.
    async fn wait(&mut self) -> ControlFlow<Departure> {
        let (stops, env) = (self.shared.stops.clone(), self.shared.env.clone());
        let window = self.window.clone();
        self.activity.set_idle(self.idle_since);
        let idle_until = self.idle_since.plus(self.idle());
        let nudge = tokio::select! {
            biased;
            () = stops.lost.cancelled() => return ControlFlow::Break(Departure::Lost),
            () = window.ended(&env) => return ControlFlow::Break(Departure::Distrusted),
            () = stops.drain.cancelled() => return self.leave(Leaving::HandOff).await,
            // Cancel-safe: a nudge is taken or stays.
            nudge = self.nudges.recv() => nudge.unwrap_or(Nudge::Passivate),
            () = env.sleep_until(self.next_look.min(idle_until)) => {
                if env.now() >= idle_until { Nudge::Passivate } else { Nudge::Look }
            }
        };
        match nudge {
            Nudge::Mail(mail) => self.on_mail(*mail).await,
            Nudge::Look => self.look().await,
            Nudge::Passivate => self.leave(Leaving::IfIdle).await,
        }
    }

    fn idle(&self) -> Duration {
        self.hosted.policy.idle.unwrap_or(self.shared.config.idle)
    }

    /// A hint brought a message: the next one expected goes into the queue, an old one is ignored, a gap is looked at.
    async fn on_mail(&mut self, mail: Mail) -> ControlFlow<Departure> {
        let next = self.position.taken + 1 + self.queue.len() as u64;
        match &mail {
            Mail::Message(message) | Mail::Malformed(message, _) if message.number == next => {
                self.queue.push_back(mail);
                ControlFlow::Continue(())
            }
            Mail::Message(message) | Mail::Malformed(message, _) if message.number < next => {
                ControlFlow::Continue(())
            }
            _ => self.look().await,
        }
    }

    /// Lengthens `own`, and sees what hints may have missed.
    async fn look(&mut self) -> ControlFlow<Departure> {
        let seen = tokio::select! {
            biased;
            () = self.shared.stops.lost.cancelled() => return ControlFlow::Break(Departure::Lost),
            () = self.window.ended(&self.shared.env) => return ControlFlow::Break(Departure::Distrusted),
            seen = self.refresh() => seen,
        };
        self.looked(seen, Look::Idle)
    }

    /// The look itself. May be dropped: then it is made again, at once where it was due.
    async fn refresh(&self) -> StoreResult<Refresh> {
        self.shared.store.refresh(&self.lease, self.shared.config.lease.own_ttl(), PAGE).await
    }

    /// The look of the slow round, when it is due.
    async fn refresh_when_due(&self) -> StoreResult<Refresh> {
        self.shared.env.sleep_until(self.next_look).await;
        self.refresh().await
    }

    /// Takes in what a look saw.
    fn looked(&mut self, seen: StoreResult<Refresh>, during: Look) -> ControlFlow<Departure> {
        let lease = &self.shared.config.lease;
        // An answer that did not come may be the one that a lost hint was to bring.
        let pause = if seen.is_ok() { lease.ttl() } else { lease.renew_every() / 10 };
        self.next_look = self.shared.env.now().plus(pause);
        match seen {
            // A turn under way finds that out with its next commit.
            Ok(Refresh::Held { record, .. }) if during == Look::Idle && record.seq < self.position.seq => {
                ControlFlow::Break(self.is_behind(record.seq))
            }
            Ok(Refresh::Held { record, mail }) => {
                if during == Look::Idle {
                    self.adopt(&record, mail);
                }
                ControlFlow::Continue(())
            }
            Ok(Refresh::Fenced) => ControlFlow::Break(Departure::Fenced),
            Err(err) => {
                debug!(session = %self.lease.session(), error = %err, "looking again later");
                ControlFlow::Continue(())
            }
        }
    }

    /// Takes over the server's word on mail and waits.
    fn adopt(&mut self, record: &SessionRecord, mail: Vec<Mail>) {
        if record.backoff.is_none() {
            self.advance(Event::TimerFired);
        }
        self.queue = runnable_mail(record, mail);
    }

    fn advance(&mut self, event: Event) -> Option<Effect> {
        let (phase, effect) =
            self.phase.on(event, self.position.tries).expect("the actor follows the turn's table");
        self.phase = phase;
        effect
    }

    /// Runs the agent over `mail` and makes the result durable.
    async fn take_turn(&mut self, mail: Mail) -> ControlFlow<Departure> {
        let message = match &mail {
            Mail::Message(message) | Mail::Malformed(message, _) => message.clone(),
            Mail::Unreadable(why) => {
                let why = format!("a message cannot be read: {why}");
                return ControlFlow::Break(self.quarantine(why).await);
            }
        };
        self.activity.set_busy();
        self.shared.counts.running.fetch_add(1, Ordering::Relaxed);
        let before = self.position.turns;
        let turn = self.run_and_commit(mail, message).await;
        self.shared.counts.deeds.ended(self.position.turns.saturating_sub(before));
        self.shared.counts.running.fetch_sub(1, Ordering::Relaxed);
        self.shared.counts.made_room();
        self.shared.counted(&self.hosted);
        self.idle_since = self.shared.env.now();
        turn
    }

    async fn run_and_commit(&mut self, mail: Mail, message: Message) -> ControlFlow<Departure> {
        let Some(Effect::Run { turn, attempt }) = self.advance(Event::MessageArrived) else {
            unreachable!("mail is only taken by a session that is idle")
        };
        let lack = self.lack_for(&message).await?;
        // What cannot be reached is not waited for, and what failed by that says so.
        let class = if lack.is_some() { self.hosted.class } else { self.class_of(&message) };
        let run = match &mail {
            Mail::Malformed(_, why) => Run::Failed(malformed(why)),
            Mail::Message(message) if self.dropped == Some(message.number) => Run::Failed(dropped()),
            _ => match &lack {
                Some(lack) => Run::Failed(beyond::failure(lack, self.class_of(&message))),
                None => self.run_agent(&message, turn, attempt).await?,
            },
        };
        let (lease, position) = (&self.lease, &self.position);
        let ended = RunOf { lease, class, position, turn, message: &message };
        let write = match run {
            Run::Finished(output) => ended.finished(output),
            Run::Failed(failure) => {
                let verdict = Verdict::of(&failure, attempt, &self.hosted.policy);
                info!(
                    session = %self.lease.session(), epoch = %self.lease.epoch(), turn, attempt,
                    reason = failure.reason, error = failure.message, ?verdict, "a run failed"
                );
                ended.failed(&failure, verdict, attempt)
            }
            Run::Unreadable(why) => return ControlFlow::Break(self.quarantine(why).await),
        };
        self.advance(Event::TurnEnded(write.verdict));
        let keeps_message = matches!(write.verdict, Verdict::Retry(_));
        let page = if keeps_message || !self.queue.is_empty() { 0 } else { PAGE };
        let begun = self.shared.env.now();
        let (out, more) = self.commit(write.boundary, page).await?;
        let is_done = self.advance(Event::Committed) == Some(Effect::Release);
        self.position = write.position;
        if let Some(state) = write.state {
            self.state = Ok(Some(state.into()));
        }
        if !is_done {
            self.queue.push_front(mail);
        } else if page > 0 {
            self.queue = more.into();
        }
        self.deliver(out, begun).await;
        ControlFlow::Continue(())
    }

    /// What the boundaries of this message's turn reach before anything of them is told.
    fn class_of(&self, message: &Message) -> Durability {
        self.hosted.class.with(message.durability)
    }

    /// Repeats the write until its outcome is known, or the lease is not trusted any more.
    async fn commit(
        &mut self,
        mut boundary: Boundary,
        page: usize,
    ) -> ControlFlow<Departure, (Vec<OutReply>, Vec<Mail>)> {
        self.boundaries += 1;
        boundary.commit = format!("{}.{}", self.lease.token().nonce, self.boundaries);
        boundary.own_ttl = self.shared.config.lease.own_ttl();
        boundary.page = page;
        boundary.class = boundary.class.with(self.hosted.class);
        let session = self.lease.session();
        let (mut warned, mut written, mut waits) = (false, Vec::new(), None);
        loop {
            let answer = tokio::select! {
                biased;
                () = self.shared.stops.lost.cancelled() => return ControlFlow::Break(Departure::Lost),
                // The write may still take effect: it was made under a lease that held.
                () = self.window.ended(&self.shared.env) => return ControlFlow::Break(Departure::Distrusted),
                answer = self.shared.store.commit(&self.lease, &boundary) => answer,
            };
            match answer {
                Ok(Commit::Done { out, mail }) => {
                    self.alone = None;
                    let seq = boundary.after + boundary.entries.len() as u64;
                    let entry =
                        (!boundary.entries.is_empty()).then(|| EntryId { epoch: self.lease.epoch(), seq });
                    self.shared.ledger.saw(session, &boundary.commit, entry, boundary.turns);
                    // A repeat is not told what the first call wrote.
                    let out = if out.is_empty() { written } else { out };
                    return ControlFlow::Continue((out, mail));
                }
                // Its reply stays in `out`, which is delivered once the class is reached.
                Ok(Commit::Unknown { .. }) if self.shared.stops.grace_over.is_cancelled() => {
                    return ControlFlow::Break(Departure::Unacknowledged);
                }
                // Nothing leaves: no reply, and no next turn.
                Ok(Commit::Unknown { out }) => {
                    if !warned {
                        warn!(%session, class = %boundary.class, "{UNACKNOWLEDGED}: its reply waits");
                        warned = true;
                    }
                    let (unreached, env) = (&self.shared.counts.deeds.unreached, &self.shared.env);
                    waits.get_or_insert_with(|| unreached.add(session, boundary.class, env.wall()));
                    if !out.is_empty() {
                        written = out;
                    }
                }
                Ok(Commit::Fenced) => {
                    info!(%session, epoch = %self.lease.epoch(), worker = %self.shared.worker, "fenced");
                    return ControlFlow::Break(Departure::Fenced);
                }
                Ok(Commit::Lost) => {
                    self.shared.stops.lost.cancel();
                    return ControlFlow::Break(Departure::Lost);
                }
                Ok(Commit::Behind { seq }) => {
                    return ControlFlow::Break(self.is_behind(seq));
                }
                // An operator can mend it, if told: the turn's result is kept as long as the lease holds.
                Err(err @ StoreError::Unreadable { .. }) if !warned => {
                    warn!(%session, error = %err, "a turn's end cannot be written; trying on");
                    warned = true;
                }
                Err(err) => debug!(%session, error = %err, "committing again"),
            }
            self.shared.env.sleep(REPEAT_AFTER).await;
        }
    }

    /// The server has fewer entries than this owner knows of.
    fn is_behind(&self, seq: u64) -> Departure {
        let session = self.lease.session();
        warn!(%session, has = seq, had = self.position.seq, "the server lost writes of this session");
        // Perhaps also this claim: the next one must not take its epoch again.
        self.shared.counts.saw(Epoch(self.lease.epoch().0 + 1));
        Departure::Behind
    }

    /// Hands out replies that are durable, whose commit began at `begun`. What fails here stays in `out`, where the duty finds it.
    async fn deliver(&self, out: Vec<OutReply>, begun: Moment) {
        if out.is_empty() {
            return;
        }
        let soon = self.shared.env.now().since(begun) <= LEFT_TO_US;
        let by = if soon { Deliverer::Writer } else { Deliverer::Duty };
        if let Err(err) = self.shared.store.deliver(self.partition, &out, by).await {
            debug!(session = %self.lease.session(), error = %err, "a reply is left to the duty");
        }
    }

    /// Gives the session back; goes on if it turns out to have something to run.
    async fn leave(&mut self, leaving: Leaving) -> ControlFlow<Departure> {
        let departure = match leaving {
            Leaving::IfIdle => Departure::Released,
            Leaving::HandOff => Departure::HandedOff,
        };
        loop {
            let answer = tokio::select! {
                biased;
                () = self.shared.stops.lost.cancelled() => return ControlFlow::Break(Departure::Lost),
                () = self.window.ended(&self.shared.env) => return ControlFlow::Break(Departure::Distrusted),
                answer = self.shared.store.release(&self.lease, leaving, PAGE) => answer,
            };
            match answer {
                Ok(Release::Released) => return ControlFlow::Break(departure),
                Ok(Release::Fenced) => return ControlFlow::Break(Departure::Fenced),
                Ok(Release::Runnable(mail)) => {
                    self.advance(Event::TimerFired);
                    self.queue = mail.into();
                    self.idle_since = self.shared.env.now();
                    return ControlFlow::Continue(());
                }
                Err(err @ StoreError::Unreadable { .. }) => {
                    warn!(session = %self.lease.session(), error = %err, "a session cannot be given back");
                    return ControlFlow::Break(Departure::Unreadable);
                }
                Err(err) => debug!(session = %self.lease.session(), error = %err, "releasing again"),
            }
            self.shared.env.sleep(REPEAT_AFTER).await;
        }
    }

    /// Sets the session aside, with its mail and all that it holds as it is, and gives it back.
    async fn quarantine(&mut self, why: String) -> Departure {
        warn!(session = %self.lease.session(), epoch = %self.lease.epoch(), why, "quarantined");
        let boundary = boundary::quarantine(&self.position, why);
        if let ControlFlow::Break(departure) = self.commit(boundary, 0).await {
            return departure;
        }
        match self.leave(Leaving::IfIdle).await {
            ControlFlow::Break(departure) => departure,
            ControlFlow::Continue(()) => unreachable!("a quarantined session is not runnable"),
        }
    }
}

/// The mail of a session that is set aside is kept, and not run.
fn runnable_mail(record: &SessionRecord, mail: Vec<Mail>) -> VecDeque<Mail> {
    if record.hold.is_none() { mail.into() } else { VecDeque::new() }
}

/// What an actor is about when it looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// Waiting: what it finds is taken over.
    Idle,
    /// In a turn: only ownership counts; the commit brings the mail.
    Running,
}

fn malformed(why: &str) -> Failure {
    Failure { reason: "malformed", message: why.to_owned(), retry: false, not_before: Duration::ZERO }
}

fn dropped() -> Failure {
    let message = "an operator gave up on this message".to_owned();
    Failure { reason: "dropped", message, retry: false, not_before: Duration::ZERO }
}
