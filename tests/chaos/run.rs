//! One run: a fleet, its senders, and a storm; then the calm, and what must hold in it.

use std::{collections::BTreeSet, fs, io, path::PathBuf, sync::Arc, time::Duration};

use redis::AsyncCommands;
use tenure::{
    Env, SessionId,
    client::Client,
    model::{Crash, Status},
    store::{FirstMessage, HistoryRange, Look, RedisStore, Snapshot, Store, redis::Options},
};
use tokio::sync::Mutex;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    check::{self, Faults},
    fleet::Fleet,
    journal::Journal,
    ledger::{Book, Ledger, Note, write_lines},
    plan::{Kind, Plan, Scope},
    sender::{Pace, Sender, reply_list},
    storm::{Storm, Struck, Until},
};

/// How many workers there are; the last lives through all of it.
const WORKERS: usize = 4;
/// Until everything is answered, delivered and given back once nothing is wrong any more.
const CALM_WITHIN: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(200);
/// How much more memory a worker may have in the end than the largest had when it was fresh.
const MEMORY_SLACK: u64 = 64 << 20;
/// How many keys a session, and a partition, may have in the end.
const KEYS_OF_SESSION: usize = 4;
const KEYS_OF_PARTITION: usize = 12;
/// Keys of the namespace as a whole, and the like.
const KEYS_OF_NAMESPACE: usize = 32;

/// What a run is to be.
#[derive(Debug, Clone)]
pub struct Scenario {
    pub seed: u64,
    pub until: Until,
    pub lease: Duration,
    /// Between two faults of one part, at most.
    pub quiet: Duration,
    pub pace: Pace,
    /// Where logs, ledger and faults are kept.
    pub folder: PathBuf,
}

/// What came of it.
pub struct Outcome {
    pub scenario: Scenario,
    pub book: Book,
    pub struck: Vec<Struck>,
    /// What should have held and did not.
    pub broken: Vec<String>,
    pub sessions: usize,
    /// Under faults.
    pub stormed: Duration,
    /// From the last fault's end until all was answered and at rest.
    pub calmed: Duration,
    pub changes_of_owner: usize,
    pub journal: Journal,
    /// Incarnations that were told that they are no more, and went on as new ones.
    pub told: usize,
    pub freed: Vec<Freed>,
    /// Keys in the end, and how many there may be.
    pub keys: (usize, usize),
    pub memory: Memory,
}

/// A session that was quarantined, and that an operator let go on.
#[derive(Debug, Clone)]
pub struct Freed {
    pub session: SessionId,
    pub crashes: Vec<Crash>,
}

/// Resident memory in bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Memory {
    /// The largest of fresh workers.
    pub fresh: u64,
    /// The largest in the end.
    pub end: u64,
    /// The worker that lived through all of it: fresh, at most, in the end.
    pub survivor: (u64, u64, u64),
}

impl Scenario {
    /// To its end, whatever happens in between; its files are kept.
    pub async fn run(self) -> Outcome {
        // Of an earlier run of the same seed.
        if self.folder.exists() {
            fs::remove_dir_all(&self.folder).expect("our own folder");
        }
        fs::create_dir_all(&self.folder).expect("a folder");
        let ledger = Arc::new(Ledger::new());
        let fleet = Arc::new(Fleet::start(WORKERS, self.lease, &self.folder).await);
        let run = Run { scenario: self, ledger, fleet };
        let outcome = run.go().await;
        outcome.keep().expect("the folder can be written");
        outcome
    }

    fn plan(&self, part: u64, kinds: &[Kind], workers: &[usize]) -> Plan {
        let (kinds, workers) = (kinds.to_vec(), workers.to_vec());
        // A server that is hardly ever there for a whole lease shows nothing but that.
        let quiet = if workers.is_empty() { self.quiet * 2 } else { self.quiet };
        let scope = Scope { kinds, workers, survivor: WORKERS - 1, lease: self.lease, quiet };
        Plan::new(self.seed, part, scope)
    }
}

/// What a run did to its fleet, and for how long.
struct Endured {
    struck: Vec<Struck>,
    freed: Vec<Freed>,
    stormed: Duration,
    calmed: Duration,
}

struct Run {
    scenario: Scenario,
    ledger: Arc<Ledger>,
    fleet: Arc<Fleet>,
}

impl Run {
    async fn go(self) -> Outcome {
        let (enough, over) = (CancellationToken::new(), CancellationToken::new());
        let (talkers, listeners) = (TaskTracker::new(), TaskTracker::new());
        let senders = self.senders(&enough, &over).await;
        for sender in &senders {
            sender.start(self.scenario.seed, &talkers, &listeners);
        }
        let began = self.ledger.now();
        let (struck, mut broken) = self.storm().await;
        let stormed = self.ledger.now() - began;

        enough.cancel();
        talkers.close();
        listeners.close();
        let sessions: Vec<_> = senders.iter().flat_map(|sender| sender.sessions().cloned()).collect();
        let url = self.fleet.direct_url().await;
        let store = RedisStore::connect(Options::new(&url)).await.expect("the server answers");
        let before = self.ledger.now();
        let mut freed = Vec::new();
        let snapshot = self.calm(&store, &url, &talkers, (&mut broken, &mut freed)).await;
        let calmed = self.ledger.now() - before;
        over.cancel();
        listeners.wait().await;
        self.judge(store, sessions, snapshot, broken, Endured { struck, freed, stormed, calmed }).await
    }

