//! Whether a server can honour the durability classes that are asked of it.

use redis::Value;

use super::{
    Options, RedisStore, Role,
    cluster_checks::{as_one, masters_of},
    doctor::{Check, CheckStatus, Info, ask, named_version},
    masters::Traffic,
    records::Fields,
    replies::text,
    target::Target,
};
use crate::{
    model::{Durability, Partition},
    store::{Lack, Reach, StoreResult},
};

/// What is said where a user may not read how the server writes.
const UNREAD: &str = "appendfsync cannot be read";

/// A replica that has not answered for so many seconds, and more, stands still or is cut off.
const SILENT_FROM_S: u64 = 3;

/// The server's word on what classes depend on.
struct Found {
    /// Version, by its own count.
    version: (u32, u32),
    /// Replicas that follow now.
    replicas: u64,
    appends: bool,
    /// `always`, `everysec` or `no`; none where it may not be read.
    fsync: Option<String>,
    /// How many replicas must follow for a write to be taken; none where it may not be read.
    min_replicas: Option<u64>,
}

/// One finding for each class above `memory`, and what else is to be said of them, to one who is to be a `role`. Nothing where
/// nobody answers: that is another check's.
pub async fn class_checks(options: &Options, role: Role, classes: &[Durability]) -> Vec<Check> {
    let wanted: Vec<_> = classes.iter().copied().filter(|class| *class != Durability::MEMORY).collect();
    if wanted.is_empty() {
        return Vec::new();
    }
    let Ok((targets, _)) = masters_of(options).await else { return Vec::new() };
    let mut found = Vec::new();
    for target in targets {
        let Ok(master) = look(&target).await else { return Vec::new() };
        found.push((target.address().to_owned(), master));
    }
    let able = |class: &Durability| found.iter().all(|(_, found)| found.missing(*class).is_none());
    let able: Vec<_> = wanted.iter().copied().filter(able).collect();
    let checks = found.into_iter().map(|(address, found)| (address, found.checks(role, &wanted)));
    let mut checks = as_one(checks.collect());
    checks.extend(unacknowledged(options, &able).await);
    checks
}

/// The classes that are not reached within a second, though all that they wait for seems to be there: as where a replica
/// stands still, which its primary takes for a minute to follow.
async fn unacknowledged(options: &Options, classes: &[Durability]) -> Vec<Check> {
    // Whoever may not write says nothing of that.
    let Ok(store) = RedisStore::connect(options.clone()).await else { return Vec::new() };
    let mut checks = Vec::new();
    for class in classes {
        if let Ok(Reach::Unknown) = store.has_reached_everywhere(*class).await {
            checks.push(Check {
                check: "acknowledgement",
                status: CheckStatus::Warn,
                found: format!("{class} was not reached within a second"),
                advice: Some(
                    "look at the replicas (INFO replication: their lag) and at the disk: turns wait for them",
                ),
            });
        }
    }
    checks
}

async fn look(target: &Target) -> StoreResult<Found> {
    let mut connection = target.connect_any().await?;
    let info = ask(target, &mut connection, &["INFO"]).await?;
    let fsync = ask(target, &mut connection, &["CONFIG", "GET", "appendfsync"]).await;
    let fewest = ask(target, &mut connection, &["CONFIG", "GET", "min-replicas-to-write"]).await;
    Ok(Found::read(info, [fsync, fewest]))
}

impl RedisStore {
    /// What the master of `partition` lacks to honour `class`: by a look over a connection that is there.
    pub(super) async fn lack_of(&self, partition: Partition, class: Durability) -> StoreResult<Option<Lack>> {
        if class == Durability::MEMORY {
            return Ok(None);
        }
        let mark = self.keys().partition(partition).mark();
        let mut look = redis::pipe();
        look.cmd("INFO").arg("server").arg("replication").arg("persistence");
        if class.fsync {
            // A user that may not ask is one for whom it cannot be read.
            look.cmd("CONFIG").arg("GET").arg("appendfsync");
        }
        let mut answers = self.shared.masters.each(Traffic::Reads, &mark, &look).await?.into_iter();
        let mut next = || answers.next().unwrap_or(Ok(Value::Nil));
        let found = Found::read(next()?, [next(), Ok(Value::Nil)]);
        Ok(found.missing(class).map(|(found, advice)| Lack { found, advice }))
    }

