//! Where an agent's new sessions belong, and what becomes of a worker that has another idea of it.
//!
//! A worker declares before anything of it is seen, and looks again when everybody sees it: of two that start at once
//! with different ideas the later look finds the other one there, so at most one of them starts. One that goes on as a fresh
//! incarnation is kept from nothing: it serves what belongs to its own pool, and says whose agent it is by now.

use tracing::{info, warn};

use super::{
    incarnation::{Hosted, Incarnation},
    worker::StartError,
};
use crate::{
    model::{AgentName, Pool},
    store::{Declared, Store, StoreResult},
};

/// Where an agent's new sessions belong, as a worker that serves it has it.
///
/// A worker does not start while others serve the agent in another home.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Home {
    /// The worker's own pool.
    #[default]
    Own,
    /// This pool. A worker of another one keeps the sessions that belong to its own, and gets no new ones.
    In(Pool),
    /// Where workers serve it already; the worker's own pool where none does. Never keeps a worker from starting.
    Found,
}

impl Home {
    /// Which pool that is, to a worker of `own`.
    pub(super) fn of<'a>(&'a self, own: &'a Pool) -> &'a Pool {
        match self {
            Self::In(home) => home,
            Self::Own | Self::Found => own,
        }
    }
}

impl<S: Store> Incarnation<S> {
    /// Declares all agents served here: the last worker to start has the last word. None where one is declared in a way that this
    /// version cannot read: that is not written over.
    pub(super) async fn declare(&self) -> Result<(), StartError> {
        let known = self.store.agents().await?;
        for (agent, hosted) in &*self.agents {
            // Whoever wrote what cannot be read here may be there, and serve the agent as it says.
            known.of(agent)?;
            self.declare_one(agent, hosted).await?;
        }
        Ok(())
    }

    /// The later look: declares those that nobody knows, or that have another home by now; what else another worker declared
    /// stays. Leaves again if others serve its agents in another home.
    pub(super) async fn declare_again(&self) -> Result<(), StartError> {
        let declared = self.declare_strayed().await;
        if let Err(StartError::ServedElsewhere { .. }) = &declared {
            self.say_goodbye().await;
        }
        declared
    }

    async fn declare_strayed(&self) -> Result<(), StartError> {
        let known = self.store.agents().await?;
        for (agent, hosted) in &*self.agents {
            if known.of(agent)?.is_none_or(|how| how.pool != *hosted.home.of(self.pool())) {
                self.declare_one(agent, hosted).await?;
            }
        }
        Ok(())
    }

    /// Declares what the server has forgotten, as after the loss of its data, and what has another home than it should, as
    /// after a start elsewhere that failed. An agent that others serve in that other home is left to them, with a warning.
    pub(super) async fn keep_homes(&self) -> StoreResult<()> {
        let known = self.store.agents().await?;
        for (agent, hosted) in &*self.agents {
            // What cannot be read is left as it is.
            let is_kept = known.of(agent).map_or(true, |how| {
                how.is_some_and(|how| hosted.home == Home::Found || how.pool == *hosted.home.of(self.pool()))
            });
            if !is_kept {
                self.keep_home(agent, hosted).await?;
            }
        }
        Ok(())
    }

    async fn keep_home(&self, agent: &AgentName, hosted: &Hosted) -> StoreResult<()> {
        match self.declare_one(agent, hosted).await {
            Ok(()) => Ok(()),
            Err(StartError::Store(err)) => Err(err),
            Err(err) => {
                warn!(worker = %self.worker, %err, "its new sessions go elsewhere; those of this pool are served");
                Ok(())
            }
        }
    }

    async fn declare_one(&self, agent: &AgentName, hosted: &Hosted) -> Result<(), StartError> {
        let how = hosted.declaration(self.pool());
        match self.store.declare(&self.worker, agent, &how).await? {
            Declared::Known(Some(before)) if before.pool != how.pool => {
                info!(%agent, from = %before.pool, to = %how.pool, "moved to another pool: new sessions belong there, old ones stay");
            }
            Declared::Known(_) => (),
            Declared::Elsewhere { pool, .. } if hosted.home == Home::Found => {
                info!(%agent, %pool, "its new sessions belong to another pool");
            }
            Declared::Elsewhere { pool, workers } => {
                return Err(StartError::ServedElsewhere {
                    agent: agent.clone(),
                    pool,
                    workers,
                    here: how.pool,
                });
            }
        }
        Ok(())
    }
}
