//! Replies on their last way: out of `out`, into their lists.
//!
//! A script costs the server more than a push. So what sessions deliver while a call is under way goes together, as the next one:
//! a *round*. Who comes when nothing is under way waits for nobody. All who take part hold the round's one future, so any of them brings it to its end.

use std::{
    borrow::Cow,
    iter, mem,
    sync::{Arc, Mutex, MutexGuard, Weak},
    time::Duration,
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared as SharedFuture, WeakShared},
};

use super::{
    RedisStore, Shared,
    door::REPLY_KEPT,
    errors::again,
    keys::reply_list,
    masters::Traffic,
    scripts::{Call, Name},
};
use crate::{
    model::{Partition, millis},
    store::{OutReply, StoreError, StoreResult},
};

/// How long replies gather at most, behind a round that is not answered.
const GATHERED_FOR: Duration = Duration::from_millis(100);

/// How many replies one script delivers, and how long they are together: others wait for the server meanwhile.
const AT_ONCE: usize = 100;
const BYTES_AT_ONCE: usize = 1 << 20;

/// The rounds of a store.
#[derive(Default)]
pub(super) struct Deliveries(Mutex<Rounds>);

#[derive(Default)]
struct Rounds {
    /// The one that still takes replies.
    open: Option<Round>,
    /// The one that was closed last; none if nobody waits for it any more.
    closed: Option<Weakly>,
}

/// Replies that go together.
struct Round {
    gathered: Arc<Mutex<Vec<Going>>>,
    outcome: Outcome,
}

type Going = (Partition, OutReply);

/// Whether this user may push to all of those lists.
type Outcome = SharedFuture<Sending>;
type Weakly = WeakShared<Sending>;
type Sending = BoxFuture<'static, Result<bool, Arc<StoreError>>>;

impl Deliveries {
    /// Whether the server allowed it: else none of the round is delivered. May be dropped: the others go on with it.
    async fn deliver(
        &self,
        shared: &Arc<Shared>,
        partition: Partition,
        replies: &[OutReply],
    ) -> StoreResult<bool> {
        let outcome = {
            let mut rounds = self.rounds();
            let Rounds { open, closed } = &mut *rounds;
            let round = open.get_or_insert_with(|| Round::after(closed.take(), Arc::downgrade(shared)));
            let mut gathered = round.gathered.lock().expect("nobody panics with the lock held");
            gathered.extend(replies.iter().map(|reply| (partition, reply.clone())));
            round.outcome.clone()
        };
        outcome.await.map_err(|error| again(&error))
    }

    /// Whoever comes from here on opens the next round.
    fn close(&self) {
        let mut rounds = self.rounds();
        rounds.closed = rounds.open.take().and_then(|round| round.outcome.downgrade());
    }

    fn rounds(&self) -> MutexGuard<'_, Rounds> {
        self.0.lock().expect("nobody panics with the lock held")
    }
}

impl Round {
    fn after(before: Option<Weakly>, store: Weak<Shared>) -> Self {
        let gathered = Arc::new(Mutex::new(Vec::new()));
        let outcome = send(before, store, gathered.clone()).boxed().shared();
        Self { gathered, outcome }
    }
}

