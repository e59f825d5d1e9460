//! Connections that are rebuilt: a *lane* is one multiplexed connection, replaced after an I/O error
//! or an answer that did not come in time.
//!
//! The client library never replaces a half-open connection (the peer is gone, nothing says so): its
//! commands time out one after the other. So here the first that times out takes the connection
//! away, and the next command builds a new one. However many callers wait for that, one attempt is
//! made, and all get its outcome.

use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use redis::{Cmd, Pipeline, RedisError, Value, aio::MultiplexedConnection};

use super::{
    errors::{again, ends_connection, is_demotion, is_forbidden, is_no_script},
    scripts::{Call, Name},
    target::{Connected, Server, Target},
    term::Term,
};
use crate::store::{Run, StoreError, StoreResult};

/// One multiplexed connection, rebuilt when it breaks. Clones share it.
#[derive(Clone)]
pub(super) struct Lane {
    target: Arc<Target>,
    state: Arc<Mutex<State>>,
    /// Whether each command is for a slot that is still on its way to this node.
    asking: bool,
}

/// A connection in use, and who answers it.
#[derive(Clone)]
struct Link {
    connection: MultiplexedConnection,
    server: Arc<Server>,
    term: Term,
    number: u64,
}

type Attempt = Shared<BoxFuture<'static, Result<Link, Arc<StoreError>>>>;

struct State {
    /// How many attempts were made.
    attempts: u64,
    line: Line,
}

enum Line {
    Down,
    Connecting(Attempt),
    Up(Link),
}

impl Lane {
    /// A lane that connects when it is first used.
    pub(super) fn new(target: Arc<Target>) -> Self {
        let state = State { attempts: 0, line: Line::Down };
        Self { target, state: Arc::new(Mutex::new(state)), asking: false }
    }

    /// The same connection for commands to a slot that is still on its way to this node.
    pub(super) fn asking(&self) -> Self {
        Self { asking: true, ..self.clone() }
    }

    /// Who answers; connects if need be.
    pub(super) async fn server(&self) -> StoreResult<Arc<Server>> {
        Ok(self.link().await?.server)
    }

    /// Runs one command.
    pub(super) async fn run(&self, command: &Cmd) -> StoreResult<Value> {
        let link = self.link().await?;
        self.ask(&link, command).await?.map_err(|error| self.error(error))
    }

    /// Runs one command, and says who answered.
    pub(super) async fn run_on(&self, command: &Cmd) -> StoreResult<(Arc<Server>, Value)> {
        let link = self.link().await?;
        let answer = self.ask(&link, command).await?.map_err(|error| self.error(error))?;
        Ok((link.server, answer))
    }

    /// Calls a script; loads it again and repeats the call if the server has forgotten it.
    pub(super) async fn call(&self, call: &Call) -> StoreResult<Value> {
        let link = self.link().await?;
        match self.ask(&link, &call.command).await? {
            Err(error) if is_no_script(&error) => {
                self.reload(&link, call).await?;
                self.run(&call.command).await
            }
            answered => answered.map_err(|error| self.error(error)),
        }
    }

    /// Calls a script; nothing where the server forbids that, or what the script does, to this user.
    pub(super) async fn call_if_allowed(&self, call: &Call) -> StoreResult<Option<Value>> {
        let link = self.link().await?;
        match self.ask(&link, &call.command).await? {
            Err(error) if is_forbidden(&error) => Ok(None),
            Err(error) if is_no_script(&error) => {
                self.reload(&link, call).await?;
                self.run(&call.command).await.map(Some)
            }
            answered => answered.map(Some).map_err(|error| self.error(error)),
        }
    }

    /// Calls a script, if this start of the server answers (any, if none is named). A connection knows one alone, so
    /// that what it sends is never answered by another.
    pub(super) async fn call_under(&self, run: Option<Run>, call: &Call) -> StoreResult<Option<Value>> {
        let link = self.link().await?;
        if run.is_some_and(|run| run != Run::named(&link.server.run_id)) {
            return Ok(None);
        }
        match self.ask(&link, &call.command).await? {
            Err(error) if is_no_script(&error) => {
                self.reload(&link, call).await?;
                self.ask(&link, &call.command).await?.map(Some).map_err(|error| self.error(error))
            }
            answered => answered.map(Some).map_err(|error| self.error(error)),
        }
    }

