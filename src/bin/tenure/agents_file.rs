//! The agents file that a command is given, or finds.

use std::{
    env, io,
    path::{Path, PathBuf},
};

use tenure::{
    WorkerBuilder,
    agents::file::{AgentsFile, BadAgentsFile},
    model::{AgentName, Pool, WorkerConfig},
    store::Store,
};
use tracing::warn;

use crate::failure::{Exit, Failure};

/// Where `dev` and `check` look if they are told nothing.
pub(crate) const USUAL: &str = "agents.toml";

/// A variable of this process' environment, if it is set and UTF-8.
pub(crate) fn variable(name: &str) -> Option<String> {
    env::var(name).ok()
}

/// What a worker of `pool` is to serve: what the file says, or only echo without one.
pub(crate) fn of_worker(file: Option<&Path>, pool: &Pool) -> Result<AgentsFile, Failure> {
    let Some(path) = file else { return Ok(AgentsFile::built_in()) };
    let agents = read(path)?;
    let served: Vec<_> = agents.of_pool(pool).map(|(name, _)| name.as_str()).collect();
    let file = path.display();
    match served.as_slice() {
        [] => {
            let line = format!(
                "{file} has no agent for pool {pool}: see `tenure check {file}`, or give another --pool"
            );
            return Err(Failure::new(Exit::Usage, line));
        }
        ["echo"] if agents.agents.len() > 1 => {
            warn!(%pool, %file, "every agent of the file belongs to another pool: this worker serves only echo");
        }
        _ => (),
    }
    Ok(agents)
}

/// What `dev` is to serve, whatever its pool: what the file says, or `./agents.toml` where there is one.
/// Also from where it is, if from a file.
pub(crate) fn of_dev(file: Option<PathBuf>) -> Result<(AgentsFile, Option<PathBuf>), Failure> {
    let path = match file {
        Some(path) => path,
        None if is_absent(Path::new(USUAL)) => return Ok((AgentsFile::built_in(), None)),
        None => USUAL.into(),
    };
    Ok((read(&path)?.in_one_pool(), Some(path)))
}

/// A worker with these options that serves what belongs to its pool.
pub(crate) fn serve<S: Store>(
    agents: &AgentsFile,
    builder: WorkerBuilder<S>,
    config: WorkerConfig,
) -> Result<WorkerBuilder<S>, Failure> {
    let builder = agents.serve(&config.pool, builder).map_err(refused)?;
    Ok(builder.config(config))
}

/// The names of a file's agents, for people.
pub(crate) fn names(agents: &AgentsFile) -> String {
    agents.agents.keys().map(AgentName::as_str).collect::<Vec<_>>().join(", ")
}

fn read(path: &Path) -> Result<AgentsFile, Failure> {
    AgentsFile::read(path, &variable).map_err(refused)
}

fn refused(err: BadAgentsFile) -> Failure {
    Failure::new(Exit::Usage, err.to_string())
}

fn is_absent(path: &Path) -> bool {
    path.symlink_metadata().is_err_and(|err| err.kind() == io::ErrorKind::NotFound)
}