    async fn senders(&self, enough: &CancellationToken, over: &CancellationToken) -> Vec<Arc<Sender>> {
        let Scenario { pace, .. } = &self.scenario;
        let url = self.fleet.senders.url();
        let mut senders = Vec::new();
        for number in 0..pace.senders {
            senders.push(Sender::connect(number, &url, pace, &self.ledger, enough, over).await);
        }
        senders
    }

    /// Three parts at once: two pairs of workers, and all the rest.
    async fn storm(&self) -> (Vec<Struck>, Vec<String>) {
        let (ledger, fleet) = (self.ledger.clone(), self.fleet.clone());
        let storm = Arc::new(Storm { fleet, ledger, struck: Mutex::default() });
        let plans = [
            self.scenario.plan(0, &Kind::OF_WORKERS, &[0, 1]),
            self.scenario.plan(1, &Kind::OF_WORKERS, &[2, 3]),
            self.scenario.plan(2, &Kind::OF_OTHERS, &[]),
        ];
        let parts = plans.map(|plan| {
            let (storm, until) = (storm.clone(), self.scenario.until);
            tokio::spawn(async move { storm.rage(plan, until).await })
        });
        let mut broken = Vec::new();
        for part in parts {
            match part.await {
                Ok(raged) => broken.extend(raged.err()),
                Err(panicked) => broken.push(format!("the storm itself broke: {panicked}")),
            }
        }
        let mut struck = storm.struck.lock().await.clone();
        struck.sort_by_key(|struck| struck.began);
        (struck, broken)
    }

    /// Waits until all is answered and delivered, and every session given back; what the server holds then.
    async fn calm(
        &self,
        store: &RedisStore,
        url: &str,
        talkers: &TaskTracker,
        (broken, freed): (&mut Vec<String>, &mut Vec<Freed>),
    ) -> Snapshot {
        let until = self.ledger.now() + CALM_WITHIN;
        let client = redis::Client::open(url).expect("an address");
        let mut conn = client.get_multiplexed_async_connection().await.expect("the server answers");
        let operator = Client::new(store.clone(), Env::system());
        loop {
            freed.extend(free(store, &operator).await);
            let seen = match self.unrest(&mut conn, talkers).await {
                None => look(store).await,
                Some(why) => Err(why),
            };
            match seen {
                Ok(snapshot) => return snapshot,
                Err(why) if self.ledger.now() > until => {
                    broken.push(format!("not at rest {CALM_WITHIN:?} after the last fault: {why}"));
                    return store.snapshot().await.unwrap_or_default();
                }
                Err(_) => tokio::time::sleep(LOOK_AGAIN_AFTER).await,
            }
        }
    }

    /// What the senders still wait for.
    async fn unrest(
        &self,
        conn: &mut redis::aio::MultiplexedConnection,
        talkers: &TaskTracker,
    ) -> Option<String> {
        let (sent, unanswered) = self.ledger.standing();
        if unanswered > 0 || !talkers.is_empty() {
            return Some(format!("{unanswered} of {sent} not answered, {} still send", talkers.len()));
        }
        let door: usize = conn.xlen("tenure:default:ingress").await.expect("the server answers");
        if door > 0 {
            return Some(format!("{door} entries at the plain door"));
        }
        let noted: usize = self.ledger.read().notes.values().map(|note| note.replies.len()).sum();
        let mut pushed = 0;
        for sender in 0..self.scenario.pace.senders {
            pushed += conn.llen::<_, usize>(reply_list(sender)).await.expect("the server answers");
        }
        (noted < pushed).then(|| format!("{noted} of {pushed} replies are read"))
    }

    async fn judge(
        self,
        store: RedisStore,
        sessions: Vec<SessionId>,
        snapshot: Snapshot,
        mut broken: Vec<String>,
        endured: Endured,
    ) -> Outcome {
        let Endured { struck, freed, stormed, calmed } = endured;
        let book = self.ledger.read();
        let mut found = vec![check::ledger(&book)];
        let mut changes_of_owner = 0;
        for session in &sessions {
            let range = HistoryRange::Newest(0);
            let entries = store.history(session, range, Duration::ZERO).await.expect("the server answers");
            found.push(check::history(session, &entries, &of_session(&book, session)));
            changes_of_owner += check::changes_of_owner(&entries);
        }
        let members = store.members().await.expect("the server answers");
        let members: BTreeSet<_> = members.into_iter().map(|member| member.worker).collect();
        if members.len() != WORKERS {
            found.push(Faults(vec![format!("{WORKERS} workers run, and these are listed: {members:?}")]));
        }
        found.push(check::leftovers(&snapshot, &members));
        found.push(self.statuses(&store).await);
        let memory = self.memory(&mut broken).await;
        let keys = (self.count_keys().await, most_keys(sessions.len(), book.notes.len(), &self.scenario));
        if keys.0 > keys.1 {
            broken.push(format!("{} keys are left, where at most {} should be", keys.0, keys.1));
        }
        let (journal, told) = self.words().await;
        broken.extend(journal.panics.iter().cloned());
        found.push(check::drains(&struck));
        found.push(check::quarantines(&freed, &journal));
        broken.extend(found.into_iter().flat_map(|faults| faults.0));
        let (scenario, sessions) = (self.scenario, sessions.len());
        Outcome {
            scenario,
            book,
            struck,
            broken,
            sessions,
            stormed,
            calmed,
            changes_of_owner,
            journal,
            told,
            freed,
            keys,
            memory,
        }
    }

