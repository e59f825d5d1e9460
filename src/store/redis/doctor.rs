//! What a server must be, and should be, for a fleet to stand on it.

use std::time::Duration;

use redis::{Value, aio::MultiplexedConnection};
use serde::Serialize;

use super::{
    Options, REPLIES, RedisStore, Rights, Role,
    cluster_checks::{as_one, masters_of},
    errors::{is_no_script, lacks_master},
    records::Fields,
    replies::text,
    sentinel_checks::sentinel_checks,
    target::Target,
};
use crate::{
    model::Durability,
    store::{StoreError, StoreResult},
};

/// One finding about the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at.
    pub check: &'static str,
    /// What it means.
    pub status: CheckStatus,
    /// What is there.
    pub found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<&'static str>,
}

/// What a finding means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckStatus {
    /// All is well.
    Ok,
    /// It works, and something may be lost, late or in the way.
    Warn,
    /// A worker does not start on it.
    Fail,
}

/// How long a round trip takes at most on a network that is near enough.
const SLOW: Duration = Duration::from_millis(5);

/// How many round trips are timed; the fastest counts.
const ROUND_TRIPS: usize = 5;

/// The check that fails for a master of a cluster which does not answer.
pub const MASTER_AWAY: &str = "master";

/// The check that fails where nobody can be asked.
pub const CONNECTION: &str = "connection";

/// Which events a server announces.
const NOTIFICATIONS: &str = "notify-keyspace-events";

/// Looks at the server that `options` lead to, and at what this user may do there for one who is to be a `role` where turns reach
/// `classes`; `clock` is a monotonic one, to time round trips by.
pub async fn checks(
    options: &Options,
    role: Role,
    classes: &[Durability],
    clock: impl Fn() -> Duration,
) -> Vec<Check> {
    match look_everywhere(options, role, classes, &clock).await {
        Ok(mut checks) => {
            checks.extend(layout(RedisStore::connect(options.clone()).await.map(drop)));
            checks
        }
        Err(error) => {
            let advice = match &error {
                error if lacks_master(error) => {
                    "give its nodes all slots: redis-cli --cluster create, or fix"
                }
                // It is there, and its sentence says what is to be mended.
                StoreError::Refused(_) | StoreError::Unconnected(_) | StoreError::Forbidden(_) => {
                    "mend what it says: the server is there, and does not take this connection"
                }
                _ => "start a server there, or name another with --redis",
            };
            let found = chain(&error);
            vec![Check { check: CONNECTION, status: CheckStatus::Fail, found, advice: Some(advice) }]
        }
    }
}

/// Looks at the server, or at each master of a cluster.
async fn look_everywhere(
    options: &Options,
    role: Role,
    classes: &[Durability],
    clock: &impl Fn() -> Duration,
) -> StoreResult<Vec<Check>> {
    let rights = Rights::of(role, options, &[REPLIES])?;
    let rights = classes.iter().fold(rights, |rights, class| rights.reaching(role, *class));
    let (targets, cluster) = masters_of(options).await?;
    let (mut found, mut away) = (Vec::new(), Vec::new());
    for target in targets {
        match look(&target, role, &rights, clock).await {
            Ok((Topology::Cluster, _)) if cluster.is_none() => return Ok(vec![a_node(&target)]),
            Ok((_, checks)) => found.push((target.address().to_owned(), checks)),
            // Of a cluster's masters the others are told of all the same.
            Err(error @ StoreError::Unavailable(_)) if cluster.is_some() => away.push(is_away(&error)),
            Err(error) => return Err(error),
        }
    }
    Ok(cluster.into_iter().chain(away).chain(as_one(found)).collect())
}

/// What a server is by itself.
enum Topology {
    Alone,
    Cluster,
}

/// Said of a node that is named as a server by itself: it has some of the slots alone.
fn a_node(target: &Target) -> Check {
    Check {
        check: "cluster",
        status: CheckStatus::Fail,
        found: format!("{} is a node of a cluster", target.address()),
        advice: Some("write redis+cluster:// in --redis (TENURE_REDIS) for it"),
    }
}

fn is_away(error: &StoreError) -> Check {
    Check {
        check: MASTER_AWAY,
        status: CheckStatus::Fail,
        found: chain(error),
        advice: Some("start it again, or let a replica take its place: its sessions wait until then"),
    }
}

