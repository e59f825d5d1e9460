//! Replies whose lists are on other masters of a cluster than their `out`.
//!
//! No script may touch both. So a reply is pushed, and then taken out: cut off between the two it is pushed again, which
//! replies may be. Many sessions deliver at once: what they have at one master is merged.

use std::collections::BTreeMap;

use futures_util::future::join_all;

use super::{
    RedisStore,
    keys::reply_list,
    masters::Traffic,
    merged::{Job, Outcome, Piece},
    records::stream,
    rounds::loads,
};
use crate::{
    model::{Partition, StreamId},
    store::{Deliverer, OutReply, StoreError, StoreResult},
};

/// What goes to one list, each with where it stands in `out`.
struct ForList<'a> {
    job: Job,
    pieces: Vec<Piece>,
    replies: Vec<&'a OutReply>,
}

impl RedisStore {
    pub(super) async fn deliver_across(
        &self,
        partition: Partition,
        replies: &[OutReply],
        by: Deliverer,
    ) -> StoreResult<()> {
        let left = match by {
            // Nobody else does yet.
            Deliverer::Writer => replies.iter().collect(),
            Deliverer::Duty => self.left_of(partition, replies).await?,
        };
        let pushes = by_list(left).into_iter().map(|of_list| self.push(partition, of_list));
        let (mut pushed, mut failed) = (Vec::new(), None);
        for (of_list, error) in join_all(pushes).await {
            pushed.extend(of_list);
            failed = failed.or(error);
        }
        // Also where a list's master is away: what others were told must not be told again and again until it is back.
        self.take_out(partition, pushed).await?;
        failed.map_or(Ok(()), Err)
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
        let found = self.shared.masters.each(Traffic::Turns, &out, &look).await?;
        let found = found.into_iter().collect::<StoreResult<Vec<_>>>()?;
        let is_there = |found| stream(found).map(|entries| !entries.is_empty());
        let there: Result<Vec<_>, _> = found.into_iter().map(is_there).collect();
        let there = there.map_err(|why| StoreError::unreadable("`out`", why))?;
        Ok(replies.iter().zip(there).filter_map(|(reply, there)| there.then_some(reply)).collect())
    }

    /// Pushes the replies of one list in their order; what is then to be taken out, and why the rest was not pushed. Those
    /// that it cannot take go to `dead`.
    async fn push(&self, partition: Partition, of_list: ForList<'_>) -> (Vec<StreamId>, Option<StoreError>) {
        let mut rest = of_list.replies.into_iter();
        let mut pushed = Vec::new();
        for load in loads(&of_list.pieces) {
            let replies: Vec<_> = rest.by_ref().take(load.len()).collect();
            match self.push_load(partition, &of_list.job, load, &replies).await {
                Ok(Outcome::Done) => pushed.extend(replies.iter().map(|reply| reply.id)),
                Ok(Outcome::NotTaken) => {}
                Err(error) => return (pushed, Some(error)),
            }
        }
        (pushed, None)
    }

    async fn push_load(
        &self,
        partition: Partition,
        job: &Job,
        load: &[Piece],
        replies: &[&OutReply],
    ) -> StoreResult<Outcome> {
        let outcome = self.shared.masters.merged(job, load).await?;
        if outcome == Outcome::NotTaken {
            tracing::warn!(
                list = job.key(),
                "it is no list, or this user may not push there: its replies go to dead"
            );
            for reply in replies {
                self.give_up_reply(partition, reply).await?;
            }
        }
        Ok(outcome)
    }

    async fn take_out(&self, partition: Partition, ids: Vec<StreamId>) -> StoreResult<()> {
        let job = Job::Strike(self.keys().partition(partition).out());
        let pieces: Vec<_> = ids.into_iter().map(|id| (job.clone(), id.to_string())).collect();
        for load in loads(&pieces) {
            self.shared.masters.merged(&job, load).await?;
        }
        Ok(())
    }
}

fn by_list(replies: Vec<&OutReply>) -> Vec<ForList<'_>> {
    let mut lists: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for reply in replies {
        lists.entry(reply_list(&reply.to)).or_default().push(reply);
    }
    lists.into_iter().map(ForList::of).collect()
}

impl<'a> ForList<'a> {
    fn of((list, replies): (&str, Vec<&'a OutReply>)) -> Self {
        let job = Job::Push(list.to_owned());
        let pieces = replies.iter().map(|reply| (job.clone(), reply.payload.clone())).collect();
        Self { job, pieces, replies }
    }
}