    /// As anybody sees them: nothing waits, nothing is set aside.
    async fn statuses(&self, store: &RedisStore) -> Faults {
        let client = Client::new(store.clone(), Env::system());
        let mut pages = client.sessions().await.expect("the server answers");
        let mut faults = Faults::default();
        while let Some(page) = pages.next_page().await.expect("the server answers") {
            let odd = page.into_iter().filter(|view| !matches!(view.status, Status::Passive | Status::Idle));
            faults.0.extend(odd.map(|view| format!("{} is {:?}: {view:?}", view.session, view.status)));
        }
        faults
    }

    async fn memory(&self, broken: &mut Vec<String>) -> Memory {
        let mut memory = Memory::default();
        for (number, place) in self.fleet.workers.iter().enumerate() {
            let mut process = place.process.lock().await;
            let fresh = process.fresh.iter().copied().max().unwrap_or_default();
            memory.fresh = memory.fresh.max(fresh);
            // One that is gone has been told of already, or is by this.
            let now = process.worker().map(drop).and_then(|()| process.memory().ok_or("no /proc".to_owned()));
            match now {
                Ok((now, most)) => {
                    memory.end = memory.end.max(now);
                    memory.survivor =
                        if number == WORKERS - 1 { (fresh, most, now) } else { memory.survivor };
                }
                Err(why) => broken.push(why),
            }
        }
        if memory.end > memory.fresh + MEMORY_SLACK {
            broken.push(format!("a worker's memory has not gone back to its level: {memory:?}"));
        }
        memory
    }

    async fn count_keys(&self) -> usize {
        let client = redis::Client::open(self.fleet.direct_url().await).expect("an address");
        let mut conn = client.get_multiplexed_async_connection().await.expect("the server answers");
        redis::cmd("DBSIZE").query_async(&mut conn).await.expect("the server answers")
    }

    /// What the workers' own words come to, and how many were told that they are no more.
    async fn words(&self) -> (Journal, usize) {
        let (mut journal, mut told) = (Journal::default(), 0);
        for place in &self.fleet.workers {
            let process = place.process.lock().await;
            journal.read(&process.log());
            told += process.times_said("lost");
        }
        (journal, told)
    }
}

impl Outcome {
    /// Writes the ledger and the faults beside the logs.
    fn keep(&self) -> io::Result<()> {
        let folder = &self.scenario.folder;
        write_lines(&folder.join("ledger.jsonl"), self.book.notes.iter())?;
        write_lines(&folder.join("faults.jsonl"), self.struck.iter())?;
        write_lines(&folder.join("broken.jsonl"), self.broken.iter())
    }
}

/// Does as an operator would: lets go on what is quarantined.
async fn free(store: &RedisStore, operator: &Client<RedisStore>) -> Vec<Freed> {
    let mut freed = Vec::new();
    let mut pages = operator.sessions().await.expect("the server answers");
    while let Some(page) = pages.next_page().await.expect("the server answers") {
        for view in page.into_iter().filter(|view| view.status == Status::Quarantined) {
            let Ok(Look::Here(sight)) = store.look(&view.session).await else { continue };
            if operator.unquarantine(&view.session, FirstMessage::Keep).await.is_ok() {
                freed.push(Freed { session: view.session, crashes: sight.record.crashes });
            }
        }
    }
    freed
}

/// What the server holds, if that is at rest; it is not read in one step, so what still moves may make no sense.
async fn look(store: &RedisStore) -> Result<Snapshot, String> {
    let snapshot = store.snapshot().await.map_err(|err| format!("{err:?}"))?;
    check::unrest(&snapshot).map_or(Ok(snapshot), Err)
}

/// The notes of a session, in the order in which they were sent.
fn of_session<'b>(book: &'b Book, session: &SessionId) -> Vec<&'b Note> {
    let mut notes: Vec<_> = book.notes.values().filter(|note| note.session == *session).collect();
    notes.sort_by_key(|note| note.n);
    notes
}

/// An id is remembered for a day.
fn most_keys(sessions: usize, ids: usize, scenario: &Scenario) -> usize {
    let partitions = 64;
    sessions * KEYS_OF_SESSION
        + ids
        + partitions * KEYS_OF_PARTITION
        + scenario.pace.senders
        + KEYS_OF_NAMESPACE
}
