//! A cluster: which master has which slot, as far as is known, and how that is found out anew.
//!
//! What is known may be old, and servers say so: `MOVED` tells where one slot is, and a master that does not answer, or
//! takes no writes any more, is reason to ask the others for all slots. One asks at a time, and not often. While a slot
//! moves no script runs in it (see [`Scripts::guarded`](super::Scripts)): such calls wait here, and are sent again.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;
use redis::Value;
use tokio::{
    sync::{Mutex as AsyncMutex, watch},
    time::{sleep, timeout},
};
use tracing::{debug, info};

use super::{
    Options,
    errors::{Elsewhere, elsewhere, of_cluster, unanswered},
    masters::Master,
    seeds::Seeds,
    slots::{SLOTS, Slot, SlotRange, slot_ranges},
    target::Target,
};
use crate::store::{StoreError, StoreResult};

/// The wait before a call is sent again to a slot that is on its way, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(200));

/// The least time from one question for all slots to the next.
const SPACED: Duration = Duration::from_millis(50);

/// How long one node may take to say where slots are: there are others.
const SAYS_WITHIN: Duration = Duration::from_secs(1);

/// A cluster, and connections to its masters.
pub(super) struct Cluster {
    seeds: Seeds,
    options: Options,
    map: RwLock<Map>,
    /// Held by who asks.
    asking: AsyncMutex<()>,
    /// How often was asked.
    asked: AtomicUsize,
    /// Counts changes of the map.
    changes: watch::Sender<u64>,
}

/// Who has what.
struct Map {
    /// By host and port.
    masters: BTreeMap<String, Arc<Master>>,
    slots: Vec<Option<Arc<Master>>>,
}

/// What an error is answered by.
enum Next {
    /// By asking the slot's new master.
    Again(StoreError),
    /// The same after a moment.
    Wait(StoreError),
    GiveUp(StoreError),
}

impl Cluster {
    /// Finds the masters of the cluster that `options` lead to.
    pub(super) async fn connect(seeds: Seeds, options: Options) -> StoreResult<Arc<Self>> {
        let map = Map { masters: BTreeMap::new(), slots: vec![None; SLOTS] };
        let cluster = Self {
            seeds,
            options,
            map: RwLock::new(map),
            asking: AsyncMutex::default(),
            asked: AtomicUsize::new(0),
            changes: watch::Sender::new(0),
        };
        cluster.ask_seeds().await?;
        Ok(Arc::new(cluster))
    }

    /// All masters that are known, in order of their addresses.
    pub(super) fn masters(&self) -> Vec<Arc<Master>> {
        self.read(|map| map.masters.values().cloned().collect())
    }

    /// How many slots nobody has.
    pub(super) fn unserved(&self) -> usize {
        self.read(|map| map.slots.iter().filter(|master| master.is_none()).count())
    }

    /// The master that is believed to have `slot`.
    pub(super) fn master(&self, slot: Slot) -> StoreResult<Arc<Master>> {
        let found = self.read(|map| map.slots[slot.index()].clone());
        found
            .ok_or_else(|| of_cluster(Elsewhere::Unserved { address: self.seeds.address().to_owned(), slot }))
    }

    /// What comes of `work`, if that is within the time that an answer may take.
    pub(super) async fn in_time<T>(&self, work: impl Future<Output = T>) -> StoreResult<T> {
        let late = || unanswered(self.seeds.address(), "not all masters answered in time");
        timeout(self.options.timeout, work).await.map_err(|_| late())
    }

    /// Says when the map has changed.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Asks the master of the slot that `key` is in, wherever that goes meanwhile; of what is on its way, where it goes.
    pub(super) async fn on<T, F>(&self, key: &[u8], ask: impl Fn(Arc<Master>) -> F) -> StoreResult<T>
    where
        F: Future<Output = StoreResult<T>>,
    {
        self.until_answered(key, |master| self.ask_along(master, &ask)).await
    }

