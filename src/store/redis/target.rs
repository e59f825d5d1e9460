//! The server that all connections of a store lead to, and what each looks at before its first use.

use std::{future::Future, sync::Arc, time::Duration};

use redis::{
    AsyncConnectionConfig, Client, ProtocolVersion, RedisError,
    aio::{AsyncPushSender, MultiplexedConnection},
};

use super::{
    errors::{is_failover, is_forbidden, moved, store_error, unanswered},
    replicated::Replicated,
    scripts::Scripts,
    sentinel::Sentinels,
    term::Term,
    tls::{self, Tls},
    topology::Topology,
};
use crate::store::{StoreError, StoreResult};

/// Where a server is, how long it may take, and the scripts it is to know.
#[derive(Debug)]
pub(super) struct Target {
    way: Way,
    address: String,
    database: i64,
    pub(super) timeout: Duration,
    pub(super) scripts: Scripts,
}

/// How the server is found.
#[derive(Debug)]
enum Way {
    Fixed(Box<Client>),
    Replicated(Arc<Replicated>),
}

/// A connection, who answers it, and until when it leads to the primary.
pub(super) struct Connected {
    pub(super) connection: MultiplexedConnection,
    pub(super) server: Server,
    pub(super) term: Term,
}

/// How a connection is made.
pub(super) struct Opening {
    pub(super) config: AsyncConnectionConfig,
    pub(super) protocol: ProtocolVersion,
    pub(super) patience: Patience,
}

/// How long an answer is waited for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience(pub(super) Duration);

/// What a server says of itself: a change of either id puts every lease in doubt.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Server {
    /// Drawn at each start of the server.
    pub run_id: String,
    /// Drawn whenever a server begins a line of history of its own.
    pub replication_id: String,
    /// `master`, or `slave`, which is refused.
    pub role: String,
    /// The server's version, as it says.
    pub version: String,
}

impl Target {
    /// Parses the address. An error never repeats it: it may hold a password.
    pub(super) fn new(url: &str, tls: &Tls, timeout: Duration, scripts: Scripts) -> StoreResult<Self> {
        let topology = Topology::parse(url)?;
        let database = topology.database();
        let (way, address) = match topology {
            Topology::Single(info) => {
                let address = info.addr().to_string();
                (Way::Fixed(Box::new(tls::client(info, tls)?)), address)
            }
            Topology::Sentinel(watched) => {
                let address = watched.name.clone();
                (Way::Replicated(Arc::new(Replicated::new(watched, tls, Patience(timeout))?)), address)
            }
        };
        Ok(Self { way, address, database, timeout, scripts })
    }

    /// What opens connections to the server: behind sentinels, to the primary as it is now.
    pub(super) async fn client(&self) -> StoreResult<(Client, Term)> {
        match &self.way {
            Way::Fixed(client) => Ok((Client::clone(client), Term::lasting())),
            Way::Replicated(replicated) => {
                let Connected { term, .. } = replicated.open(&self.opening()).await?;
                let primary = replicated.reign.primary().expect("it was found");
                Ok((replicated.client(&primary, ProtocolVersion::RESP2)?, term))
            }
        }
    }

    /// The primary behind sentinels, if that is what it is.
    pub(super) fn replicated(&self) -> Option<&Arc<Replicated>> {
        match &self.way {
            Way::Fixed(_) => None,
            Way::Replicated(replicated) => Some(replicated),
        }
    }

    /// Those who name the primary, if anybody does.
    pub(super) fn sentinels(&self) -> Option<&Sentinels> {
        self.replicated().map(|replicated| &replicated.sentinels)
    }

    /// Host and port, or what sentinels call the primary; for people.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// The host alone.
    pub(super) fn host(&self) -> &str {
        self.address.rsplit_once(':').map_or("", |(host, _)| host)
    }

    /// The number of the database.
    pub(super) fn database(&self) -> i64 {
        self.database
    }

    /// Connections that leave it to us how long an answer may take.
    pub(super) fn connection_config(&self) -> AsyncConnectionConfig {
        AsyncConnectionConfig::new().set_connection_timeout(Some(self.timeout)).set_response_timeout(None)
    }

    /// A connection to a server that takes writes and knows the scripts.
    pub(super) async fn connect(&self) -> StoreResult<Connected> {
        let mut connected = self.connect_plain().await?;
        let mut load = redis::pipe();
        for command in self.scripts.load_all() {
            load.add_command(command);
        }
        let loaded = async {
            match load.exec_async(&mut connected.connection).await {
                // A client need not be allowed to: workers have loaded them.
                Err(error) if is_forbidden(&error) => Ok(()),
                loaded => loaded,
            }
        };
        self.answer_to(loaded).await?;
        Ok(connected)
    }

    /// A connection to a server that takes writes.
    pub(super) async fn connect_plain(&self) -> StoreResult<Connected> {
        self.open(self.opening()).await
    }

    /// A connection to whatever server answers; behind sentinels, to the primary.
    pub(super) async fn connect_any(&self) -> StoreResult<MultiplexedConnection> {
        match &self.way {
            Way::Fixed(client) => self.open_fixed(client, &self.opening()).await,
            Way::Replicated(replicated) => Ok(replicated.open(&self.opening()).await?.connection),
        }
    }

    /// A connection that hands what is pushed to `sender`.
    pub(super) async fn connect_pushed(&self, sender: impl AsyncPushSender) -> StoreResult<Connected> {
        let config = self.connection_config().set_push_sender(sender);
        self.open(Opening { config, protocol: ProtocolVersion::RESP3, ..self.opening() }).await
    }