    /// Runs a pipeline; a command's error fails it all.
    pub(super) async fn all(&self, pipeline: &Pipeline) -> StoreResult<Vec<Value>> {
        let link = self.link().await?;
        self.ask_all(&link, pipeline).await?.map_err(|error| self.error(error))
    }

    /// Whether its commands are for a slot that is still on its way.
    pub(super) fn is_asking(&self) -> bool {
        self.asking
    }

    /// Runs a pipeline whose commands may fail by themselves: their errors stand among the values.
    pub(super) async fn each(&self, pipeline: &Pipeline) -> StoreResult<Vec<Value>> {
        if self.asking {
            let link = self.link().await?;
            let asked = send_asking(link.connection.clone(), pipeline);
            return self.answer(&link, asked).await?.map_err(|error| self.error(error));
        }
        Ok(self.each_within(pipeline, Duration::ZERO).await?.1)
    }

    /// The same, for a pipeline that blocks for so long at most; and who answered.
    pub(super) async fn each_within(
        &self,
        pipeline: &Pipeline,
        blocks: Duration,
    ) -> StoreResult<(Arc<Server>, Vec<Value>)> {
        let link = self.link().await?;
        let mut connection = link.connection.clone();
        let asked = connection.send_packed_commands(pipeline, 0, pipeline.len());
        let values = self.answer_within(&link, blocks, asked).await?.map_err(|error| self.error(error))?;
        if values.iter().any(|value| self.is_left_at(value)) {
            self.give_up(&link);
        }
        Ok((link.server, values))
    }

    /// Makes sure that the server knows all scripts.
    pub(super) async fn load_all(&self) -> StoreResult<()> {
        let mut load = redis::pipe();
        for command in self.target.scripts.load_all() {
            load.add_command(command);
        }
        self.all(&load).await.map(drop)
    }

    /// The beginning of a call.
    pub(super) fn script<K: AsRef<str>>(&self, name: Name, keys: &[K]) -> Call {
        self.target.scripts.call(name, keys)
    }

    async fn reload(&self, link: &Link, call: &Call) -> StoreResult<()> {
        match self.ask(link, &self.target.scripts.load(call.name)).await? {
            Err(error) if is_forbidden(&error) => Err(StoreError::Refused(format!(
                "{} knows no script `{}`, and this user may not load it: the next worker to connect does",
                self.target.address(),
                call.name.as_str()
            ))),
            loaded => loaded.map(drop).map_err(|error| self.error(error)),
        }
    }

    async fn ask(&self, link: &Link, command: &Cmd) -> StoreResult<Result<Value, RedisError>> {
        let mut connection = link.connection.clone();
        if self.asking {
            let mut alone = redis::pipe();
            alone.add_command(command.clone());
            let asked = async { send_asking(connection, &alone).await?.remove(0).extract_error() };
            return self.answer(link, asked).await;
        }
        let asked = async { connection.send_packed_command(command).await?.extract_error() };
        self.answer(link, asked).await
    }

    async fn ask_all(&self, link: &Link, pipeline: &Pipeline) -> StoreResult<Result<Vec<Value>, RedisError>> {
        let mut connection = link.connection.clone();
        if self.asking {
            let asked = async {
                let values = send_asking(connection, pipeline).await?.into_iter();
                values.map(Value::extract_error).collect()
            };
            return self.answer(link, asked).await;
        }
        self.answer(link, pipeline.query_async(&mut connection)).await
    }

    /// Waits for an answer; without one in time, or with a broken connection, the link is given up.
    async fn answer<T>(
        &self,
        link: &Link,
        asked: impl Future<Output = Result<T, RedisError>>,
    ) -> StoreResult<Result<T, RedisError>> {
        self.answer_within(link, Duration::ZERO, asked).await
    }