    /// The same for a script, which waits for what is on its way. Its guard lets it begin nowhere before all has arrived; and who
    /// says that it asks for what is on its way may write other keys that are not there yet.
    pub(super) async fn on_arrived<T, F>(&self, key: &[u8], ask: impl Fn(Arc<Master>) -> F) -> StoreResult<T>
    where
        F: Future<Output = StoreResult<T>>,
    {
        self.until_answered(key, ask).await
    }

    async fn until_answered<T, F>(&self, key: &[u8], ask: impl Fn(Arc<Master>) -> F) -> StoreResult<T>
    where
        F: Future<Output = StoreResult<T>>,
    {
        let slot = Slot::of(key);
        let (mut pause, longest) = PAUSES;
        let mut waited = Duration::ZERO;
        loop {
            let next = match self.master(slot) {
                Ok(master) => match ask(master.clone()).await {
                    Ok(answer) => return Ok(answer),
                    Err(error) => self.learn(slot, &master, error).await,
                },
                Err(error) => self.wait_anew(error).await,
            };
            match next {
                Next::Again(error) | Next::Wait(error) if waited >= self.options.timeout => {
                    return Err(error);
                }
                // Two nodes that send one back and forth must come to an end, too.
                Next::Again(_) => waited += Duration::from_millis(1),
                Next::Wait(_) => {
                    sleep(pause).await;
                    waited += pause;
                    pause = (pause * 2).min(longest);
                }
                Next::GiveUp(error) => return Err(error),
            }
        }
    }

    /// Asks a master, and where that sends one on for this once, the other.
    async fn ask_along<T, F>(&self, master: Arc<Master>, ask: &impl Fn(Arc<Master>) -> F) -> StoreResult<T>
    where
        F: Future<Output = StoreResult<T>>,
    {
        let error = match ask(master).await {
            Err(error) => error,
            answered => return answered,
        };
        match elsewhere(&error) {
            Some(Elsewhere::Ask { to, .. }) => ask(Arc::new(self.known_at(to)?.asking())).await,
            _ => Err(error),
        }
    }

    async fn wait_anew(&self, error: StoreError) -> Next {
        self.refresh().await;
        Next::Wait(error)
    }

    /// What `error`, which `master` gave for `slot`, says of where that is.
    async fn learn(&self, slot: Slot, master: &Arc<Master>, error: StoreError) -> Next {
        match elsewhere(&error) {
            Some(Elsewhere::Moved { slot, to, .. }) => match self.moved(*slot, to) {
                Ok(true) => Next::Again(error),
                Ok(false) => Next::Wait(error),
                Err(error) => Next::GiveUp(error),
            },
            Some(Elsewhere::Ask { .. } | Elsewhere::OnItsWay { .. }) => Next::Wait(error),
            Some(Elsewhere::Down { .. } | Elsewhere::Unserved { .. } | Elsewhere::Unmade { .. }) => {
                self.wait_anew(error).await
            }
            None if is_reason_to_look(&error) => {
                self.refresh().await;
                let same = self.master(slot).is_ok_and(|now| Arc::ptr_eq(&now, master));
                // Refused is not done: whoever has it now may be asked. Without an answer only the caller may repeat.
                match error {
                    StoreError::Refused(_) | StoreError::Unconnected(_) | StoreError::Forbidden(_)
                        if !same =>
                    {
                        Next::Again(error)
                    }
                    error => Next::GiveUp(error),
                }
            }
            None => Next::GiveUp(error),
        }
    }

    /// Takes in where a slot is; whether that is news.
    fn moved(&self, slot: Slot, to: &str) -> StoreResult<bool> {
        let master = self.known_at(to)?;
        let mut map = self.map.write().expect("nobody panics with the lock held");
        let before = map.slots[slot.index()].replace(master.clone());
        drop(map);
        let news = before.is_none_or(|before| !Arc::ptr_eq(&before, &master));
        if news {
            debug!(%slot, to, "moved");
            self.changes.send_modify(|changes| *changes += 1);
        }
        Ok(news)
    }

    /// The node at an address, as a master: it is one, or about to be.
    fn known_at(&self, address: &str) -> StoreResult<Arc<Master>> {
        if let Some(master) = self.read(|map| map.masters.get(address).cloned()) {
            return Ok(master);
        }
        let master = self.master_at(address)?;
        let mut map = self.map.write().expect("nobody panics with the lock held");
        Ok(map.masters.entry(address.to_owned()).or_insert(master).clone())
    }