async fn look(
    target: &Target,
    role: Role,
    needed: &Rights,
    clock: &impl Fn() -> Duration,
) -> StoreResult<(Topology, Vec<Check>)> {
    let mut connection = target.connect_any().await?;
    let info = ask(target, &mut connection, &["INFO"]).await?;
    let info = Info(text(info).unwrap_or_default());
    let events = ask(target, &mut connection, &["CONFIG", "GET", NOTIFICATIONS]).await;
    let missing = needed.missing(target, &mut connection).await?;
    let script = script(target, &mut connection).await;
    let mut fastest = Duration::MAX;
    for _ in 0..ROUND_TRIPS {
        let start = clock();
        ask(target, &mut connection, &["PING"]).await?;
        fastest = fastest.min(clock().saturating_sub(start));
    }
    // Who sends by the plain door alone runs no script.
    let scripting = (role != Role::Sender).then(|| scripting(script));
    let first = [version(&info), standing(&info), eviction(&info)];
    let rest = [
        rights(role, &missing),
        persistence(&info),
        memory(&info),
        notifications(events),
        replicas(&info),
        round_trip(fastest),
    ];
    let watchers = sentinel_checks(target, &mut connection).await;
    let topology = if info.get("cluster_enabled") == "1" { Topology::Cluster } else { Topology::Alone };
    Ok((topology, first.into_iter().chain(scripting).chain(rest).chain(watchers).collect()))
}

pub(super) async fn ask(
    target: &Target,
    connection: &mut MultiplexedConnection,
    command: &[&str],
) -> StoreResult<Value> {
    let mut asked = redis::cmd(command[0]);
    asked.arg(&command[1..]);
    target.answer_to(asked.query_async(connection)).await
}

/// The text of `INFO`.
pub(super) struct Info(pub(super) String);

impl Info {
    pub(super) fn get(&self, name: &str) -> &str {
        let value = self.0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value.unwrap_or_default().trim()
    }

    fn number(&self, name: &str) -> u64 {
        self.get(name).parse().unwrap_or_default()
    }
}

/// What the server calls its version, and that by its first two numbers.
pub(super) fn named_version(info: &Info) -> (String, (u32, u32)) {
    let (name, version) = match info.get("valkey_version") {
        "" => ("Redis", info.get("redis_version")),
        version => ("Valkey", version),
    };
    let mut numbers = version.split('.').map(|part| part.parse::<u32>().unwrap_or_default());
    let is = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    (format!("{name} {version}"), is)
}

fn version(info: &Info) -> Check {
    let (found, is) = named_version(info);
    let needed = if found.starts_with("Valkey") { (7, 2) } else { (7, 0) };
    Check {
        check: "version",
        status: if is >= needed { CheckStatus::Ok } else { CheckStatus::Fail },
        found,
        advice: (is < needed).then_some("upgrade to Redis 7.0 or Valkey 7.2, or newer"),
    }
}

fn standing(info: &Info) -> Check {
    let role = info.get("role");
    let replica = role != "master";
    Check {
        check: "role",
        status: if replica { CheckStatus::Fail } else { CheckStatus::Ok },
        found: role.to_owned(),
        advice: replica.then_some("connect to its primary"),
    }
}

fn eviction(info: &Info) -> Check {
    let policy = info.get("maxmemory_policy");
    let evicts = policy != "noeviction";
    Check {
        check: "eviction",
        status: if evicts { CheckStatus::Fail } else { CheckStatus::Ok },
        found: policy.to_owned(),
        advice: evicts
            .then_some("CONFIG SET maxmemory-policy noeviction: anything else throws sessions away"),
    }
}

/// Calls a script that no server knows: one that says so would have called it.
async fn script(target: &Target, connection: &mut MultiplexedConnection) -> StoreResult<()> {
    let mut asked = redis::cmd("EVALSHA_RO");
    asked.arg("0".repeat(40)).arg(0);
    let answered = async {
        match asked.exec_async(connection).await {
            Err(error) if is_no_script(&error) => Ok(()),
            answered => answered,
        }
    };
    target.answer_to(answered).await
}

