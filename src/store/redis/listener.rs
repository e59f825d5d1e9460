//! Hints for one worker, and its lifeline.
//!
//! Two connections, so that one which breaks does not look like a death: the *ear* is subscribed to the
//! worker's channel in every partition, the *watch* to the keys that lapse, and both to the lifeline, on
//! which nothing is ever said. Nothing hangs on a hint, so nothing is kept for a listener that is away: after every
//! reconnect it says [`Hint::Missed`] or [`Lapsed::Unheard`]. All that it waits for (an answer to its ping, a new
//! connection) is kept in the listener and not in the future of `recv`, so that may be dropped at any time.
//!
//! In a cluster each master has an ear for the partitions that it has and a watch for its own keys, and the lifeline is
//! where the namespace's own keys are. When slots move, the lines of those masters are made anew.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::Duration,
};

use redis::{PushInfo, PushKind, Value, aio::MultiplexedConnection};
use tokio::{
    sync::mpsc::{Receiver, channel, error::TrySendError},
    time::{Interval, MissedTickBehavior, interval, sleep},
};

use super::{
    RedisStore,
    cluster::Cluster,
    follow::Follow,
    keys::Lapses,
    masters::Masters,
    records::hint,
    slots::Slot,
    target::{Connected, Server, Target},
    term::Term,
};
use crate::{
    model::WorkerId,
    store::{Hint, Lapsed, Listener, StoreResult},
};

/// The wait after the first failed attempt to connect again, and the longest. The first is made at once: whoever
/// watches the lifeline must not miss it for long.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// How often a connection is asked for a sign of life: one that went half-open never says so itself, nor does a server
/// that became a replica, where nothing is published any more.
const PING_EVERY: Duration = Duration::from_secs(2);

/// How many hints wait for a listener that is slow; more are dropped, and it is told.
const WAITING: usize = 10_000;

/// Hints for one worker.
pub struct RedisListener {
    lines: Vec<Line>,
    lapses: Lapses,
    follow: Option<Follow>,
}

/// What a line is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Ear,
    Watch,
}

type Later<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// One connection, made again whenever it is lost.
pub(super) struct Line {
    part: Part,
    target: Arc<Target>,
    channels: Arc<Channels>,
    cluster: Option<Arc<Cluster>>,
    state: State,
}

enum State {
    Up(Subscribed),
    Connecting(Later<Subscribed>),
}

/// What a connection is subscribed to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Channels {
    pub(super) sharded: Vec<String>,
    pub(super) plain: Vec<String>,
}

/// A connection that is subscribed.
struct Subscribed {
    connection: MultiplexedConnection,
    pushed: Receiver<PushInfo>,
    /// Set when something was dropped.
    dropped: Arc<AtomicBool>,
    pings: Interval,
    ping: Option<Later<bool>>,
    term: Term,
}

/// What a listener waits for next.
enum Event {
    Pushed(Option<PushInfo>),
    PingDue,
    Answered(bool),
    /// Another server is the primary.
    Moved,
}

/// What comes in by a line.
pub(super) enum Heard {
    Pushed(PushInfo),
    /// Something may have been lost.
    Gap,
}

impl RedisStore {
    pub(super) async fn listen_for(&self, worker: &WorkerId) -> StoreResult<RedisListener> {
        let lapses = Lapses::of(self.keys(), 0);
        let master = match &self.shared.masters {
            Masters::One(master) => master,
            Masters::Cluster(cluster) => {
                let mut follow = Follow::new(cluster.clone(), self.keys().clone(), worker.clone());
                let lines = follow.first_lines().await?;
                return Ok(RedisListener { lines, lapses, follow: Some(follow) });
            }
        };
        let target = &master.target;
        let partitions = self.keys().partitions().all();
        let wakes = partitions.map(|partition| self.keys().partition(partition).wake(worker));
        let life = self.keys().life(worker);
        let ear = Channels { sharded: wakes.chain([life.clone()]).collect(), plain: Vec::new() };
        let lapses = Lapses::of(self.keys(), target.database());
        let watch = Channels { sharded: vec![life], plain: vec![lapses.channel()] };
        let lines =
            vec![Line::open(Part::Ear, target, ear).await?, Line::open(Part::Watch, target, watch).await?];
        Ok(RedisListener { lines, lapses, follow: None })
    }
}

