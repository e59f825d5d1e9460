//! From what a file declares to a worker that serves it.

use super::{AgentSpec, AgentsFile, BadAgentsFile, Kind, Level, Problem};
use crate::{
    agents::{Echo, Exec, Http},
    model::{AgentName, Pool},
    runtime::WorkerBuilder,
    store::Store,
};

impl AgentsFile {
    /// Has a worker of `pool` serve the agents that belong to it. Refused where one of
    /// them cannot be.
    pub fn serve<S: Store>(
        &self,
        pool: &Pool,
        builder: WorkerBuilder<S>,
    ) -> Result<WorkerBuilder<S>, BadAgentsFile> {
        self.of_pool(pool).try_fold(builder, |builder, (name, spec)| {
            spec.serve(name, builder).map_err(|why| BadAgentsFile::new(vec![self.problem(name, spec, why)]))
        })
    }

    fn problem(&self, name: &AgentName, spec: &AgentSpec, problem: String) -> Problem {
        let (file, agent) = (self.name.clone(), Some(name.to_string()));
        Problem { level: Level::Error, file, line: spec.line, agent, problem }
    }

    /// The agents that a worker of `pool` serves: its own, those that were its own, and those of no declared pool.
    pub fn of_pool(&self, pool: &Pool) -> impl Iterator<Item = (&AgentName, &AgentSpec)> {
        self.agents.iter().filter(move |(_, spec)| spec.is_served_in(pool))
    }
}

impl AgentSpec {
    /// Has a worker serve this agent as `agent`; else why it cannot.
    fn serve<S: Store>(
        &self,
        agent: &AgentName,
        builder: WorkerBuilder<S>,
    ) -> Result<WorkerBuilder<S>, String> {
        let (name, home, policy) = (agent.as_str(), self.home(), self.policy.clone());
        match &self.kind {
            Kind::Echo => Ok(builder.agent_in(home, name, Echo, policy)),
            Kind::Exec(spec) => {
                let exec = Exec::new(agent.clone(), spec.clone(), policy.clone());
                Ok(builder.agent_in(home, name, exec, policy))
            }
            Kind::Http(spec) => {
                let http = Http::of(spec).map_err(|why| why.to_string())?;
                Ok(builder.agent_in(home, name, http, policy))
            }
        }
    }
}
