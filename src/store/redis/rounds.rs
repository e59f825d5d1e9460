//! Rounds: what many callers have for the server while something is under way goes together, as the next.
//!
//! Who comes when nothing is under way waits for nobody. All who take part hold the round's one future, so any of them
//! brings it to its end, and one who leaves, or is not polled, takes nothing of the others along.

use std::{
    iter, mem,
    sync::{Arc, Mutex, MutexGuard, Weak},
    time::Duration,
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared, WeakShared},
};

use super::errors::again;
use crate::store::{StoreError, StoreResult};

/// How long a round gathers at most, behind one that is not answered.
const GATHERED_FOR: Duration = Duration::from_millis(100);

/// How many things one round takes, and how many bytes they are together: others wait for the server meanwhile.
const AT_ONCE: usize = 100;
const BYTES_AT_ONCE: usize = 1 << 20;

/// What a round carries.
pub(super) trait Freight: Send + 'static {
    /// How long it is, about.
    fn bytes(&self) -> usize;
}

/// The rounds of one kind to one server; `O` is what a round came to.
pub(super) struct Rounds<T, O: Clone>(Arc<Mutex<Line<T, O>>>);

struct Line<T, O: Clone> {
    /// The round that still takes something.
    open: Option<Round<T, O>>,
    /// The one that was closed last; none if nobody waits for it any more.
    closed: Option<WeakShared<Sending<O>>>,
}

struct Round<T, O: Clone> {
    gathered: Gathered<T>,
    outcome: Outcome<O>,
}

type Gathered<T> = Arc<Mutex<Vec<T>>>;
type Outcome<O> = Shared<Sending<O>>;
type Sending<O> = BoxFuture<'static, Result<O, Arc<StoreError>>>;

impl<T, O: Clone> Default for Rounds<T, O> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Line { open: None, closed: None })))
    }
}

impl<T: Freight, O: Clone + Send + Sync + 'static> Rounds<T, O> {
    /// Goes with the next round, which whoever opens it sends: one of [`loads`]. May be dropped: the others go on with it.
    pub(super) async fn join<F>(
        &self,
        load: Vec<T>,
        send: impl FnOnce(Vec<T>) -> F + Send + 'static,
    ) -> StoreResult<O>
    where
        F: Future<Output = StoreResult<O>> + Send + 'static,
    {
        let outcome = self.line().take_in(load, Arc::downgrade(&self.0), send);
        outcome.await.map_err(|error| again(&error))
    }

    fn line(&self) -> MutexGuard<'_, Line<T, O>> {
        self.0.lock().expect("nobody panics with the lock held")
    }
}

impl<T: Freight, O: Clone + Send + Sync + 'static> Line<T, O> {
    fn take_in<F>(
        &mut self,
        load: Vec<T>,
        line: Weak<Mutex<Self>>,
        send: impl FnOnce(Vec<T>) -> F + Send + 'static,
    ) -> Outcome<O>
    where
        F: Future<Output = StoreResult<O>> + Send + 'static,
    {
        if self.open.as_ref().is_some_and(|round| !fit_together(&round.things(), &load)) {
            self.close();
        }
        let before = &mut self.closed;
        let round = self.open.get_or_insert_with(|| {
            let gathered = Gathered::default();
            let outcome = run(before.take(), line, gathered.clone(), send);
            Round { gathered, outcome: outcome.boxed().shared() }
        });
        round.things().extend(load);
        round.outcome.clone()
    }

    /// Whoever comes from here on opens the next round.
    fn close(&mut self) {
        if let Some(round) = self.open.take() {
            self.closed = round.outcome.downgrade();
        }
    }

    fn is_open(&self, gathered: &Gathered<T>) -> bool {
        self.open.as_ref().is_some_and(|round| Arc::ptr_eq(&round.gathered, gathered))
    }
}

impl<T, O: Clone> Round<T, O> {
    fn things(&self) -> MutexGuard<'_, Vec<T>> {
        self.gathered.lock().expect("nobody panics with the lock held")
    }
}