    /// What keeps writes to `partition` from reaching `class` now, as far as a look tells: what its server lacks, or replicas that
    /// follow and do not answer.
    pub async fn held_up(&self, partition: Partition, class: Durability) -> StoreResult<Option<Lack>> {
        if let Some(lack) = self.lack_of(partition, class).await? {
            return Ok(Some(lack));
        }
        if class.replicas == 0 {
            return Ok(None);
        }
        let mark = self.keys().partition(partition).mark();
        let mut look = redis::cmd("INFO");
        let info = self.shared.masters.run(Traffic::Reads, &mark, look.arg("replication")).await?;
        Ok(silent(&text(info).unwrap_or_default(), class))
    }
}

/// What is said of replicas that follow, and of which too few for `class` have answered lately.
fn silent(info: &str, class: Durability) -> Option<Lack> {
    let following: Vec<_> = info.lines().filter(|line| is_online(line)).collect();
    let answering = following.iter().filter(|line| lag(line) < SILENT_FROM_S).count();
    (answering < class.replicas.into()).then(|| Lack {
        found: format!("{answering} of {} replicas that follow answer", following.len()),
        advice: "look at the replicas that do not answer (INFO replication: their lag)",
    })
}

/// Seconds since a replica answered last: each does so once a second.
fn lag(line: &str) -> u64 {
    let lag = line.trim_end().split(',').find_map(|field| field.strip_prefix("lag="));
    lag.and_then(|lag| lag.parse().ok()).unwrap_or_default()
}

/// `slave0:ip=…,port=…,state=online,…`
fn is_online(line: &str) -> bool {
    line.starts_with("slave") && line.split(',').any(|field| field == "state=online")
}

impl Found {
    /// From the server's `INFO`, and its settings `appendfsync` and `min-replicas-to-write`.
    fn read(info: Value, [fsync, fewest]: [StoreResult<Value>; 2]) -> Self {
        let info = Info(text(info).unwrap_or_default());
        let setting = |answer: StoreResult<Value>, name| {
            let fields = Fields::read(answer.ok()?).ok()?;
            Some(String::from_utf8_lossy(fields.get(name)?).into_owned())
        };
        Self {
            version: named_version(&info).1,
            replicas: info.0.lines().filter(|line| is_online(line)).count() as u64,
            appends: info.get("aof_enabled") == "1",
            fsync: setting(fsync, "appendfsync"),
            min_replicas: setting(fewest, "min-replicas-to-write").and_then(|fewest| fewest.parse().ok()),
        }
    }

    fn checks(&self, role: Role, wanted: &[Durability]) -> Vec<Check> {
        let mut checks: Vec<_> = wanted.iter().map(|class| self.honours(role, *class)).collect();
        let most = wanted.iter().map(|class| class.replicas).max().unwrap_or_default();
        checks.extend(self.min_replicas(most));
        checks
    }

    /// Whether what `class` waits for is there.
    fn honours(&self, role: Role, class: Durability) -> Check {
        let missing = self.missing(class);
        Check {
            check: "durability",
            status: match &missing {
                None => CheckStatus::Ok,
                // Who sends need not know how the server writes: the workers do, or they would not be there.
                Some((what, _)) if what == UNREAD && role != Role::Worker => CheckStatus::Warn,
                Some(_) => CheckStatus::Fail,
            },
            found: match &missing {
                None => class.to_string(),
                Some((what, _)) => format!("{class} is asked for: {what}"),
            },
            advice: missing.map(|(_, advice)| advice),
        }
    }

