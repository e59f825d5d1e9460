//! Hints for one worker: a connection of its own that is subscribed to the worker's channel in every partition.
//!
//! Nothing hangs on a hint, so nothing is kept for a listener that is away: after every reconnect it
//! says [`Hint::Missed`]. All that it waits for (an answer to its ping, a new connection) is kept in
//! the listener and not in the future of `recv`, so that may be dropped at any time.

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

use super::{RedisStore, records::hint, target::Target};
use crate::{
    model::WorkerId,
    store::{Hint, Listener, StoreResult},
};

/// The wait before the first attempt to connect again, and the longest.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// How often a connection is asked for a sign of life: one that went half-open never says so itself.
const PING_EVERY: Duration = Duration::from_secs(2);

/// How many hints wait for a listener that is slow; more are dropped, and it is told.
const WAITING: usize = 10_000;

/// Hints for one worker.
pub struct RedisListener {
    target: Arc<Target>,
    channels: Arc<[String]>,
    line: Line,
}

type Later<T> = Pin<Box<dyn Future<Output = T> + Send>>;

enum Line {
    Up(Subscribed),
    Connecting(Later<Subscribed>),
}

/// A connection that is subscribed.
struct Subscribed {
    connection: MultiplexedConnection,
    pushed: Receiver<PushInfo>,
    /// Set when hints were dropped.
    dropped: Arc<AtomicBool>,
    pings: Interval,
    ping: Option<Later<bool>>,
}

/// What a listener waits for next.
enum Event {
    Pushed(Option<PushInfo>),
    PingDue,
    Answered(bool),
}

impl RedisStore {
    pub(super) async fn listen_for(&self, worker: &WorkerId) -> StoreResult<RedisListener> {
        let target = self.shared.target.clone();
        let partitions = self.keys().partitions().all();
        let channels: Arc<[String]> =
            partitions.map(|partition| self.keys().partition(partition).wake(worker)).collect();
        let first = subscribe(&target, &channels).await?;
        Ok(RedisListener { target, channels, line: Line::Up(first) })
    }
}

impl Listener for RedisListener {
    async fn recv(&mut self) -> Hint {
        loop {
            match &mut self.line {
                Line::Up(subscribed) => match subscribed.next_hint().await {
                    Some(hint) => return hint,
                    None => {
                        tracing::debug!(address = self.target.address(), "hints stopped, connecting again");
                        self.line = Line::Connecting(self.reconnect());
                    }
                },
                Line::Connecting(attempt) => {
                    self.line = Line::Up(attempt.await);
                    return Hint::Missed;
                }
            }
        }
    }
}

impl RedisListener {
    /// Tries until it succeeds.
    fn reconnect(&self) -> Later<Subscribed> {
        let (target, channels) = (self.target.clone(), self.channels.clone());
        Box::pin(async move {
            let (mut wait, longest) = BACKOFF;
            loop {
                sleep(wait).await;
                match subscribe(&target, &channels).await {
                    Ok(subscribed) => return subscribed,
                    Err(error) => tracing::debug!(address = target.address(), %error, "still no hints"),
                }
                wait = (wait * 2).min(longest);
            }
        })
    }
}

impl Subscribed {
    /// The next hint, or none if the connection is lost.
    async fn next_hint(&mut self) -> Option<Hint> {
        loop {
            if self.dropped.swap(false, Ordering::Relaxed) {
                return Some(Hint::Missed);
            }
            match self.next_event().await {
                Event::Pushed(None) => return None,
                Event::Pushed(Some(PushInfo { kind: PushKind::Disconnection, .. })) => return None,
                Event::Pushed(Some(pushed)) => {
                    if let Some(hint) = read(pushed) {
                        return Some(hint);
                    }
                }
                Event::PingDue if self.ping.is_none() => self.ping = Some(self.ping()),
                // The ping before has had its time.
                Event::PingDue => return None,
                Event::Answered(true) => self.ping = None,
                Event::Answered(false) => return None,
            }
        }
    }

    /// Each arm may be dropped: what it waits for is kept in `self`.
    async fn next_event(&mut self) -> Event {
        let Self { pushed, pings, ping, .. } = self;
        let answered = async {
            match ping {
                Some(ping) => ping.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            pushed = pushed.recv() => Event::Pushed(pushed),
            answered = answered => Event::Answered(answered),
            _ = pings.tick() => Event::PingDue,
        }
    }

    fn ping(&self) -> Later<bool> {
        let mut connection = self.connection.clone();
        Box::pin(async move { redis::cmd("PING").exec_async(&mut connection).await.is_ok() })
    }
}

async fn subscribe(target: &Target, channels: &[String]) -> StoreResult<Subscribed> {
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
    let mut connection = target.connect_pushed(keep).await?;
    let mut subscribe = redis::cmd("SSUBSCRIBE");
    subscribe.arg(channels);
    target.answer_to(subscribe.exec_async(&mut connection)).await?;
    let mut pings = interval(PING_EVERY);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pings.reset();
    Ok(Subscribed { connection, pushed, dropped, pings, ping: None })
}

/// What was published, if it is a hint: channel, then payload.
fn read(pushed: PushInfo) -> Option<Hint> {
    match (pushed.kind, pushed.data.get(1)) {
        (PushKind::SMessage, Some(Value::BulkString(payload))) => hint(payload),
        _ => None,
    }
}
