//! All that the namespace holds, as one value: for tests that compare stores. Not atomic, and not fast.

use std::collections::BTreeMap;

use redis::Value;

use super::{
    RedisStore,
    ask::{parse_names, unreadable},
    door::cursor_id,
    keys::PartitionKeys,
    masters::{Master, Traffic},
    records::{Fields, dead_letter, entry, mails, out_reply, record_of_any_layout, stream},
    replies::text,
};
use crate::{
    model::{AgentName, Door, IdempotencyKey, MessageId, Millis, Partition, Pool, ReplyTo, SessionId},
    store::{IdSnapshot, PartitionSnapshot, SessionSnapshot, Snapshot, StoreError, StoreResult},
};

impl RedisStore {
    /// All that the namespace's partitions hold.
    pub async fn snapshot(&self) -> StoreResult<Snapshot> {
        let names = self.all_names().await?;
        let mut partitions = BTreeMap::new();
        for partition in self.keys().partitions().all() {
            let keys = self.keys().partition(partition);
            let own: Vec<_> = names.iter().filter_map(|name| name.strip_prefix(keys.prefix())).collect();
            let held = self.partition_snapshot(partition, &keys, &own).await?;
            if held != PartitionSnapshot::default() {
                partitions.insert(partition, held);
            }
        }
        Ok(Snapshot { partitions })
    }

    /// The names of all keys in any partition.
    async fn all_names(&self) -> StoreResult<Vec<String>> {
        let mut names = Vec::new();
        for master in self.shared.masters.all() {
            names.extend(names_of(&master).await?);
        }
        names.sort();
        names.dedup();
        Ok(names)
    }

    async fn partition_snapshot(
        &self,
        partition: Partition,
        keys: &PartitionKeys,
        names: &[&str],
    ) -> StoreResult<PartitionSnapshot> {
        let mut all = PartitionSnapshot::default();
        for name in names {
            let (kind, rest) = name.split_once(':').unwrap_or((name, ""));
            let key = format!("{}{name}", keys.prefix());
            match kind {
                "meta" => {
                    let session = parse("a session's name", rest)?;
                    let snapshot = self.session_snapshot(&session).await?;
                    all.sessions.insert(session, snapshot);
                }
                "workers" => all.workers = self.workers_snapshot(&key).await?,
                "ready" => {
                    _ = all.ready.insert(
                        queue(rest)?,
                        self.scores(&key)
                            .await?
                            .into_iter()
                            .map(|(session, at)| (session, Millis(at)))
                            .collect(),
                    )
                }
                "idle" => _ = all.idle.insert(queue(rest)?, self.scores(&key).await?),
                "timers" => {
                    all.timers = self
                        .scores(&key)
                        .await?
                        .into_iter()
                        .map(|(session, at)| (session, Millis(at)))
                        .collect();
                }
                "held" => {
                    let held = self.get("SMEMBERS", &key).await?;
                    all.held.insert(
                        parse("a worker's name", rest)?,
                        parse_names("`held`", held)?.into_iter().collect(),
                    );
                }
                "index" => all.index = self.scores::<SessionId>(&key).await?.into_keys().collect(),
                "out" => {
                    let found = stream(self.range(&key).await?)
                        .and_then(|found| found.iter().map(|(id, fields)| out_reply(id, fields)).collect());
                    all.out = found.map_err(unreadable("`out`"))?;
                }
                "dead" => {
                    let found = stream(self.range(&key).await?).and_then(|found| {
                        found.iter().map(|(id, fields)| dead_letter(partition, id, fields)).collect()
                    });
                    all.dead = found.map_err(unreadable("`dead`"))?;
                }
                "cursor" => {
                    let found =
                        Fields::read(self.get("HGETALL", &key).await?).map_err(unreadable("`cursor`"))?;
                    for door in Door::all() {
                        if let Some(cursor) = found.get(&door.to_string()) {
                            let id = cursor_id(&String::from_utf8_lossy(cursor));
                            all.cursors.insert(door, id.map_err(unreadable("`cursor`"))?);
                        }
                    }
                }
                "duty" => {
                    let duty = text(self.get("GET", &key).await?).map_err(unreadable("`duty`"))?;
                    all.duty = Some(parse("`duty`", &duty)?);
                }
                "ids" => {
                    let (session, id) = rest.split_once(' ').unwrap_or((rest, ""));
                    let of: (SessionId, IdempotencyKey) = (parse("`ids`", session)?, parse("`ids`", id)?);
                    if let Some(remembered) = self.id_snapshot(&key).await? {
                        all.ids.insert(of, remembered);
                    }
                }
                _ => (),
            }
        }
        Ok(all)
    }