/// What this user lacks to be a `role`. Where replies go is the fleet's choice: a list of `send --wait` alone is no failure.
fn rights(role: Role, missing: &[String]) -> Check {
    let lists = format!("~{REPLIES}");
    let role = format!("{} {role}", if role == Role::Observer { "an" } else { "a" }, role = role.as_str());
    let (status, found, advice) = if missing.is_empty() {
        (CheckStatus::Ok, format!("all that {role} needs"), None)
    } else if *missing == [lists.as_str()] {
        let found = format!("all that {role} needs, but not {lists}");
        (CheckStatus::Warn, found, Some("give it those lists too: replies to `tenure send --wait` go there"))
    } else {
        let found = format!("{role} needs more: {}", missing.join(" "));
        let advice = "give this user what `tenure acl` prints for its role, or connect as another";
        (CheckStatus::Fail, found, Some(advice))
    };
    Check { check: "rights", status, found, advice }
}

fn scripting(script: StoreResult<()>) -> Check {
    let (status, found) = match &script {
        Ok(_) => (CheckStatus::Ok, "allowed".to_owned()),
        Err(error) => (CheckStatus::Fail, error.to_string()),
    };
    Check {
        check: "scripting",
        status,
        found,
        advice: script
            .is_err()
            .then_some("allow this user EVALSHA, EVALSHA_RO and SCRIPT LOAD (ACL SETUSER … +@scripting)"),
    }
}

fn persistence(info: &Info) -> Check {
    let appends = info.get("aof_enabled") == "1";
    let found = if appends { "append-only file" } else { "no append-only file" };
    Check {
        check: "persistence",
        status: if appends { CheckStatus::Ok } else { CheckStatus::Warn },
        found: found.to_owned(),
        advice: (!appends).then_some(
            "CONFIG SET appendonly yes: a restart forgets what was accepted since the last snapshot",
        ),
    }
}

fn memory(info: &Info) -> Check {
    let limit = info.number("maxmemory");
    Check {
        check: "maxmemory",
        status: if limit > 0 { CheckStatus::Ok } else { CheckStatus::Warn },
        found: if limit > 0 { format!("{limit} bytes") } else { "none".to_owned() },
        advice: (limit == 0)
            .then_some("set maxmemory: a full server then refuses new work, where now the kernel kills it"),
    }
}

fn notifications(events: StoreResult<Value>) -> Check {
    if let Err(StoreError::Forbidden(_)) = events {
        // Nobody needs to see settings, which hold passwords: they may well be as they should be.
        let found = "not this user's to see: Ex is what they should be".to_owned();
        return Check { check: "notifications", status: CheckStatus::Ok, found, advice: None };
    }
    let flags = events.ok().and_then(event_flags);
    let on = flags.as_ref().is_some_and(|flags| missing_flags(flags).is_empty());
    let found = match flags {
        None => "cannot be read".to_owned(),
        Some(flags) if flags.is_empty() => "off".to_owned(),
        Some(flags) => flags,
    };
    Check {
        check: "notifications",
        status: if on { CheckStatus::Ok } else { CheckStatus::Warn },
        found,
        advice: (!on).then_some(
            "CONFIG SET notify-keyspace-events Ex: leases that lapse are announced to whoever listens",
        ),
    }
}

/// Which of the two kinds of flags it takes are missing: events by their names (`E`), and those of keys that lapse (`x`).
fn missing_flags(flags: &str) -> String {
    let (by_name, lapsed) = (flags.contains('E'), flags.contains(['x', 'A']));
    [(by_name, 'E'), (lapsed, 'x')].into_iter().filter(|(set, _)| !set).map(|(_, flag)| flag).collect()
}

fn event_flags(answer: Value) -> Option<String> {
    let fields = Fields::read(answer).ok()?;
    Some(String::from_utf8_lossy(fields.get(NOTIFICATIONS).unwrap_or_default()).into_owned())
}

/// Sees to it that the server at `options` announces keys that lapse; what it announces already stays as it is.
///
/// Fails with [`StoreError::Forbidden`] where this user may not set that. Of a cluster's masters each is told that answers.
pub async fn announce_lapses(options: &Options) -> StoreResult<()> {
    let mut failed = None;
    for target in masters_of(options).await?.0 {
        failed = failed.or(announce_lapses_of(&target).await.err());
    }
    failed.map_or(Ok(()), Err)
}

async fn announce_lapses_of(target: &Target) -> StoreResult<()> {
    let mut connection = target.connect_any().await?;
    let flags = ask(target, &mut connection, &["CONFIG", "GET", NOTIFICATIONS]).await?;
    let flags = event_flags(flags).unwrap_or_default();
    let missing = missing_flags(&flags);
    if !missing.is_empty() {
        let wanted = flags + &missing;
        ask(target, &mut connection, &["CONFIG", "SET", NOTIFICATIONS, &wanted]).await?;
    }
    Ok(())
}

