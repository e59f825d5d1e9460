//! Hints for one worker, and its lifeline.
//!
//! Two connections, so that one which breaks does not look like a death: the *ear* is subscribed to the
//! worker's channel in every partition, the *watch* to the keys that lapse, and both to the lifeline, on
//! which nothing is ever said. Nothing hangs on a hint, so nothing is kept for a listener that is away: after every
//! reconnect it says [`Hint::Missed`] or [`Lapsed::Unheard`]. All that it waits for (an answer to its ping, a new
//! connection) is kept in the listener and not in the future of `recv`, so that may be dropped at any time.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use redis::{PushInfo, PushKind, Value, aio::MultiplexedConnection};
use tokio::{
    sync::mpsc::{Receiver, channel, error::TrySendError},
    time::{Interval, MissedTickBehavior, interval, sleep},
};

use super::{
    RedisStore,
    keys::Lapses,
    records::hint,
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
    ear: Line,
    watch: Line,
    lapses: Lapses,
}

type Later<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// One connection, made again whenever it is lost.
struct Line {
    target: Arc<Target>,
    channels: Arc<Channels>,
    state: State,
}

enum State {
    Up(Subscribed),
    Connecting(Later<Subscribed>),
}

/// What a connection is subscribed to.
struct Channels {
    sharded: Vec<String>,
    plain: Vec<String>,
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
enum Heard {
    Pushed(PushInfo),
    /// Something may have been lost.
    Gap,
}

impl RedisStore {
    pub(super) async fn listen_for(&self, worker: &WorkerId) -> StoreResult<RedisListener> {
        let target = &self.shared.target;
        let partitions = self.keys().partitions().all();
        let wakes = partitions.map(|partition| self.keys().partition(partition).wake(worker));
        let life = self.keys().life(worker);
        let ear = Channels { sharded: wakes.chain([life.clone()]).collect(), plain: Vec::new() };
        let lapses = Lapses::of(self.keys(), target.database());
        let watch = Channels { sharded: vec![life], plain: vec![lapses.channel()] };
        Ok(RedisListener {
            ear: Line::open(target, ear).await?,
            watch: Line::open(target, watch).await?,
            lapses,
        })
    }
}

impl Listener for RedisListener {
    async fn recv(&mut self) -> Hint {
        loop {
            let hint = tokio::select! {
                biased;
                heard = self.ear.next() => match heard {
                    Heard::Gap => Some(Hint::Missed),
                    Heard::Pushed(pushed) => told(&pushed),
                },
                heard = self.watch.next() => match heard {
                    Heard::Gap => Some(Hint::Lapsed(Lapsed::Unheard)),
                    Heard::Pushed(pushed) => lapsed(&self.lapses, &pushed),
                },
            };
            if let Some(hint) = hint {
                return hint;
            }
        }
    }
}

impl Line {
    async fn open(target: &Arc<Target>, channels: Channels) -> StoreResult<Self> {
        let channels = Arc::new(channels);
        let first = subscribe(target, &channels).await?;
        Ok(Self { target: target.clone(), channels, state: State::Up(first) })
    }

    /// What comes next. May be dropped: what it waits for is kept in `self`.
    async fn next(&mut self) -> Heard {
        loop {
            match &mut self.state {
                State::Up(subscribed) => match subscribed.next().await {
                    Some(heard) => return heard,
                    None => {
                        tracing::debug!(address = self.target.address(), "hints stopped, connecting again");
                        self.state = State::Connecting(self.reconnect());
                    }
                },
                State::Connecting(attempt) => {
                    self.state = State::Up(attempt.await);
                    return Heard::Gap;
                }
            }
        }
    }

    /// Tries until it succeeds.
    fn reconnect(&self) -> Later<Subscribed> {
        let (target, channels) = (self.target.clone(), self.channels.clone());
        Box::pin(async move {
            let (mut wait, longest) = BACKOFF;
            loop {
                match subscribe(&target, &channels).await {
                    Ok(subscribed) => return subscribed,
                    Err(error) => tracing::debug!(address = target.address(), %error, "still no hints"),
                }
                sleep(wait).await;
                wait = (wait * 2).min(longest);
            }
        })
    }
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

async fn subscribe(target: &Target, channels: &Channels) -> StoreResult<Subscribed> {
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
    for (command, channels) in [("SSUBSCRIBE", &channels.sharded), ("SUBSCRIBE", &channels.plain)] {
        if !channels.is_empty() {
            let mut subscribe = redis::cmd(command);
            subscribe.arg(channels);
            target.answer_to(subscribe.exec_async(&mut connection)).await?;
        }
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
