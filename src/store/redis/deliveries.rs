//! Replies on their last way: out of `out`, into their lists.
//!
//! A script costs the server more than a push. So what sessions deliver while a call is under way goes together, as the
//! next one.

use std::{borrow::Cow, sync::Arc};

use super::{
    RedisStore, Shared,
    door::REPLY_KEPT,
    keys::reply_list,
    masters::Traffic,
    rounds::{Freight, loads},
    scripts::{Call, Name},
};
use crate::{
    model::{Partition, millis},
    store::{Deliverer, OutReply, StoreError, StoreResult},
};

/// A reply, and in whose `out` it is.
pub(super) type Going = (Partition, OutReply);

impl Freight for Going {
    fn bytes(&self) -> usize {
        self.1.payload.len()
    }
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
        by: Deliverer,
    ) -> StoreResult<()> {
        if replies.is_empty() {
            return Ok(());
        }
        if self.shared.masters.is_cluster() {
            return self.deliver_across(partition, replies, by).await;
        }
        let going: Vec<_> = replies.iter().map(|reply| (partition, reply.clone())).collect();
        for load in loads(&going) {
            if !self.deliver_together(load).await? {
                self.deliver_one_by_one(load).await?;
            }
        }
        Ok(())
    }

    /// Whether the server allowed it: else none of those that go together is delivered.
    async fn deliver_together(&self, load: &[Going]) -> StoreResult<bool> {
        // Until somebody waits for it, a round does not keep its store.
        let store = Arc::downgrade(&self.shared);
        let send = async move |going: Vec<Going>| {
            let store = store.upgrade().ok_or_else(|| StoreError::Unavailable("the store is gone".into()))?;
            let each = going.iter().map(|(partition, reply)| (*partition, reply, reply_list(&reply.to)));
            Ok(store.masters.call_if_allowed(&delivery(&store, each)).await?.is_some())
        };
        self.shared.deliveries.join(load.to_vec(), send).await
    }

    /// A list that this user may not push to holds up no other: its reply goes where those go that their list cannot take.
    async fn deliver_one_by_one(&self, load: &[Going]) -> StoreResult<()> {
        for (partition, reply) in load {
            let call = delivery(&self.shared, [(*partition, reply, reply_list(&reply.to))].into_iter());
            if self.shared.masters.call_if_allowed(&call).await?.is_none() {
                tracing::warn!(
                    list = reply.to.as_str(),
                    "this user may not push there: the reply goes to dead"
                );
                self.give_up_reply(*partition, reply).await?;
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
