//! Connections for administration: a pool of plain ones, for commands that nothing waits for.

use std::sync::Arc;

use deadpool_redis::{Connection, Manager, Pool, PoolError, Runtime};
use redis::{Cmd, Pipeline, Value};

use super::{
    errors::{store_error, unanswered},
    target::Target,
};
use crate::store::{StoreError, StoreResult};

/// How many connections the pool has at most.
const CONNECTIONS: usize = 8;

/// Runs commands on a pool of connections.
#[derive(Clone)]
pub(super) struct Admin {
    target: Arc<Target>,
    pool: Pool,
}

impl Admin {
    pub(super) fn new(target: Arc<Target>) -> StoreResult<Self> {
        // The pool's own configuration would leave the client's response time-out at half a second.
        let (info, config) = (target.connection_info().clone(), target.connection_config());
        let manager =
            Manager::new_with_config(info, config).map_err(|error| store_error(target.address(), error))?;
        let pool = Pool::builder(manager)
            .max_size(CONNECTIONS)
            .runtime(Runtime::Tokio1)
            .timeouts(deadpool_redis::Timeouts {
                wait: Some(target.timeout),
                create: Some(target.timeout),
                recycle: Some(target.timeout),
            })
            .build()
            .map_err(|error| unanswered(target.address(), error))?;
        Ok(Self { target, pool })
    }

    /// Runs one command.
    pub(super) async fn run(&self, command: &Cmd) -> StoreResult<Value> {
        let mut connection = self.connection().await?;
        let answered = self.target.answer_to(command.query_async(&mut connection)).await;
        self.unless_broken(connection, answered)
    }

    /// Runs a pipeline; a command's error fails it all.
    pub(super) async fn all(&self, pipeline: &Pipeline) -> StoreResult<Vec<Value>> {
        let mut connection = self.connection().await?;
        let answered = self.target.answer_to(pipeline.query_async(&mut connection)).await;
        self.unless_broken(connection, answered)
    }

    /// The pool tries its idle connections one after the other; that must not take longer than one may.
    async fn connection(&self) -> StoreResult<Connection> {
        match tokio::time::timeout(self.target.timeout, self.pool.get()).await {
            Ok(taken) => taken.map_err(|error| self.error(error)),
            Err(_) => {
                self.forget_idle();
                Err(self.target.too_late())
            }
        }
    }

    /// Puts a connection back, but not one that did not answer: then the others will not either.
    fn unless_broken<T>(&self, connection: Connection, answered: StoreResult<T>) -> StoreResult<T> {
        if matches!(answered, Err(StoreError::Unavailable(_))) {
            drop(Connection::take(connection));
            self.forget_idle();
        }
        answered
    }

    fn forget_idle(&self) {
        self.pool.retain(|_, _| false);
    }

    fn error(&self, error: PoolError) -> StoreError {
        match error {
            PoolError::Backend(error) => store_error(self.target.address(), error),
            other => unanswered(self.target.address(), other),
        }
    }
}
