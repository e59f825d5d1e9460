//! `tenure doctor`.

use std::{collections::BTreeSet, time::Duration};

use tenure::{
    Env,
    model::Durability,
    store::{
        RedisStore, Store, StoreError,
        redis::{
            CONNECTION, Check, CheckStatus, MASTER_AWAY, Options, Role, announce_lapses, checks,
            class_checks, lacks_master,
        },
    },
};
use tracing::{debug, warn};

use crate::{
    asked_for, connect,
    failure::{Exit, Failure, with_causes},
    global::Global,
    keys_in_use,
    output::{self, or_dash},
    overwritten,
    table::table,
    unacknowledged, values,
};

/// Check whether a Redis is fit for a fleet
///
/// A worker does not start where a check fails, and logs those that warn.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  tenure doctor --json | jq -c 'select(.status != \"ok\")'")]
pub(crate) struct Args {
    /// What this user is to be: the rights are looked at that it needs for that
    #[arg(long = "as", value_name = "ROLE", default_value = "worker", value_parser = values::role())]
    role: Role,
}

pub(crate) async fn run(Args { role }: Args, global: &Global) -> Result<(), Failure> {
    let (options, keyring) = (connect::options(global)?, global.keyring()?);
    // Whoever answers is looked at, whatever the answer; nobody is another matter.
    let reached = connect::reach(&options).await;
    let unserved = reached.as_ref().is_err_and(lacks_master);
    let (classes, found) = match reached {
        Err(err @ StoreError::Unavailable(_)) if !unserved => {
            print(&[absent(&err)], global.json)?;
            return Err(err.into());
        }
        Ok(store) => {
            let found = [
                losses(&store).await,
                keys_in_use::check(&store, &keyring).await,
                asked_for::check(&store).await,
                unacknowledged::check(&store).await,
                rows(&store).await,
                doors(&store).await,
                overwritten::check(&store).await,
                overwritten::keys(&store, role).await,
            ];
            (declared(&store).await, found.into_iter().flatten().collect())
        }
        Err(_) => (Vec::new(), Vec::new()),
    };
    let mut checks = look(&options, role, &classes).await;
    checks.extend(found);
    print(&checks, global.json)?;
    match failed(&checks).as_slice() {
        [] => Ok(()),
        failed => {
            let names: Vec<_> = failed.iter().map(|check| check.check).collect();
            let line =
                format!("not fit for a {} ({}): follow the advice above", role.as_str(), names.join(", "));
            let away = unserved || names.contains(&MASTER_AWAY);
            let exit = if away { Exit::Unavailable } else { Exit::Failed };
            Err(Failure::new(exit, line))
        }
    }
}

/// What a worker sets where it may: that keys which lapse are announced. Where it may not, the look tells.
pub(crate) async fn prepare(options: &Options) {
    if let Err(err) = announce_lapses(options).await {
        debug!(error = %err, "notify-keyspace-events is left as it is");
    }
}

/// The classes that agents of this namespace are declared with.
async fn declared(store: &impl Store) -> Vec<Durability> {
    let agents = store.agents().await.unwrap_or_default();
    distinct(agents.known.into_values().map(|how| how.durability))
}

/// What workers that run know to be lost, and when another start of the server answered: what was written just before
/// that may be lost too, where it was of sessions that nobody owned.
async fn losses(store: &impl Store) -> Option<Check> {
    let tallies: Vec<_> =
        store.members().await.unwrap_or_default().into_iter().map(|member| member.tally).collect();
    let sessions: u64 = tallies.iter().map(|tally| tally.losses).sum();
    let turns: u64 = tallies.iter().map(|tally| tally.lost_turns).sum();
    let servers: BTreeSet<_> = tallies.into_iter().flat_map(|tally| tally.servers).collect();
    let last = servers.last()?;
    Some(Check {
        check: "losses",
        status: if sessions > 0 { CheckStatus::Warn } else { CheckStatus::Ok },
        found: format!(
            "{turns} turns of {sessions} sessions; the server was replaced or started anew, last noticed {}",
            output::Time(*last)
        ),
        advice: (sessions > 0).then_some(
            "their histories name them (event `loss`, `tenure show`); an agent with durability replicas:1 loses none",
        ),
    })
}

