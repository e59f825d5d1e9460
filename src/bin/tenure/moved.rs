//! Agents that other workers serve in pools of which this worker's agents file does not know: then another file says otherwise.

use std::fmt;

use tenure::{
    agents::file::{AgentSpec, AgentsFile},
    model::{AgentName, Pool, WorkerId},
    store::{Member, MemberState, Store},
};
use tracing::warn;

use crate::output::or_dash;

/// A worker that serves an agent where by this file nobody does.
#[derive(Debug, PartialEq, Eq)]
struct Elsewhere<'a> {
    agent: &'a AgentName,
    worker: &'a WorkerId,
    pool: &'a Pool,
    /// What this file says.
    home: &'a Pool,
    moved_from: Option<&'a Pool>,
}

/// Warns a worker of `pool` before it starts. Who the others are is not known where nobody tells: then there is nothing to say.
pub(crate) async fn warn(store: &impl Store, agents: &AgentsFile, pool: &Pool) {
    let members = store.members().await.unwrap_or_default();
    for elsewhere in found(agents, pool, &members) {
        warn!("{elsewhere}");
    }
}

/// One of them for each agent that a worker of `pool` serves by this file.
fn found<'a>(agents: &'a AgentsFile, pool: &'a Pool, members: &'a [Member]) -> Vec<Elsewhere<'a>> {
    // Every worker has the built-in one, of whatever pool.
    let declared = agents.of_pool(pool).filter(|(agent, spec)| spec.line > 0 && agent.as_str() != "echo");
    declared.filter_map(|(agent, spec)| first_elsewhere(agent, spec, pool, members)).collect()
}

fn first_elsewhere<'a>(
    agent: &'a AgentName,
    spec: &'a AgentSpec,
    pool: &'a Pool,
    members: &'a [Member],
) -> Option<Elsewhere<'a>> {
    let (home, moved_from) = (spec.pool.as_ref().unwrap_or(pool), spec.moved_from.as_ref());
    let mut ready = members.iter().filter(|member| member.state == MemberState::Ready);
    let other = ready.find(|member| {
        member.agents.contains(agent) && member.pool != *home && Some(&member.pool) != moved_from
    })?;
    Some(Elsewhere { agent, worker: &other.worker, pool: &other.pool, home, moved_from })
}

impl fmt::Display for Elsewhere<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { agent, worker, pool, home, moved_from } = self;
        write!(
            f,
            "agent {agent} is served in pool {pool} by {worker}, and by this agents file belongs to {home} (moved_from {}): \
             give all workers one file, with the same moved_from",
            or_dash(*moved_from)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(worker: &str, pool: &str, agent: &str) -> Member {
        Member {
            worker: worker.parse().unwrap(),
            pool: pool.parse().unwrap(),
            agents: vec!["echo".parse().unwrap(), agent.parse().unwrap()],
            full: Default::default(),
            sessions: 0,
            running: 0,
            capacity: 1,
            since: tenure::model::Millis(0),
            state: MemberState::Ready,
            tally: Default::default(),
        }
    }

    fn file(text: &str) -> AgentsFile {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agents.toml");
        std::fs::write(&path, format!("[agents.a]\ntype = \"echo\"\n{text}")).unwrap();
        AgentsFile::read(&path, &|_| None).unwrap()
    }

    fn said(text: &str, pool: &str, members: &[Member]) -> Vec<String> {
        let pool = pool.parse().unwrap();
        found(&file(text), &pool, members).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_worker_that_another_file_lets_serve_an_agent_in_a_third_pool_is_named() {
        let moved = "pool = \"gpu\"\nmoved_from = \"old\"\n";
        let members = [member("w-1", "gpu", "a"), member("w-2", "old", "a"), member("w-3", "older", "a")];
        for pool in ["gpu", "old"] {
            let said = said(moved, pool, &members);
            assert!(said[0].contains("agent a is served in pool older by w-3"), "{said:?}");
            assert_eq!(said.len(), 1);
        }
        assert_eq!(said(moved, "gpu", &members[..2]), [""; 0], "all of one mind");
        let without = said("pool = \"gpu\"\n", "gpu", &members);
        assert!(
            without[0].contains("in pool old by w-2") && without[0].contains("(moved_from -)"),
            "{without:?}"
        );
    }

    #[test]
    fn what_is_served_everywhere_or_by_who_leaves_is_no_difference() {
        let moved = "pool = \"gpu\"\n";
        assert_eq!(said(moved, "gpu", &[member("w-1", "old", "b")]), [""; 0], "echo is everybody's");
        let draining = Member { state: MemberState::Draining, ..member("w-1", "old", "a") };
        assert_eq!(said(moved, "gpu", &[draining]), [""; 0]);
    }
}