impl Listener for RedisListener {
    async fn recv(&mut self) -> Hint {
        loop {
            let hint = tokio::select! {
                biased;
                () = changed(&mut self.follow) => {
                    self.follow_changes();
                    None
                }
                heard = next_of(&mut self.lines) => self.understand(heard),
            };
            if let Some(hint) = hint {
                return hint;
            }
        }
    }
}

impl RedisListener {
    fn understand(&mut self, heard: (Part, Heard)) -> Option<Hint> {
        match heard {
            (Part::Ear, Heard::Gap) => Some(Hint::Missed),
            (Part::Ear, Heard::Pushed(pushed)) => {
                self.notice(&pushed);
                told(&pushed)
            }
            (Part::Watch, Heard::Gap) => Some(Hint::Lapsed(Lapsed::Unheard)),
            (Part::Watch, Heard::Pushed(pushed)) => {
                self.notice(&pushed);
                lapsed(&self.lapses, &pushed)
            }
        }
    }

    /// A master that ends a subscription has given the slot away.
    fn notice(&mut self, pushed: &PushInfo) {
        if let (PushKind::SUnsubscribe, Some(follow)) = (&pushed.kind, &mut self.follow) {
            follow.look_again();
        }
    }

    fn follow_changes(&mut self) {
        if let Some(follow) = &self.follow {
            self.lines = follow.lines(std::mem::take(&mut self.lines));
        }
    }
}

/// Waits until a cluster has changed.
async fn changed(follow: &mut Option<Follow>) {
    match follow {
        Some(follow) => follow.changed().await,
        None => std::future::pending().await,
    }
}

/// What comes next by any line. May be dropped, as each line's `next` may.
async fn next_of(lines: &mut [Line]) -> (Part, Heard) {
    poll_fn(|context| {
        for line in &mut *lines {
            let part = line.part;
            if let Poll::Ready(heard) = pin!(line.next()).poll(context) {
                return Poll::Ready((part, heard));
            }
        }
        Poll::Pending
    })
    .await
}

impl Channels {
    /// What subscribes to them. In a cluster the channels of one command must be in one slot.
    fn commands(&self, in_cluster: bool) -> impl Iterator<Item = (&'static str, &[String])> {
        let together = move |one: &String, other: &String| {
            !in_cluster || Slot::of(one.as_bytes()) == Slot::of(other.as_bytes())
        };
        let sharded = self.sharded.chunk_by(together);
        let plain = Some(self.plain.as_slice()).filter(|plain| !plain.is_empty());
        sharded.map(|some| ("SSUBSCRIBE", some)).chain(plain.map(|plain| ("SUBSCRIBE", plain)))
    }
}

impl Line {
    async fn open(part: Part, target: &Arc<Target>, channels: Channels) -> StoreResult<Self> {
        let channels = Arc::new(channels);
        let first = subscribe(target, &channels, false).await?;
        Ok(Self { part, target: target.clone(), channels, cluster: None, state: State::Up(first) })
    }

    /// One to a master of a cluster, that is still to be made.
    pub(super) fn to_master(
        part: Part,
        target: &Arc<Target>,
        channels: Channels,
        cluster: &Arc<Cluster>,
    ) -> Self {
        let (target, channels, cluster) = (target.clone(), Arc::new(channels), Some(cluster.clone()));
        let state = State::Connecting(connect(target.clone(), channels.clone(), cluster.clone()));
        Self { part, target, channels, cluster, state }
    }

    /// Whether it is such a line.
    pub(super) fn is(&self, part: Part, target: &Arc<Target>, channels: &Channels) -> bool {
        self.part == part && Arc::ptr_eq(&self.target, target) && *self.channels == *channels
    }

    /// Waits until it is there.
    pub(super) async fn up(mut self) -> Self {
        if let State::Connecting(attempt) = &mut self.state {
            self.state = State::Up(attempt.await);
        }
        self
    }

    /// What comes next. May be dropped: what it waits for is kept in `self`.
    async fn next(&mut self) -> Heard {
        loop {
            match &mut self.state {
                State::Up(subscribed) => match subscribed.next().await {
                    Some(heard) => return heard,
                    None => {
                        tracing::debug!(address = self.target.address(), "hints stopped, connecting again");
                        let (target, channels) = (self.target.clone(), self.channels.clone());
                        self.state = State::Connecting(connect_again(target, channels, self.cluster.clone()));
                    }
                },
                State::Connecting(attempt) => {
                    self.state = State::Up(attempt.await);
                    return Heard::Gap;
                }
            }
        }
    }
}