fn replicas(info: &Info) -> Check {
    let replicas = info.number("connected_slaves");
    Check {
        check: "replicas",
        status: if replicas > 0 { CheckStatus::Ok } else { CheckStatus::Warn },
        found: replicas.to_string(),
        advice: (replicas == 0).then_some("add a replica: with none, all is lost with this machine"),
    }
}

fn round_trip(fastest: Duration) -> Check {
    let slow = fastest > SLOW;
    Check {
        check: "round trip",
        status: if slow { CheckStatus::Warn } else { CheckStatus::Ok },
        found: format!("{:.2} ms", fastest.as_secs_f64() * 1e3),
        advice: slow
            .then_some("bring workers and server closer together: every turn takes several round trips"),
    }
}

/// Whether this version can read what the namespace holds. Other reasons not to connect have checks of their own.
fn layout(connected: StoreResult<()>) -> Option<Check> {
    let (status, found, advice) = match connected {
        Ok(()) => (CheckStatus::Ok, "readable".to_owned(), None),
        Err(error @ StoreError::Unreadable { .. }) => (
            CheckStatus::Fail,
            error.to_string(),
            Some("use the version that wrote it, or another namespace"),
        ),
        Err(_) => return None,
    };
    Some(Check { check: "layout", status, found, advice })
}

/// An error with what caused it.
fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(text: &str) -> Info {
        Info(text.to_owned())
    }

    #[test]
    fn servers_are_old_by_their_own_count() {
        let status = |text: &str| version(&info(text)).status;
        assert_eq!(status("redis_version:7.0.15\r\n"), CheckStatus::Ok);
        assert_eq!(status("redis_version:6.2.7\r\n"), CheckStatus::Fail);
        assert_eq!(status("redis_version:7.2.4\r\nvalkey_version:8.1.8\r\n"), CheckStatus::Ok);
        assert_eq!(status("redis_version:7.2.4\r\nvalkey_version:7.1.0\r\n"), CheckStatus::Fail);
        assert_eq!(status(""), CheckStatus::Fail);
    }

    #[test]
    fn what_throws_data_away_is_a_failure_and_what_may_lose_some_a_warning() {
        let sound = info(
            "role:master\r\nmaxmemory:1000\r\nmaxmemory_policy:noeviction\r\naof_enabled:1\r\nconnected_slaves:1\r\n",
        );
        for check in
            [standing(&sound), eviction(&sound), persistence(&sound), memory(&sound), replicas(&sound)]
        {
            assert_eq!((check.status, check.advice), (CheckStatus::Ok, None), "{}", check.check);
        }
        let poor = info(
            "role:slave\r\nmaxmemory:0\r\nmaxmemory_policy:allkeys-lru\r\naof_enabled:0\r\nconnected_slaves:0\r\n",
        );
        assert_eq!([standing(&poor).status, eviction(&poor).status], [CheckStatus::Fail; 2]);
        assert_eq!(
            [persistence(&poor).status, memory(&poor).status, replicas(&poor).status],
            [CheckStatus::Warn; 3]
        );
    }

    #[test]
    fn what_a_user_may_not_see_is_noted_and_what_cannot_be_read_is_a_warning() {
        let noted = notifications(Err(StoreError::Forbidden("no".to_owned())));
        assert_eq!((noted.status, noted.advice), (CheckStatus::Ok, None));
        assert!(noted.found.contains("not this user's to see"));
        assert_eq!(notifications(Err(StoreError::Refused("no".to_owned()))).status, CheckStatus::Warn);
        assert_eq!(notifications(Ok(Value::Nil)).status, CheckStatus::Warn);
    }

    #[test]
    fn only_flags_that_are_missing_are_added() {
        for (flags, missing) in [("", "Ex"), ("Ex", ""), ("AKE", ""), ("Kx", "E"), ("Eg", "x"), ("Kg", "Ex")]
        {
            assert_eq!(missing_flags(flags), missing, "{flags}");
        }
    }

    #[test]
    fn a_slow_round_trip_is_told() {
        assert_eq!(round_trip(Duration::from_millis(1)).status, CheckStatus::Ok);
        assert_eq!(round_trip(Duration::from_millis(6)).status, CheckStatus::Warn);
    }
}