    /// Finds out who is the primary now, as a new connection does: if it is another, all that lead to the one before end.
    pub(super) async fn look_again(&self) {
        if let Err(error) = self.connect_plain().await {
            tracing::debug!(address = self.address, %error, "who is the primary is not known");
        }
    }

    /// Waits for an answer no longer than is allowed.
    pub(super) async fn answer_to<T>(
        &self,
        asked: impl Future<Output = Result<T, RedisError>>,
    ) -> StoreResult<T> {
        match tokio::time::timeout(self.timeout, asked).await {
            Ok(answered) => answered.map_err(|error| self.error(error)),
            Err(_) => Err(self.too_late()),
        }
    }

    /// What an error means here: what says that a server was replaced passes where another is found by itself.
    pub(super) fn error(&self, error: RedisError) -> StoreError {
        let passes = self.replicated().is_some() && is_failover(error.code());
        match store_error(&self.address, error) {
            StoreError::Refused(why) if passes => unanswered(&self.address, why),
            error => error,
        }
    }

    /// Whether a connection that gave this error should not be used again, though it stands.
    pub(super) fn is_left_at(&self, code: Option<&str>) -> bool {
        self.replicated().is_some() && is_failover(code)
    }

    /// There was no answer in time.
    pub(super) fn too_late(&self) -> StoreError {
        Patience(self.timeout).over(&self.address)
    }

    /// The server that was asked is the primary no more.
    pub(super) fn moved(&self) -> StoreError {
        moved(&self.address)
    }

    fn opening(&self) -> Opening {
        let config = self.connection_config();
        Opening { config, protocol: ProtocolVersion::RESP2, patience: Patience(self.timeout) }
    }

    async fn open(&self, opening: Opening) -> StoreResult<Connected> {
        let client = match &self.way {
            Way::Fixed(client) => client,
            Way::Replicated(replicated) => return replicated.open(&opening).await,
        };
        let mut connection = self.open_fixed(client, &opening).await?;
        let server = Server::of(&mut connection, &self.address, opening.patience).await?;
        if server.role != "master" {
            let why = format!("{} is a replica: connect to its primary", self.address);
            return Err(StoreError::Refused(why));
        }
        Ok(Connected { connection, server, term: Term::lasting() })
    }

    async fn open_fixed(&self, client: &Client, opening: &Opening) -> StoreResult<MultiplexedConnection> {
        let info = client.get_connection_info().clone();
        let settings = info.redis_settings().clone().set_protocol(opening.protocol);
        let client = Client::open(info.set_redis_settings(settings)).map_err(|error| self.error(error))?;
        self.answer_to(client.get_multiplexed_async_connection_with_config(&opening.config)).await
    }
}

impl Patience {
    /// Waits for an answer of `address` no longer than this.
    pub(super) async fn wait<T>(
        self,
        address: &str,
        asked: impl Future<Output = Result<T, RedisError>>,
    ) -> StoreResult<T> {
        match tokio::time::timeout(self.0, asked).await {
            Ok(answered) => answered.map_err(|error| store_error(address, error)),
            Err(_) => Err(self.over(address)),
        }
    }

    /// Half of it: so that another may be tried.
    pub(super) fn half(self) -> Self {
        Self(self.0 / 2)
    }

    fn over(self, address: &str) -> StoreError {
        unanswered(address, format!("no answer within {:?}", self.0))
    }
}

impl Server {
    /// Asks who answers.
    pub(super) async fn of(
        connection: &mut MultiplexedConnection,
        address: &str,
        patience: Patience,
    ) -> StoreResult<Self> {
        let mut ask = redis::pipe();
        ask.cmd("INFO").arg("server").cmd("INFO").arg("replication");
        let answers: (String, String) = patience.wait(address, ask.query_async(connection)).await?;
        Ok(read_server(&format!("{}\n{}", answers.0, answers.1)))
    }

    /// Asks whether it still is one that takes writes; without an answer it is not.
    pub(super) async fn is_primary(connection: &mut MultiplexedConnection) -> bool {
        let mut ask = redis::cmd("INFO");
        let answer: Result<String, _> = ask.arg("replication").query_async(connection).await;
        answer.is_ok_and(|info| read_server(&info).role == "master")
    }
}

/// The fields of `INFO`, as far as a connection looks at them.
fn read_server(info: &str) -> Server {
    let field = |name: &str| {
        let value = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value.unwrap_or_default().trim().to_owned()
    };
    Server {
        run_id: field("run_id"),
        replication_id: field("master_replid"),
        role: field("role"),
        version: field("redis_version"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn info_is_read_by_whole_names() {
        let server = read_server(
            "redis_version:7.0.15\r\nrun_id:ab\r\nrole:master\r\nmaster_replid2:0\r\nmaster_replid:cd\r\n",
        );
        assert_eq!((server.run_id.as_str(), server.replication_id.as_str()), ("ab", "cd"));
        assert_eq!((server.role.as_str(), server.version.as_str()), ("master", "7.0.15"));
    }

    #[test]
    fn a_bad_address_is_refused_without_repeating_it() {
        for bad in
            ["", "nonsense", "http://u:secret@h", "redis://u:secret@h:port", "rediss://u:secret@h/#insecure"]
        {
            let target = Target::new(bad, &Tls::default(), Duration::from_secs(1), Scripts::embedded());
            let error = target.unwrap_err();
            assert!(matches!(error, StoreError::Refused(_)), "{error:?}");
            assert!(!format!("{error:?}").contains("secret"));
        }
    }
}