/// The same after a connection was lost: in a cluster that may be the first sign that another is the master.
fn connect_again(
    target: Arc<Target>,
    channels: Arc<Channels>,
    cluster: Option<Arc<Cluster>>,
) -> Later<Subscribed> {
    Box::pin(async move {
        if let Some(cluster) = &cluster {
            cluster.refresh().await;
        }
        connect(target, channels, cluster).await
    })
}

/// Tries until it succeeds.
fn connect(target: Arc<Target>, channels: Arc<Channels>, cluster: Option<Arc<Cluster>>) -> Later<Subscribed> {
    Box::pin(async move {
        let (mut wait, longest) = BACKOFF;
        loop {
            match subscribe(&target, &channels, cluster.is_some()).await {
                Ok(subscribed) => return subscribed,
                Err(error) => tracing::debug!(address = target.address(), %error, "still no hints"),
            }
            if let Some(cluster) = &cluster {
                cluster.refresh().await;
            }
            sleep(wait).await;
            wait = (wait * 2).min(longest);
        }
    })
}

impl Subscribed {
    /// What is pushed next, or none if the connection is lost.
    async fn next(&mut self) -> Option<Heard> {
        loop {
            if self.dropped.swap(false, Ordering::Relaxed) {
                return Some(Heard::Gap);
            }
            match self.next_event().await {
                Event::Pushed(None) => return None,
                Event::Pushed(Some(PushInfo { kind: PushKind::Disconnection, .. })) => return None,
                Event::Pushed(Some(pushed)) => return Some(Heard::Pushed(pushed)),
                Event::PingDue if self.ping.is_none() => self.ping = Some(self.ping()),
                // The ping before has had its time.
                Event::PingDue => return None,
                Event::Answered(true) => self.ping = None,
                Event::Answered(false) | Event::Moved => return None,
            }
        }
    }

    /// Each arm may be dropped: what it waits for is kept in `self`.
    async fn next_event(&mut self) -> Event {
        let Self { pushed, pings, ping, term, .. } = self;
        let answered = async {
            match ping {
                Some(ping) => ping.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = term.over() => Event::Moved,
            pushed = pushed.recv() => Event::Pushed(pushed),
            answered = answered => Event::Answered(answered),
            _ = pings.tick() => Event::PingDue,
        }
    }

    fn ping(&self) -> Later<bool> {
        let mut connection = self.connection.clone();
        Box::pin(async move { Server::is_primary(&mut connection).await })
    }
}

async fn subscribe(target: &Target, channels: &Channels, in_cluster: bool) -> StoreResult<Subscribed> {
    let (sender, pushed) = channel(WAITING);
    let dropped = Arc::new(AtomicBool::new(false));
    let full = dropped.clone();
    let keep = move |info: PushInfo| match sender.try_send(info) {
        Err(TrySendError::Full(_)) => {
            full.store(true, Ordering::Relaxed);
            Ok(())
        }
        sent => sent.map_err(drop),
    };
    let Connected { mut connection, term, .. } = target.connect_pushed(keep).await?;
    for (command, channels) in channels.commands(in_cluster) {
        let mut subscribe = redis::cmd(command);
        subscribe.arg(channels);
        target.answer_to(subscribe.exec_async(&mut connection)).await?;
    }
    let mut pings = interval(PING_EVERY);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pings.reset();
    Ok(Subscribed { connection, pushed, dropped, pings, ping: None, term })
}

/// What was published to the worker, if it is a hint: channel, then payload.
fn told(pushed: &PushInfo) -> Option<Hint> {
    match (&pushed.kind, pushed.data.get(1)) {
        (PushKind::SMessage, Some(Value::BulkString(payload))) => hint(payload),
        _ => None,
    }
}

/// Whose key lapsed, if it is one of those: channel, then the key's name.
fn lapsed(lapses: &Lapses, pushed: &PushInfo) -> Option<Hint> {
    match (&pushed.kind, pushed.data.get(1)) {
        (PushKind::Message, Some(Value::BulkString(key))) => lapses.read(key).map(Hint::Lapsed),
        _ => None,
    }
}