    /// What a class would wait for in vain, or be told without it, and what to do.
    fn missing(&self, class: Durability) -> Option<(String, &'static str)> {
        let Self { version, replicas, appends, fsync, .. } = self;
        if *replicas < class.replicas.into() {
            let found = format!("{replicas} replicas follow");
            return Some((found, "add replicas (REPLICAOF), or ask for fewer"));
        }
        if !class.fsync {
            return None;
        }
        if *version < (7, 2) {
            let advice = "upgrade to Redis 7.2 or newer, which has WAITAOF, or ask for replicas:N";
            return Some(("the server is too old".to_owned(), advice));
        }
        if !appends {
            return Some(("appendonly no".to_owned(), "CONFIG SET appendonly yes"));
        }
        let advice = "CONFIG SET appendfsync always, and allow CONFIG GET: with everysec a wait takes a second, or is answered without the disk";
        match fsync.as_deref() {
            Some("always") => None,
            Some(other) => Some((format!("appendfsync {other}"), advice)),
            None => Some((UNREAD.to_owned(), advice)),
        }
    }

    /// Whether a primary that lost its replicas goes on taking writes.
    fn min_replicas(&self, wanted: u8) -> Option<Check> {
        let set = self.min_replicas.filter(|_| wanted > 0)?;
        let few = set < wanted.into();
        Some(Check {
            check: "min-replicas-to-write",
            status: if few { CheckStatus::Warn } else { CheckStatus::Ok },
            found: set.to_string(),
            advice: few.then_some(
                "CONFIG SET min-replicas-to-write to what the classes ask for, and min-replicas-max-lag 2: a primary without replicas then says so at once",
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_that_follow_and_do_not_answer_are_told_from_those_that_do() {
        let info = "role:master\r\nslave0:ip=h,port=1,state=online,offset=9,lag=0\r\n\
            slave1:ip=h,port=2,state=online,offset=9,lag=30\r\nslave2:ip=h,port=3,state=wait_bgsave,offset=0,lag=0\r\n";
        let of = |replicas| silent(info, Durability { fsync: false, replicas }).map(|lack| lack.found);
        assert_eq!(of(1), None);
        assert_eq!(of(2).as_deref(), Some("1 of 2 replicas that follow answer"));
        assert_eq!([lag("slave0:ip=h,lag=1\r"), lag("slave0:ip=h")], [1, 0]);
    }

    fn sound() -> Found {
        let fsync = Some("always".to_owned());
        Found { version: (7, 2), replicas: 2, appends: true, fsync, min_replicas: Some(1) }
    }

    fn class(word: &str) -> Durability {
        word.parse().unwrap()
    }

    #[test]
    fn a_class_is_refused_where_what_it_waits_for_is_not_there() {
        let old = || Found { version: (7, 0), ..sound() };
        let fails = |found: Found, word| found.honours(Role::Worker, class(word)).status == CheckStatus::Fail;
        assert!(!fails(sound(), "fsync+replicas:2"));
        assert!(fails(sound(), "replicas:3"));
        assert!(fails(old(), "fsync") && !fails(old(), "replicas:2"));
        assert!(fails(Found { appends: false, ..sound() }, "fsync"));
        for fsync in [Some("everysec".to_owned()), None] {
            assert!(fails(Found { fsync: fsync.clone(), ..sound() }, "fsync+replicas:1"), "{fsync:?}");
            assert!(!fails(Found { fsync, ..sound() }, "replicas:1"));
        }
    }

    #[test]
    fn who_sends_need_not_see_how_the_server_writes() {
        let found = Found { fsync: None, ..sound() };
        assert_eq!(found.honours(Role::Worker, class("fsync")).status, CheckStatus::Fail);
        assert_eq!(found.honours(Role::Client, class("fsync")).status, CheckStatus::Warn);
        let found = Found { appends: false, ..found };
        assert_eq!(found.honours(Role::Client, class("fsync")).status, CheckStatus::Fail);
    }

    #[test]
    fn a_primary_that_would_write_alone_is_a_warning() {
        assert_eq!(sound().min_replicas(2).unwrap().status, CheckStatus::Warn);
        assert_eq!(sound().min_replicas(1).unwrap().status, CheckStatus::Ok);
        assert_eq!(sound().min_replicas(0), None);
        assert_eq!(Found { min_replicas: None, ..sound() }.min_replicas(1), None);
    }

    #[test]
    fn a_replica_counts_when_it_is_online() {
        assert!(is_online("slave0:ip=127.0.0.1,port=1,state=online,offset=14,lag=0"));
        assert!(!is_online("slave1:ip=127.0.0.1,port=1,state=wait_bgsave,offset=0,lag=0"));
    }
}