    /// Asks for all slots anew, unless somebody does already: then waits for that. What is known stands if nobody answers.
    ///
    /// A box of its own: what it may come to is deep, and would be part of every call's type.
    pub(super) fn refresh(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.ask_anew())
    }

    async fn ask_anew(&self) {
        let before = self.asked.load(Ordering::Acquire);
        let asking = self.asking.lock().await;
        if self.asked.load(Ordering::Acquire) != before {
            return;
        }
        if let Err(error) = self.ask_all(before).await {
            debug!(%error, "nobody says where slots are");
        }
        self.asked.fetch_add(1, Ordering::Release);
        sleep(SPACED).await;
        drop(asking);
    }

    /// Asks the masters, another one first each time, then the addresses that were given.
    async fn ask_all(&self, turn: usize) -> StoreResult<()> {
        let masters = self.masters();
        let first = turn % masters.len().max(1);
        let (before, from) = masters.split_at(first);
        for master in from.iter().chain(before) {
            if self.ask_at(&master.target).await.is_ok() {
                return Ok(());
            }
        }
        self.ask_seeds().await
    }

    async fn ask_seeds(&self) -> StoreResult<()> {
        let mut last = None;
        for target in self.seeds.targets(&self.options)? {
            match self.ask_at(&target).await {
                Ok(()) => return Ok(()),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| StoreError::Refused("the address names no server".to_owned())))
    }

    /// Takes over what one node says.
    async fn ask_at(&self, target: &Target) -> StoreResult<()> {
        let asked = async {
            let mut connection = target.connect_any().await?;
            let mut slots = redis::cmd("CLUSTER");
            slots.arg("SLOTS");
            target.answer_to(slots.query_async(&mut connection)).await
        };
        let within = SAYS_WITHIN.min(self.options.timeout);
        let said: Value = timeout(within, asked).await.unwrap_or_else(|_| Err(target.too_late()))?;
        let ranges = slot_ranges(said, target.host())
            .map_err(|why| StoreError::unreadable("the answer of CLUSTER SLOTS", why))?;
        if ranges.is_empty() {
            return Err(of_cluster(Elsewhere::Unmade { address: target.address().to_owned() }));
        }
        self.adopt(ranges)
    }

    fn adopt(&self, ranges: Vec<SlotRange>) -> StoreResult<()> {
        let mut masters = BTreeMap::new();
        let mut slots: Vec<Option<Arc<Master>>> = vec![None; SLOTS];
        for SlotRange { slots: range, master } in ranges {
            let known = masters.get(&master).cloned();
            let found = match known.or_else(|| self.read(|map| map.masters.get(&master).cloned())) {
                Some(found) => found,
                None => self.master_at(&master)?,
            };
            slots[range].fill(Some(found.clone()));
            masters.insert(master, found);
        }
        let mut map = self.map.write().expect("nobody panics with the lock held");
        if !same(&map.slots, &slots) {
            info!(masters = ?masters.keys(), "the cluster's masters");
            self.changes.send_modify(|changes| *changes += 1);
        }
        *map = Map { masters, slots };
        Ok(())
    }

    fn master_at(&self, address: &str) -> StoreResult<Arc<Master>> {
        Ok(Arc::new(Master::new(Arc::new(self.seeds.target_at(address, &self.options)?))))
    }

    fn read<T>(&self, look: impl FnOnce(&Map) -> T) -> T {
        look(&self.map.read().expect("nobody panics with the lock held"))
    }
}

/// Whether an error may come of asking one who is no master any more.
fn is_reason_to_look(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::Unavailable(_)
            | StoreError::Refused(_)
            | StoreError::Unconnected(_)
            | StoreError::Forbidden(_)
    )
}

fn same(one: &[Option<Arc<Master>>], other: &[Option<Arc<Master>>]) -> bool {
    one.iter().zip(other).all(|pair| match pair {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        (None, None) => true,
        _ => false,
    })
}
