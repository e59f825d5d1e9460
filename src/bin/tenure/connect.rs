//! How a command gets to its namespace.

use std::{sync::Arc, time::Duration};

use redis::aio::MultiplexedConnection;
use tenure::{
    Env,
    client::Client,
    model::Settings,
    store::{Configured, RedisStore, Sealed, Store, StoreError, StoreResult, redis::Options},
};

use crate::{
    failure::{Exit, Failure},
    global::Global,
};

/// What every command works on: a Redis, and the keys that are here, if any.
pub(crate) type Connected = Sealed<RedisStore>;

/// Between two tries to reach Redis.
const PAUSE: Duration = Duration::from_millis(100);

/// Makes a namespace without settings one with the defaults, in the unlikely event of a race this often.
const TRIES: usize = 3;

/// How Redis is reached; a malformed address, and certificates that are none, are found here.
pub(crate) fn options(global: &Global) -> Result<Options, Failure> {
    let (namespace, timeout) = (global.namespace.clone(), global.timeout);
    let options = Options { namespace, timeout, tls: global.tls()?, ..Options::new(global.address()?) };
    match options.check() {
        Ok(()) => Ok(options),
        Err(StoreError::Refused(why)) => Err(Failure::new(Exit::Usage, why)),
        Err(err) => Err(err.into()),
    }
}

/// A connection of a command's own, past the namespace; an answer on it may take `patience` longer than others.
pub(crate) async fn connection(
    global: &Global,
    patience: Duration,
) -> Result<MultiplexedConnection, Failure> {
    let client = options(global)?.client().await?;
    let config = redis::AsyncConnectionConfig::new()
        .set_connection_timeout(Some(global.timeout))
        .set_response_timeout(Some(global.timeout + patience));
    client.get_multiplexed_async_connection_with_config(&config).await.map_err(unavailable)
}

/// What became of a command on such a connection.
pub(crate) fn unavailable(err: redis::RedisError) -> Failure {
    Failure::new(Exit::Unavailable, format!("redis: {err}: check that it runs, and --redis (TENURE_REDIS)"))
}

/// The namespace's store.
pub(crate) async fn store(global: &Global) -> Result<Connected, Failure> {
    let keyring = global.keyring()?;
    let store = reach(&options(global)?).await?;
    Ok(Sealed::new(store, global.namespace.clone(), keyring, Arc::new(Env::system())))
}

/// Tries to reach the server, which may be loading its data, for as long as a single answer of it may take.
pub(crate) async fn reach(options: &Options) -> StoreResult<RedisStore> {
    let env = Env::system();
    let until = env.now().plus(options.timeout);
    loop {
        match RedisStore::connect(options.clone()).await {
            Err(err) if err.passes() && env.now().plus(PAUSE) < until => env.sleep(PAUSE).await,
            connected => return connected,
        }
    }
}

/// A client that changes nothing by being there.
pub(crate) async fn for_reading(global: &Global) -> Result<Client<Connected>, Failure> {
    Ok(client(store(global).await?, global))
}

/// A client of a namespace that has its settings: the defaults, if this is the first to come.
pub(crate) async fn for_writing(global: &Global) -> Result<Client<Connected>, Failure> {
    for _ in 0..TRIES {
        let store = store(global).await?;
        // A client may lack the right to write them, and need not.
        if store.inner().was_configured() {
            return Ok(client(store, global));
        }
        match store.configure(&Settings::default()).await? {
            Configured::Agreed => return Ok(client(store, global)),
            // A client has no settings of its own: it takes those that are there, and has if it saw them.
            Configured::Differs(theirs) if theirs.partitions == store.partitions().count() => {
                return Ok(client(store, global));
            }
            Configured::Differs(_) => (),
        }
    }
    Err(Failure::new(
        Exit::Unavailable,
        "the namespace's settings keep changing: see `tenure doctor`, and try again",
    ))
}

fn client(store: Connected, global: &Global) -> Client<Connected> {
    Client::new(store.showing_unopened(), Env::system()).with_patience(global.timeout)
}