/// Gathers until the round before is over, and then sends what there is.
async fn run<T: Freight, O: Clone + Send + Sync + 'static, F>(
    before: Option<WeakShared<Sending<O>>>,
    line: Weak<Mutex<Line<T, O>>>,
    gathered: Gathered<T>,
    send: impl FnOnce(Vec<T>) -> F,
) -> Result<O, Arc<StoreError>>
where
    F: Future<Output = StoreResult<O>>,
{
    if let Some(before) = before.and_then(|before| before.upgrade()) {
        // What became of it is told to those who took part; on a connection that is dead that takes long.
        let _ = tokio::time::timeout(GATHERED_FOR, before).await;
    }
    if let Some(line) = line.upgrade() {
        let mut line = line.lock().expect("nobody panics with the lock held");
        // One that was full is closed already, and another open.
        if line.is_open(&gathered) {
            line.close();
        }
    }
    let things = mem::take(&mut *gathered.lock().expect("nobody panics with the lock held"));
    send(things).await.map_err(Arc::new)
}

fn fit_together<T: Freight>(some: &[T], more: &[T]) -> bool {
    let bytes: usize = some.iter().chain(more).map(T::bytes).sum();
    some.len() + more.len() <= AT_ONCE && bytes <= BYTES_AT_ONCE
}

/// What goes into one round each, in order; what is too long by itself goes by itself.
pub(super) fn loads<T: Freight>(things: &[T]) -> impl Iterator<Item = &[T]> {
    let mut rest = things;
    iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |thing: &&T| {
            bytes += thing.bytes();
            bytes <= BYTES_AT_ONCE
        };
        let many = rest.iter().take(AT_ONCE).take_while(fits).count().max(1).min(rest.len());
        let (load, after) = rest.split_at(many);
        rest = after;
        (!load.is_empty()).then_some(load)
    })
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;
    use tokio::sync::oneshot;

    use super::*;

    impl Freight for usize {
        fn bytes(&self) -> usize {
            *self
        }
    }

    /// Comes to what went together.
    async fn together(things: Vec<usize>) -> StoreResult<Vec<usize>> {
        Ok(things)
    }

    #[test]
    fn a_load_is_so_many_things_or_so_many_bytes_at_most_and_always_one() {
        let sizes = |lengths: &[usize]| loads(lengths).map(<[_]>::len).collect::<Vec<_>>();
        assert_eq!(sizes(&[]), [0; 0]);
        assert_eq!(sizes(&[1; 250]), [100, 100, 50]);
        assert_eq!(sizes(&[BYTES_AT_ONCE / 2, BYTES_AT_ONCE / 2, 1, 2 * BYTES_AT_ONCE, 1]), [2, 1, 1, 1]);
    }

    #[tokio::test]
    async fn what_comes_while_a_round_is_under_way_is_one_more_and_what_does_not_fit_another() {
        let rounds: Rounds<usize, Vec<usize>> = Rounds::default();
        let (answer, answered) = oneshot::channel::<()>();
        let mut first = Box::pin(rounds.join(vec![1], |things| async move {
            let _ = answered.await;
            Ok(things)
        }));
        assert!((&mut first).now_or_never().is_none());
        let mut others = Box::pin(join_all(
            [vec![2], vec![3], vec![BYTES_AT_ONCE], vec![4]].map(|load| rounds.join(load, together)),
        ));
        assert!((&mut others).now_or_never().is_none());
        drop(answer);
        let outcomes: Vec<_> = others.await.into_iter().map(|outcome| outcome.expect("it went")).collect();
        assert_eq!(outcomes, [vec![2, 3], vec![2, 3], vec![BYTES_AT_ONCE], vec![4]]);
        assert_eq!(first.await.expect("it went"), [1]);
        assert_eq!(rounds.join(vec![5], together).await.expect("it went"), [5]);
    }
}