    async fn session_snapshot(&self, session: &SessionId) -> StoreResult<SessionSnapshot> {
        let keys = self.keys().session(session);
        let meta = Fields::read(self.get("HGETALL", &keys.meta()).await?).map_err(unreadable("`meta`"))?;
        let own = self.maybe_text(&keys.own()).await?;
        let mut read = redis::cmd("LRANGE");
        read.arg(keys.inbox()).arg(0).arg(-1);
        let Value::Array(elements) = self.shared.masters.administer(&keys.inbox(), &read).await? else {
            return Err(StoreError::unreadable("`in`", "not a list"));
        };
        let history = stream(self.range(&keys.hist()).await?)
            .and_then(|found| found.iter().map(|(id, fields)| entry(id, fields)).collect());
        Ok(SessionSnapshot {
            record: record_of_any_layout(&meta).map_err(unreadable("`meta`"))?,
            own: own.map(|own| parse("`own`", &own)).transpose()?,
            state: self.maybe_text(&keys.state()).await?,
            inbox: mails(elements).map_err(unreadable("`in`"))?,
            history: history.map_err(unreadable("`hist`"))?,
        })
    }

    async fn workers_snapshot(
        &self,
        key: &str,
    ) -> StoreResult<BTreeMap<crate::model::WorkerId, Option<Millis>>> {
        let found = Fields::read(self.get("HGETALL", key).await?).map_err(unreadable("`workers`"))?;
        let workers = found.into_pairs().into_iter().map(|(worker, lease)| {
            let (worker, lease) =
                (String::from_utf8_lossy(&worker), String::from_utf8_lossy(&lease).into_owned());
            let deadline = lease.split('/').next().unwrap_or_default();
            let deadline =
                if deadline == "dead" { None } else { Some(Millis(parse("`workers`", deadline)?)) };
            Ok((parse("`workers`", &worker)?, deadline))
        });
        workers.collect()
    }

    async fn id_snapshot(&self, key: &str) -> StoreResult<Option<IdSnapshot>> {
        let found = Fields::read(self.get("HGETALL", key).await?).map_err(unreadable("`ids`"))?;
        let Some(message) = found.get("message").map(|name| String::from_utf8_lossy(name).into_owned())
        else {
            return Ok(None);
        };
        let answer = found.get("answer").map(|answer| String::from_utf8_lossy(answer).into_owned());
        let waiters = found.into_pairs().into_iter().filter_map(|(name, _)| {
            let name = String::from_utf8(name).ok()?;
            name.strip_prefix("to:")?.parse::<ReplyTo>().ok()
        });
        Ok(Some(IdSnapshot {
            message: MessageId(parse("`ids`", &message)?),
            answer,
            waiters: waiters.collect(),
        }))
    }

    async fn get(&self, command: &str, key: &str) -> StoreResult<Value> {
        self.shared.masters.administer(key, redis::cmd(command).arg(key)).await
    }

    async fn range(&self, key: &str) -> StoreResult<Value> {
        self.shared.masters.administer(key, redis::cmd("XRANGE").arg(key).arg("-").arg("+")).await
    }

    async fn maybe_text(&self, key: &str) -> StoreResult<Option<String>> {
        match self.get("GET", key).await? {
            Value::Nil => Ok(None),
            found => text(found).map(Some).map_err(unreadable("a string")),
        }
    }

    async fn scores<T: std::str::FromStr<Err: std::fmt::Display> + Ord>(
        &self,
        key: &str,
    ) -> StoreResult<BTreeMap<T, u64>> {
        let mut read = redis::cmd("ZRANGE");
        read.arg(key).arg(0).arg(-1).arg("WITHSCORES");
        let found = self.shared.masters.administer(key, &read).await?;
        let found = Fields::read(found).map_err(unreadable("a sorted set"))?;
        let scores = found.into_pairs().into_iter().map(|(member, score)| {
            let member = parse("a sorted set", &String::from_utf8_lossy(&member))?;
            Ok((member, parse("a sorted set", &String::from_utf8_lossy(&score))?))
        });
        scores.collect()
    }
}

/// The names of all keys that one master has.
async fn names_of(master: &Master) -> StoreResult<Vec<String>> {
    let mut names = Vec::new();
    let mut cursor = "0".to_owned();
    loop {
        let mut scan = redis::cmd("SCAN");
        scan.arg(&cursor).arg("MATCH").arg("tenure:{*").arg("COUNT").arg(1_000);
        let Value::Array(parts) = master.lane(Traffic::Reads).run(&scan).await? else {
            return Err(StoreError::unreadable("the answer of SCAN", "not a list"));
        };
        let mut parts = parts.into_iter();
        cursor = text(parts.next().unwrap_or_default()).map_err(unreadable("the answer of SCAN"))?;
        names.extend(parse_names::<String>("the answer of SCAN", parts.next().unwrap_or_default())?);
        if cursor == "0" {
            return Ok(names);
        }
    }
}

/// `<pool>:<agent>`, as in the names of `ready` and `idle`.
fn queue(name: &str) -> StoreResult<(Pool, AgentName)> {
    let (pool, agent) = name.split_once(':').unwrap_or((name, ""));
    Ok((parse("a queue's name", pool)?, parse("a queue's name", agent)?))
}

fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(what: &'static str, text: &str) -> StoreResult<T> {
    text.parse().map_err(|why: T::Err| StoreError::unreadable(what, why))
}
