//! Replies whose lists are on other masters of a cluster than their `out`.
//!
//! No script may touch both. So a reply that is still in `out` is pushed, and then taken out: cut off between the
//! two it is pushed again, which replies may be. Many sessions deliver at once, and each has three small commands to send one
//! after the other: those of all of them share pipelines.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use redis::Value;

use super::{RedisStore, door::REPLY_KEPT, keys::reply_list, records::stream};
use crate::{
    model::{Partition, StreamId, millis},
    store::{OutReply, StoreError, StoreResult},
};

/// How many replies are under way at once.
const AT_ONCE: usize = 100;

impl RedisStore {
    pub(super) async fn deliver_across(&self, partition: Partition, replies: &[OutReply]) -> StoreResult<()> {
        for some in replies.chunks(AT_ONCE) {
            let left = self.left_of(partition, some).await?;
            let mut lists: BTreeMap<_, Vec<_>> = BTreeMap::new();
            for reply in left {
                lists.entry(reply_list(&reply.to)).or_default().push(reply);
            }
            let pushes = lists.into_values().map(|replies| self.push_in_order(partition, replies));
            let (mut pushed, mut failed) = (Vec::new(), None);
            for (of_list, error) in join_all(pushes).await {
                pushed.extend(of_list);
                failed = failed.or(error);
            }
            // Also where a list's master is away: what others were told must not be told again and again until it is back.
            self.take_out(partition, &pushed).await?;
            if let Some(error) = failed {
                return Err(error);
            }
        }
        Ok(())
    }

    /// Those that are still in `out`.
    async fn left_of<'a>(
        &self,
        partition: Partition,
        replies: &'a [OutReply],
    ) -> StoreResult<Vec<&'a OutReply>> {
        let out = self.keys().partition(partition).out();
        let mut look = redis::pipe();
        for reply in replies {
            let id = reply.id.to_string();
            look.cmd("XRANGE").arg(&out).arg(&id).arg(id.as_str());
        }
        let found = self.shared.masters.together(&out, &look).await?;
        let found = found.into_iter().collect::<StoreResult<Vec<_>>>()?;
        let is_there = |found| stream(found).map(|entries| !entries.is_empty());
        let there: Result<Vec<_>, _> = found.into_iter().map(is_there).collect();
        let there = there.map_err(|why| StoreError::unreadable("`out`", why))?;
        Ok(replies.iter().zip(there).filter_map(|(reply, there)| there.then_some(reply)).collect())
    }

    /// Pushes the replies of one list; what is then to be taken out, and why the rest was not pushed.
    async fn push_in_order(
        &self,
        partition: Partition,
        replies: Vec<&OutReply>,
    ) -> (Vec<StreamId>, Option<StoreError>) {
        let mut pushed = Vec::new();
        for reply in replies {
            match self.push_reply(partition, reply).await {
                Ok(done) => pushed.extend(done),
                Err(error) => return (pushed, Some(error)),
            }
        }
        (pushed, None)
    }

    /// Pushes a reply; what is then to be taken out. One whose list cannot take it goes to `dead`.
    async fn push_reply(&self, partition: Partition, reply: &OutReply) -> StoreResult<Option<StreamId>> {
        let list = reply_list(&reply.to);
        let mut push = redis::pipe();
        push.cmd("RPUSH").arg(list).arg(&reply.payload);
        push.cmd("PEXPIRE").arg(list).arg(millis(REPLY_KEPT));
        let answers = self.shared.masters.together(list, &push).await?;
        match answers.into_iter().next().unwrap_or(Ok(Value::Nil)) {
            Ok(_) => Ok(Some(reply.id)),
            // It is no list, or this user may not push there.
            Err(StoreError::Unreadable { .. } | StoreError::Refused(_)) => {
                self.give_up_reply(partition, reply).await?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    async fn take_out(&self, partition: Partition, ids: &[StreamId]) -> StoreResult<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let out = self.keys().partition(partition).out();
        let mut take = redis::pipe();
        take.cmd("XDEL").arg(&out);
        for id in ids {
            take.arg(id.to_string());
        }
        self.shared.masters.together(&out, &take).await?.into_iter().try_for_each(|taken| taken.map(drop))
    }
}