/// Gathers until the round before is over, and then sends what there is.
///
/// Until somebody waits for it, a round does not keep its store.
async fn send(
    before: Option<Weakly>,
    store: Weak<Shared>,
    gathered: Arc<Mutex<Vec<Going>>>,
) -> Result<bool, Arc<StoreError>> {
    if let Some(before) = before.and_then(|before| before.upgrade()) {
        // What became of it is told to those who took part; on a connection that is dead that takes long.
        let _ = tokio::time::timeout(GATHERED_FOR, before).await;
    }
    let store = store.upgrade().ok_or_else(|| StoreError::Unavailable("the store is gone".into()))?;
    store.deliveries.close();
    let going = mem::take(&mut *gathered.lock().expect("nobody panics with the lock held"));
    for some in calls(&going) {
        let each = some.iter().map(|(partition, reply)| (*partition, reply, reply_list(&reply.to)));
        if store.masters.call_if_allowed(&delivery(&store, each)).await?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Those that go in one call, in their order; one that is too long by itself goes by itself.
fn calls(going: &[Going]) -> impl Iterator<Item = &[Going]> {
    let mut rest = going;
    iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |(_, reply): &&Going| {
            bytes += reply.payload.len();
            bytes <= BYTES_AT_ONCE
        };
        let many = rest.iter().take(AT_ONCE).take_while(fits).count().max(1).min(rest.len());
        let (call, after) = rest.split_at(many);
        rest = after;
        (!call.is_empty()).then_some(call)
    })
}

/// The call that pushes each of these replies to its list.
fn delivery<'a>(store: &Shared, going: impl Iterator<Item = (Partition, &'a OutReply, &'a str)>) -> Call {
    let (mut names, mut args) = (Vec::new(), Vec::new());
    for (partition, reply, list) in going {
        let of = store.keys.partition(partition);
        names.extend([of.out(), of.dead(), list.to_owned()]);
        args.extend([Cow::Owned(reply.id.to_string()), Cow::Borrowed(&*reply.payload)]);
    }
    let call = store.scripts.call(Name::Deliver, &names).arg(millis(REPLY_KEPT));
    args.into_iter().fold(call, |call, arg| call.arg(&*arg))
}

impl RedisStore {
    pub(super) async fn deliver_replies(
        &self,
        partition: Partition,
        replies: &[OutReply],
    ) -> StoreResult<()> {
        if self.shared.masters.is_cluster() {
            return self.deliver_across(partition, replies).await;
        }
        if replies.is_empty() || self.shared.deliveries.deliver(&self.shared, partition, replies).await? {
            return Ok(());
        }
        self.deliver_one_by_one(partition, replies).await
    }

    /// A list that this user may not push to holds up no other: its reply goes where those go that their list cannot take.
    async fn deliver_one_by_one(&self, partition: Partition, replies: &[OutReply]) -> StoreResult<()> {
        for reply in replies {
            let call = delivery(&self.shared, [(partition, reply, reply_list(&reply.to))].into_iter());
            if self.shared.masters.call_if_allowed(&call).await?.is_none() {
                tracing::warn!(
                    list = reply.to.as_str(),
                    "this user may not push there: the reply goes to dead"
                );
                self.give_up_reply(partition, reply).await?;
            }
        }
        Ok(())
    }

    /// Puts a reply into `dead` that its list cannot take.
    pub(super) async fn give_up_reply(&self, partition: Partition, reply: &OutReply) -> StoreResult<()> {
        let out = self.keys().partition(partition).out();
        // `out` holds the reply, so it is there, and no list.
        let call = delivery(&self.shared, [(partition, reply, out.as_str())].into_iter());
        self.shared.masters.call(Traffic::Turns, &call).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::StreamId;

    fn going(lengths: &[usize]) -> Vec<Going> {
        let reply = |length: &usize| OutReply {
            id: StreamId::default(),
            to: "r".parse().expect("a good list"),
            payload: "x".repeat(*length),
        };
        lengths.iter().map(|length| (Partition(0), reply(length))).collect()
    }

    #[test]
    fn a_call_takes_so_many_replies_or_so_many_bytes_at_most_and_always_one() {
        let sizes = |lengths: &[usize]| calls(&going(lengths)).map(<[_]>::len).collect::<Vec<_>>();
        assert_eq!(sizes(&[]), [0; 0]);
        assert_eq!(sizes(&[1; 250]), [100, 100, 50]);
        assert_eq!(sizes(&[BYTES_AT_ONCE / 2, BYTES_AT_ONCE / 2, 1, 2 * BYTES_AT_ONCE, 1]), [2, 1, 1, 1]);
    }
}