/// What of agents and members cannot be read. It is left out, but for an agent's: nobody sends to that one, or starts to serve it.
async fn rows(store: &RedisStore) -> Option<Check> {
    let rows = store.unreadable_rows().await.ok().filter(|rows| !rows.is_empty())?;
    let named: Vec<_> = rows.iter().map(|(table, row)| format!("{row:?} in {table}")).collect();
    let is_needed = store.agents().await.is_ok_and(|agents| !agents.unreadable.is_empty());
    Some(Check {
        check: "rows",
        status: if is_needed { CheckStatus::Fail } else { CheckStatus::Warn },
        found: format!("cannot be read: {}", named.join(", ")),
        advice: Some(match is_needed {
            true => {
                "HDEL it there if no newer version of tenure wrote it: no message is taken for such an agent, and no worker of it starts"
            }
            false => "HDEL it there if no newer version of tenure wrote it",
        }),
    })
}

/// A plain door that is none.
async fn doors(store: &RedisStore) -> Option<Check> {
    for door in store.partitions().doors() {
        match store.ingress(door, 1, Duration::ZERO).await {
            Ok(_) => (),
            Err(StoreError::Unreadable { .. }) => return Some(no_door(store.keys().ingress(door))),
            // Another check's: whoever may not look, or gets no answer.
            Err(_) => return None,
        }
    }
    None
}

fn no_door(key: String) -> Check {
    Check {
        check: "door",
        status: CheckStatus::Fail,
        found: format!("{key} is not a stream"),
        advice: Some("RENAME that key: it is where entries of the plain door belong"),
    }
}

/// Each once, in order of appearance.
pub(crate) fn distinct(classes: impl Iterator<Item = Durability>) -> Vec<Durability> {
    classes.fold(Vec::new(), |mut distinct, class| {
        if !distinct.contains(&class) {
            distinct.push(class);
        }
        distinct
    })
}

/// A worker's look before it starts, which is to honour these classes: what fails stops it, what warns is logged.
pub(crate) async fn examine(options: &Options, classes: &[Durability]) -> Result<(), Failure> {
    let checks = look(options, Role::Worker, classes).await;
    for Check { check, found, advice, .. } in checks.iter().filter(|check| check.status == CheckStatus::Warn)
    {
        warn!(check, found, advice, "this Redis could serve better");
    }
    match failed(&checks).first() {
        None => Ok(()),
        Some(Check { check, found, advice, .. }) => {
            let advice = advice.unwrap_or("see `tenure doctor`");
            Err(Failure::new(
                exit_for(check),
                format!("this Redis is not fit for a worker: {check}: {found}: {advice}"),
            ))
        }
    }
}

/// What a worker that does not start ends with.
fn exit_for(check: &str) -> Exit {
    match check {
        // What is away may come back by itself.
        MASTER_AWAY | CONNECTION => Exit::Unavailable,
        // It asks for what it is not given: a class, or rights.
        "durability" | "rights" | "scripting" => Exit::Refused,
        _ => Exit::Failed,
    }
}

async fn look(options: &Options, role: Role, classes: &[Durability]) -> Vec<Check> {
    let env = Env::system();
    let mut checks = checks(options, role, classes, || env.now().elapsed()).await;
    let of_classes = class_checks(options, role, classes).await;
    // What the classes ask for is said once, by them.
    checks.retain(|check| of_classes.iter().all(|other| other.check != check.check));
    checks.extend(of_classes);
    checks
}

fn failed(checks: &[Check]) -> Vec<&Check> {
    checks.iter().filter(|check| check.status == CheckStatus::Fail).collect()
}

fn absent(err: &StoreError) -> Check {
    Check {
        check: CONNECTION,
        status: CheckStatus::Fail,
        found: with_causes(err),
        advice: Some("start Redis, or name another with --redis (TENURE_REDIS)"),
    }
}

fn print(checks: &[Check], json: bool) -> Result<(), Failure> {
    if json {
        return checks.iter().try_for_each(output::json);
    }
    let rows: Vec<_> = checks.iter().map(row).collect();
    table(["STATUS", "CHECK", "FOUND", "ADVICE"], &rows)
}

fn row(check: &Check) -> [String; 4] {
    let status = match check.status {
        CheckStatus::Ok => "ok",
        CheckStatus::Warn => "warn",
        CheckStatus::Fail => "FAIL",
    };
    let Check { check, found, advice, .. } = check;
    [status.to_owned(), (*check).to_owned(), found.clone(), or_dash(*advice)]
}
