//! Those who send: each has its sessions, its list for replies, and repeats by the same id until it knows.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use rand::{Rng, SeedableRng, rngs::StdRng};
use redis::{AsyncCommands, AsyncConnectionConfig, aio::MultiplexedConnection};
use tenure::{
    Body, Env, SessionId,
    client::{Client, ClientError, Outgoing, Receipt},
    model::Resume,
    store::{RedisStore, redis::Options},
};
use tokio::sync::{Mutex, Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::ledger::{Door, Ledger};

/// How many messages of a session are under way at once.
const WINDOW: usize = 3;
/// How long a sender waits for any one answer of the server.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(50);
/// Between two looks for replies.
const LOOK: Duration = Duration::from_millis(20);
/// Every so many sessions use the plain door.
const PLAIN_EVERY: usize = 4;
/// One of so many messages is followed by a repeat of an older one.
const REPEAT_ONE_IN: u32 = 12;

/// How much a sender says.
#[derive(Debug, Clone)]
pub struct Pace {
    pub senders: usize,
    pub sessions_each: usize,
    /// Between two messages of a session, in milliseconds.
    pub think_ms: (u64, u64),
    /// How long a turn takes, in milliseconds.
    pub turn_ms: (u64, u64),
}

/// One sender.
pub struct Sender {
    number: usize,
    ledger: Arc<Ledger>,
    client: Client<RedisStore>,
    plain: Plain,
    pace: Pace,
    windows: BTreeMap<SessionId, Semaphore>,
    /// No new messages from here on.
    enough: CancellationToken,
    /// Nothing is left to wait for.
    over: CancellationToken,
}

impl Sender {
    /// Connects to the server at `url`.
    pub async fn connect(
        number: usize,
        url: &str,
        pace: &Pace,
        ledger: &Arc<Ledger>,
        enough: &CancellationToken,
        over: &CancellationToken,
    ) -> Arc<Self> {
        let options = Options { timeout: ANSWER_WITHIN, ..Options::new(url) };
        let store = RedisStore::connect(options).await.expect("the server answers");
        let session = |n| format!("tally/s{number}-{n}").parse::<SessionId>().expect("a session");
        Arc::new(Self {
            number,
            ledger: ledger.clone(),
            client: Client::new(store, Env::system()).with_patience(ANSWER_WITHIN),
            plain: Plain::to(url),
            pace: pace.clone(),
            windows: (0..pace.sessions_each).map(|n| (session(n), Semaphore::new(WINDOW))).collect(),
            enough: enough.clone(),
            over: over.clone(),
        })
    }

    /// Its sessions.
    pub fn sessions(&self) -> impl Iterator<Item = &SessionId> {
        self.windows.keys()
    }

    /// Begins to talk to all of them, and to listen.
    pub fn start(self: &Arc<Self>, seed: u64, talkers: &TaskTracker, listeners: &TaskTracker) {
        for (n, session) in self.sessions().cloned().enumerate() {
            let place = (self.number * self.pace.sessions_each + n) as u64;
            let rng = StdRng::seed_from_u64(seed.wrapping_mul(1_000_003).wrapping_add(place));
            let door = if n % PLAIN_EVERY == PLAIN_EVERY - 1 { Door::Plain } else { Door::Client };
            talkers.spawn(self.clone().talk(session, door, rng));
        }
        listeners.spawn(self.clone().listen());
    }

    async fn talk(self: Arc<Self>, session: SessionId, door: Door, mut rng: StdRng) {
        let resume = if rng.random_bool(0.5) { Resume::Eager } else { Resume::Lazy };
        for n in 1.. {
            let (think, turn) = (within(self.pace.think_ms, &mut rng), within(self.pace.turn_ms, &mut rng));
            let repeat = rng.random_ratio(1, REPEAT_ONE_IN).then(|| rng.random_range(1..=n));
            tokio::select! {
                biased;
                () = self.enough.cancelled() => return,
                () = self.room(&session, Duration::from_millis(think)) => (),
            }
            let letter = Letter::new(&session, n, turn, resume, self.number);
            self.ledger.sent(&letter.id, self.number, &session, n, door);
            let Ok(receipt) = self.deliver(&letter, door).await else { return };
            self.ledger.accepted(&letter.id, receipt.map(|receipt| receipt.message));
            if let Some(n) = repeat {
                self.repeat(&Letter::new(&session, n, turn, resume, self.number), door).await;
            }
        }
    }

    /// Thinks, then waits until few enough are under way.
    async fn room(&self, session: &SessionId, think: Duration) {
        tokio::time::sleep(think).await;
        self.windows[session].acquire().await.expect("it is never closed").forget();
    }

    /// Sends what was sent before, by its id.
    async fn repeat(&self, letter: &Letter, door: Door) {
        if let Ok(Some(receipt)) = self.deliver(letter, door).await {
            self.ledger.repeated(&letter.id, receipt);
        }
    }

    /// Until it is accepted; what the door said then, if it says anything.
    async fn deliver(&self, letter: &Letter, door: Door) -> Result<Option<Receipt>, Unfinished> {
        while !self.over.is_cancelled() {
            self.ledger.tried(&letter.id);
            let outcome = match door {
                Door::Client => self.by_client(letter).await.map(Some),
                Door::Plain => self.plain.add(letter).await.map(|()| None),
            };
            match outcome {
                Ok(receipt) => return Ok(receipt),
                Err(why) => self.ledger.complained(why),
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(Unfinished)
    }

    async fn by_client(&self, letter: &Letter) -> Result<Receipt, String> {
        let id = letter.id.parse().expect("short enough");
        let outgoing = Outgoing::new(letter.session.clone(), letter.body.clone());
        let outgoing =
            outgoing.id(id).resume(letter.resume).reply_to(letter.reply_to.parse().expect("a key"));
        self.client.send(outgoing).await.map_err(|err| match err {
            ClientError::Refused(why) => panic!("refused, with an inbox of {WINDOW}: {}", why.sentence()),
            other => format!("client: {other}"),
        })
    }

    /// Notes the replies as they come; reads without taking, so that a lost answer loses nothing.
    async fn listen(self: Arc<Self>) {
        let mut read = 0;
        let list = reply_list(self.number);
        while !self.over.is_cancelled() {
            match self.plain.range(&list, read).await {
                Ok(payloads) => {
                    read += payloads.len();
                    let first = payloads.iter().filter_map(|payload| self.ledger.answered(payload));
                    first.for_each(|session| self.windows[&session].add_permits(1));
                }
                Err(why) => self.ledger.complained(format!("replies: {why}")),
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// The run was over before it was known whether a message is accepted.
struct Unfinished;

fn within((least, most): (u64, u64), rng: &mut StdRng) -> u64 {
    rng.random_range(least..=most)
}

/// The list of a sender's replies.
pub fn reply_list(sender: usize) -> String {
    format!("replies:{sender}")
}

/// One message as it is sent, each time the same.
struct Letter {
    id: String,
    session: SessionId,
    body: Body,
    resume: Resume,
    reply_to: String,
}

impl Letter {
    fn new(session: &SessionId, n: u64, turn_ms: u64, resume: Resume, sender: usize) -> Self {
        let body = Body::parse(&format!(r#"{{"n":{n},"ms":{turn_ms}}}"#)).expect("an object");
        let (id, reply_to) = (format!("{session}:{n}"), reply_list(sender));
        Self { id, session: session.clone(), body, resume, reply_to }
    }
}

/// A Redis client as anybody would write it.
struct Plain {
    client: redis::Client,
    conn: Mutex<Option<MultiplexedConnection>>,
}

impl Plain {
    fn to(url: &str) -> Self {
        Self { client: redis::Client::open(url).expect("an address"), conn: Mutex::default() }
    }

    async fn add(&self, letter: &Letter) -> Result<(), String> {
        let fields = [
            ("to", letter.session.as_str()),
            ("body", letter.body.as_json()),
            ("id", &letter.id),
            ("reply_to", &letter.reply_to),
            ("resume", &letter.resume.to_string()),
        ];
        let mut conn = self.conn().await?;
        let added = conn.xadd::<_, _, _, _, String>("tenure:default:ingress", "*", &fields).await;
        self.checked(added).await.map(drop)
    }

    async fn range(&self, list: &str, from: usize) -> Result<Vec<String>, String> {
        let from = isize::try_from(from).expect("few enough");
        let mut conn = self.conn().await?;
        let read = conn.lrange(list, from, from + 499).await;
        self.checked(read).await
    }

    async fn conn(&self) -> Result<MultiplexedConnection, String> {
        let mut held = self.conn.lock().await;
        if let Some(conn) = &*held {
            return Ok(conn.clone());
        }
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(ANSWER_WITHIN));
        let connecting = self.client.get_multiplexed_async_connection_with_config(&config);
        let conn = match tokio::time::timeout(ANSWER_WITHIN, connecting).await {
            Ok(connected) => connected.map_err(|err| complaint(&err))?,
            Err(_) => return Err("plain: no connection in time".to_owned()),
        };
        *held = Some(conn.clone());
        Ok(conn)
    }

    /// A connection that went wrong once is not used again.
    async fn checked<T>(&self, outcome: redis::RedisResult<T>) -> Result<T, String> {
        if outcome.is_err() {
            *self.conn.lock().await = None;
        }
        outcome.map_err(|err| complaint(&err))
    }
}

fn complaint(err: &redis::RedisError) -> String {
    format!("plain: {}", err.category())
}
