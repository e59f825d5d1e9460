//! Reading: sessions, histories, dead letters.

use std::time::Duration;

use redis::Value;

use super::{
    RedisStore,
    ask::{at_least_a_millisecond, unreadable, unreadable_in},
    masters::Traffic,
    records::{Fields, dead_letter, entry, session_record, stream},
    replies::{bytes, names, text},
    scripts::Name,
};
use crate::{
    model::{Entry, EntryId, Partition, SessionId, StreamId},
    store::{DeadLetter, HistoryRange, Look, Sight, StoreError, StoreResult},
};

/// How many entries one command reads: a long history must not hold up the server.
const PAGE: usize = 1_000;

/// Whether a record says nothing of a session, whatever else somebody left there: the next message makes it, as scripts have it too.
fn is_nothing(meta: &Fields) -> bool {
    ["v", "pool", "given"].iter().all(|name| meta.get(name).is_none())
}

impl RedisStore {
    pub(super) async fn look_at(&self, session: &SessionId) -> StoreResult<Look> {
        let keys = self.keys().session(session);
        let mut reply =
            self.ask(Traffic::Reads, self.script(Name::Look, &[keys.meta(), keys.inbox()])).await?;
        let (meta, waiting) = (reply.list()?, reply.parse()?);
        let bad = |why| StoreError::unreadable(format!("session {session}"), why);
        let meta = Fields::read(Value::Array(meta)).map_err(bad)?;
        if let Some(key) = reply.rest().next() {
            let key = text(key).map_err(unreadable("a key"))?;
            return Ok(Look::Overwritten { key, record: session_record(&meta).ok().map(Box::new) });
        }
        if is_nothing(&meta) {
            return Ok(Look::Absent);
        }
        match session_record(&meta) {
            Ok(record) => {
                self.saw_pool(session.agent(), &record.pool);
                Ok(Look::Here(Box::new(Sight { record, waiting })))
            }
            Err(why) => Ok(Look::Unreadable(why)),
        }
    }

    pub(super) async fn sessions_of(
        &self,
        partition: Partition,
        after: Option<&SessionId>,
        limit: usize,
    ) -> StoreResult<Vec<SessionId>> {
        let index = self.keys().partition(partition).index();
        let mut from = after.map_or_else(|| b"-".to_vec(), |after| format!("({after}").into_bytes());
        // A page with nothing but names that are none is not the end.
        loop {
            let mut look = redis::cmd("ZRANGE");
            look.arg(&index).arg(&from).arg("+").arg("BYLEX").arg("LIMIT").arg(0).arg(limit);
            let page = match self.shared.masters.administer(&index, &look).await? {
                Value::Array(page) => page,
                other => return Err(StoreError::unreadable("`index`", format!("not a list: {other:?}"))),
            };
            let Some(last) = page.last().cloned() else { return Ok(Vec::new()) };
            let sessions = names("`index`", page);
            if !sessions.is_empty() {
                return Ok(sessions);
            }
            from = [b"(", bytes(last).map_err(unreadable("`index`"))?.as_slice()].concat();
        }
    }

    pub(super) async fn read_history(
        &self,
        session: &SessionId,
        range: HistoryRange,
        wait: Duration,
    ) -> StoreResult<Vec<Entry>> {
        match range {
            HistoryRange::Newest(0) => self.entries_after(session, None, usize::MAX).await,
            HistoryRange::Newest(limit) => self.newest_entries(session, limit).await,
            HistoryRange::After(_, 0) => Ok(Vec::new()),
            HistoryRange::After(after, limit) => {
                let entries = self.entries_after(session, after, limit).await?;
                if wait.is_zero() || !entries.is_empty() {
                    return Ok(entries);
                }
                self.await_entries(session, after, wait).await?;
                self.entries_after(session, after, limit).await
            }
        }
    }

