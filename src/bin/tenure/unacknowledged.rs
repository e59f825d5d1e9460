//! Turns that are written and have not reached their class, as the workers that wait for it tell.

use tenure::store::{
    RedisStore, Store, Waiting,
    redis::{Check, CheckStatus},
};

use crate::output::Time;

/// How many are named.
const NAMED: usize = 3;

/// Those that are told of; nothing where there are none, or nobody tells.
pub(crate) async fn check(store: &RedisStore) -> Option<Check> {
    let tallies = store.members().await.ok()?.into_iter().map(|member| member.tally.unacknowledged);
    let (counts, named): (Vec<_>, Vec<_>) = tallies.map(|tally| (tally.sessions, tally.longest)).unzip();
    let mut named: Vec<_> = named.into_iter().flatten().collect();
    named.sort_by_key(|waiting| waiting.since);
    let first = named.first()?;
    // What keeps the first from being told keeps most of them.
    let lack = store.held_up(store.partitions().of(&first.session), first.class).await.ok().flatten();
    let cause = lack.as_ref().map(|lack| format!(": {}", lack.found)).unwrap_or_default();
    let sessions = counts.iter().sum::<usize>();
    let s = if sessions == 1 { "" } else { "s" };
    let each = named.iter().take(NAMED).map(line).collect::<Vec<_>>().join(", ");
    let more = if sessions > NAMED { ", …" } else { "" };
    Some(Check {
        check: "unacknowledged",
        status: CheckStatus::Warn,
        found: format!("what {sessions} session{s} wrote has not reached its class: {each}{more}{cause}"),
        advice: Some(lack.map_or(
            "look at the replicas (INFO replication: their lag) and at the disk: nothing is told before",
            |lack| lack.advice,
        )),
    })
}

fn line(Waiting { session, class, since }: &Waiting) -> String {
    format!("{session} for {class} since {}", Time(*since))
}