    /// The same, where the server blocks for so long at most.
    async fn answer_within<T>(
        &self,
        link: &Link,
        blocks: Duration,
        asked: impl Future<Output = Result<T, RedisError>>,
    ) -> StoreResult<Result<T, RedisError>> {
        let answered = tokio::time::timeout(self.target.timeout + blocks, link.term.outlasts(asked)).await;
        let answered = match answered {
            Ok(Some(answered)) => answered,
            Ok(None) => {
                self.give_up(link);
                return Err(self.target.moved());
            }
            Err(_) => {
                self.give_up(link);
                return Err(self.target.too_late());
            }
        };
        if answered
            .as_ref()
            .is_err_and(|error| ends_connection(error) || self.target.is_left_at(error.code()))
        {
            self.give_up(link);
        }
        Ok(answered)
    }

    /// The value, unless it is an error.
    pub(super) fn checked(&self, value: Value) -> StoreResult<Value> {
        match value {
            Value::ServerError(error) => Err(self.error(error.into())),
            value => Ok(value),
        }
    }

    fn error(&self, error: RedisError) -> StoreError {
        self.target.error(error)
    }

    /// Whether an answer in a pipeline says that the server is one to leave.
    fn is_left_at(&self, value: &Value) -> bool {
        let Value::ServerError(error) = value else { return false };
        is_demotion(Some(error.code())) || self.target.is_left_at(Some(error.code()))
    }

    /// The connection, or a share in the attempt to make one.
    async fn link(&self) -> StoreResult<Link> {
        let attempt = {
            let mut state = self.state();
            match &state.line {
                Line::Up(link) if !link.term.is_over() => return Ok(link.clone()),
                Line::Connecting(attempt) => attempt.clone(),
                Line::Up(_) | Line::Down => {
                    state.attempts += 1;
                    let attempt = connect(self.target.clone(), state.attempts);
                    state.line = Line::Connecting(attempt.clone());
                    attempt
                }
            }
        };
        let made = attempt.clone().await;
        self.settle(&attempt, &made);
        made.map_err(|error| again(&error))
    }

    /// Puts the outcome of an attempt in its place, unless another who waited for it has.
    fn settle(&self, attempt: &Attempt, made: &Result<Link, Arc<StoreError>>) {
        let mut state = self.state();
        if matches!(&state.line, Line::Connecting(current) if current.ptr_eq(attempt)) {
            state.line = match made {
                Ok(link) => Line::Up(link.clone()),
                Err(_) => Line::Down,
            };
        }
    }

    /// Connects anew for the next call, unless that was done since `seen` answered.
    pub(super) fn connect_again(&self, seen: &Server) {
        let mut state = self.state();
        if matches!(&state.line, Line::Up(link) if *link.server == *seen) {
            drop(mem::replace(&mut state.line, Line::Down));
            tracing::debug!(address = self.target.address(), "whose history it is must be asked again");
        }
    }

    /// Takes a connection away, unless that has been done.
    fn give_up(&self, broken: &Link) {
        let mut state = self.state();
        if matches!(&state.line, Line::Up(link) if link.number == broken.number) {
            drop(mem::replace(&mut state.line, Line::Down));
            tracing::debug!(address = self.target.address(), "connection given up");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics with the lock held")
    }
}

/// Sends a pipeline, each command as one to a slot that is still on its way.
async fn send_asking(
    mut connection: MultiplexedConnection,
    pipeline: &Pipeline,
) -> Result<Vec<Value>, RedisError> {
    let mut asking = redis::pipe();
    for command in pipeline.cmd_iter() {
        asking.cmd("ASKING").add_command(command.clone());
    }
    let answers = connection.send_packed_commands(&asking, 0, asking.len()).await?;
    Ok(answers.into_iter().skip(1).step_by(2).collect())
}

/// One attempt, which all who wait for it share. It ends within the target's time-out.
fn connect(target: Arc<Target>, number: u64) -> Attempt {
    let attempt = async move {
        let made = tokio::time::timeout(target.timeout, target.connect()).await;
        let Connected { connection, server, term } =
            made.unwrap_or_else(|_| Err(target.too_late())).map_err(Arc::new)?;
        Ok(Link { connection, server: Arc::new(server), term, number })
    };
    attempt.boxed().shared()
}