    /// The newest entries, oldest first, read back from the end a page at a time.
    async fn newest_entries(&self, session: &SessionId, limit: usize) -> StoreResult<Vec<Entry>> {
        let mut newest_first: Vec<Entry> = Vec::new();
        while newest_first.len() < limit {
            let before = newest_first.last().map_or_else(|| "+".to_owned(), |entry| format!("({}", entry.id));
            let asked = PAGE.min(limit - newest_first.len());
            let page = self.entries(session, "XREVRANGE", &before, "-", asked).await?;
            let last = page.len() < asked;
            newest_first.extend(page);
            if last {
                break;
            }
        }
        newest_first.reverse();
        Ok(newest_first)
    }

    async fn entries_after(
        &self,
        session: &SessionId,
        after: Option<EntryId>,
        limit: usize,
    ) -> StoreResult<Vec<Entry>> {
        let mut entries: Vec<Entry> = Vec::new();
        while entries.len() < limit {
            let after = entries.last().map(|entry| entry.id).or(after);
            let from = after.map_or_else(|| "-".to_owned(), |id| format!("({id}"));
            let asked = PAGE.min(limit - entries.len());
            let page = self.entries(session, "XRANGE", &from, "+", asked).await?;
            let last = page.len() < asked;
            entries.extend(page);
            if last {
                break;
            }
        }
        Ok(entries)
    }

    async fn entries(
        &self,
        session: &SessionId,
        command: &str,
        from: &str,
        to: &str,
        limit: usize,
    ) -> StoreResult<Vec<Entry>> {
        let hist = self.keys().session(session).hist();
        let mut read = redis::cmd(command);
        read.arg(&hist).arg(from).arg(to).arg("COUNT").arg(limit);
        let read = stream(self.shared.masters.run(Traffic::Reads, &hist, &read).await?);
        let entries = read.and_then(|found| found.iter().map(|(id, fields)| entry(id, fields)).collect());
        entries.map_err(|why| StoreError::unreadable(format!("the history of {session}"), why))
    }

    async fn await_entries(
        &self,
        session: &SessionId,
        after: Option<EntryId>,
        wait: Duration,
    ) -> StoreResult<()> {
        let hist = self.keys().session(session).hist();
        let after = after.map_or_else(|| "0".to_owned(), |id| id.to_string());
        let block = |wait| {
            let mut read = redis::cmd("XREAD");
            read.arg("COUNT").arg(1).arg("BLOCK").arg(at_least_a_millisecond(wait));
            read.arg("STREAMS").arg(&hist).arg(&after);
            read
        };
        self.shared.masters.wait(&hist, wait, block).await.map(drop)
    }

    pub(super) async fn dead_letters(
        &self,
        partition: Partition,
        after: Option<StreamId>,
        limit: usize,
    ) -> StoreResult<Vec<DeadLetter>> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let from = after.map_or_else(|| "-".to_owned(), |id| format!("({id}"));
        let dead = self.keys().partition(partition).dead();
        let mut read = redis::cmd("XRANGE");
        read.arg(&dead).arg(from).arg("+").arg("COUNT").arg(limit);
        let found = stream(self.shared.masters.administer(&dead, &read).await?);
        let letters = found
            .and_then(|found| found.iter().map(|(id, fields)| dead_letter(partition, id, fields)).collect());
        letters.map_err(unreadable_in("dead", partition))
    }

    pub(super) async fn drop_letters(&self, partition: Partition, ids: &[StreamId]) -> StoreResult<usize> {
        if ids.is_empty() {
            return Ok(0);
        }
        let dead = self.keys().partition(partition).dead();
        let mut drop = redis::cmd("XDEL");
        drop.arg(&dead);
        for id in ids {
            drop.arg(id.to_string());
        }
        match self.shared.masters.administer(&dead, &drop).await? {
            Value::Int(dropped) => Ok(usize::try_from(dropped).unwrap_or_default()),
            other => Err(StoreError::unreadable("the answer of XDEL", format!("{other:?}"))),
        }
    }
}
