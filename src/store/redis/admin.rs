//! Connections for administration: a pool of plain ones, for commands that nothing waits for.

use std::sync::{Arc, Mutex, MutexGuard};

use deadpool_redis::{Connection, Hook, HookError, Manager, Pool, PoolError, Runtime};
use redis::{Client, Cmd, Pipeline, Value};

use super::{
    errors::unanswered,
    target::{Server, Target},
    term::Term,
};
use crate::store::{StoreError, StoreResult};

/// How many connections the pool has at most.
const CONNECTIONS: usize = 8;

/// Runs commands on a pool of connections.
#[derive(Clone)]
pub(super) struct Admin {
    target: Arc<Target>,
    /// All its connections lead to one server: where another becomes the primary it is made anew.
    pool: Arc<Mutex<Option<(Pool, Term)>>>,
}

impl Admin {
    /// A pool that is made when it is first used.
    pub(super) fn new(target: Arc<Target>) -> Self {
        Self { target, pool: Arc::default() }
    }

    /// Runs one command.
    pub(super) async fn run(&self, command: &Cmd) -> StoreResult<Value> {
        let (mut connection, term) = self.connection().await?;
        let asked = self.target.answer_to(command.query_async(&mut connection));
        let answered = term.outlasts(asked).await;
        self.unless_broken(connection, answered)
    }

    /// Runs a pipeline; a command's error fails it all.
    pub(super) async fn all(&self, pipeline: &Pipeline) -> StoreResult<Vec<Value>> {
        let (mut connection, term) = self.connection().await?;
        let asked = self.target.answer_to(pipeline.query_async(&mut connection));
        let answered = term.outlasts(asked).await;
        self.unless_broken(connection, answered)
    }

    /// The pool tries its idle connections one after the other; that must not take longer than one may.
    async fn connection(&self) -> StoreResult<(Connection, Term)> {
        let taken = async {
            let (pool, term) = self.pool().await?;
            let connection = pool.get().await.map_err(|error| self.error(error))?;
            Ok((connection, term))
        };
        let taken = tokio::time::timeout(self.target.timeout, taken).await;
        let taken = taken.unwrap_or_else(|_| Err(self.target.too_late()));
        taken.inspect_err(|_| self.forget())
    }

    /// The pool of the server that is the primary.
    async fn pool(&self) -> StoreResult<(Pool, Term)> {
        let made = self.made().clone();
        if let Some((pool, term)) = made.filter(|(_, term)| !term.is_over()) {
            return Ok((pool, term));
        }
        let (client, term) = self.target.client().await?;
        let pool = self.make(client)?;
        *self.made() = Some((pool.clone(), term.clone()));
        Ok((pool, term))
    }

    fn make(&self, client: Client) -> StoreResult<Pool> {
        let target = &self.target;
        // The pool's own configuration would leave the client's response time-out at half a second.
        let (info, config) = (client.get_connection_info().clone(), target.connection_config());
        let manager = Manager::new_with_config(info, config).map_err(|error| target.error(error))?;
        let pool = Pool::builder(manager).max_size(CONNECTIONS).runtime(Runtime::Tokio1).timeouts(
            deadpool_redis::Timeouts {
                wait: Some(target.timeout),
                create: Some(target.timeout),
                recycle: Some(target.timeout),
            },
        );
        let pool = if target.replicated().is_some() { pool.post_create(only_primaries()) } else { pool };
        pool.build().map_err(|error| unanswered(target.address(), error))
    }

    /// Puts a connection back, but not one that did not answer: then the others will not either.
    fn unless_broken<T>(&self, connection: Connection, answered: Option<StoreResult<T>>) -> StoreResult<T> {
        let answered = answered.unwrap_or_else(|| Err(self.target.moved()));
        if matches!(answered, Err(StoreError::Unavailable(_))) {
            drop(Connection::take(connection));
            self.forget();
        }
        answered
    }

    /// Nobody gets an idle connection any more; and who is the primary is asked again, where that may change.
    fn forget(&self) {
        let mut made = self.made();
        if self.target.replicated().is_some() {
            *made = None;
        } else if let Some((pool, _)) = &*made {
            pool.retain(|_, _| false);
        }
    }

    fn made(&self) -> MutexGuard<'_, Option<(Pool, Term)>> {
        self.pool.lock().expect("nobody panics with the lock held")
    }

    fn error(&self, error: PoolError) -> StoreError {
        match error {
            PoolError::Backend(error) => self.target.error(error),
            other => unanswered(self.target.address(), other),
        }
    }
}

/// A connection is made to the server that was the primary when the pool was made: it may be a replica by now.
fn only_primaries() -> Hook {
    Hook::async_fn(|connection, _| {
        Box::pin(async {
            match Server::is_primary(connection).await {
                true => Ok(()),
                false => Err(HookError::message("is no primary any more")),
            }
        })
    })
}
