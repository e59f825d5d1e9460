//! From what a file declares to a worker that serves it.

use super::{AgentSpec, AgentsFile, BadAgentsFile, Kind, Level, Problem};
use crate::{
    agents::Echo,
    model::{AgentName, Durability, Pool},
    runtime::WorkerBuilder,
    store::Store,
};

impl AgentsFile {
    /// Has a worker of `pool` serve the agents that belong to it. Refused where one of them wants a
    /// durability that this version does not give.
    pub fn serve<S: Store>(
        &self,
        pool: &Pool,
        builder: WorkerBuilder<S>,
    ) -> Result<WorkerBuilder<S>, BadAgentsFile> {
        let beyond = self.of_pool(pool).filter(|(_, spec)| spec.durability != Durability::MEMORY);
        let lines: Vec<_> = beyond.map(|(name, _)| Some(name.as_str())).collect();
        let refused = self.warnings.iter().filter(|warning| lines.contains(&warning.agent.as_deref()));
        let refused: Vec<Problem> = refused.cloned().collect();
        if !refused.is_empty() {
            return Err(BadAgentsFile::new(refused));
        }
        self.of_pool(pool).try_fold(builder, |builder, (name, spec)| {
            spec.serve(name, builder).map_err(|why| BadAgentsFile::new(vec![self.problem(name, spec, why)]))
        })
    }

    fn problem(&self, name: &AgentName, spec: &AgentSpec, problem: String) -> Problem {
        let (file, agent) = (self.name.clone(), Some(name.to_string()));
        Problem { level: Level::Error, file, line: spec.line, agent, problem }
    }

    /// The agents that a worker of `pool` serves: its own, and those of no declared pool.
    pub fn of_pool(&self, pool: &Pool) -> impl Iterator<Item = (&AgentName, &AgentSpec)> {
        self.agents.iter().filter(move |(_, spec)| spec.pool.as_ref().is_none_or(|declared| declared == pool))
    }
}

impl AgentSpec {
    /// Has a worker serve this agent as `name`; else why it cannot.
    fn serve<S: Store>(
        &self,
        name: &AgentName,
        builder: WorkerBuilder<S>,
    ) -> Result<WorkerBuilder<S>, String> {
        let (name, policy) = (name.as_str(), self.policy.clone());
        match &self.kind {
            Kind::Echo => Ok(builder.agent_with(name, Echo, policy)),
            kind @ (Kind::Exec(_) | Kind::Http(_)) => {
                Err(format!("this version cannot serve agents of type {} yet", kind.name()))
            }
        }
    }
}
