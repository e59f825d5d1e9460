//! The server that all connections of a store lead to, and what each looks at before its first use.

use std::{future::Future, time::Duration};

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion,
    RedisError,
    aio::{AsyncPushSender, MultiplexedConnection},
    io::tcp::TcpSettings,
};

use super::{
    errors::{is_forbidden, store_error, unanswered},
    scripts::Scripts,
    tls::{self, Tls},
};
use crate::store::{StoreError, StoreResult};

/// Where a server is, how long it may take, and the scripts it is to know.
#[derive(Debug)]
pub(super) struct Target {
    client: Client,
    address: String,
    pub(super) timeout: Duration,
    pub(super) scripts: Scripts,
}

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
        let info = url.into_connection_info().map_err(|error| store_error("", error))?;
        let address = info.addr().to_string();
        let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP2);
        let client = tls::client(prompt(info.set_redis_settings(settings)), tls)?;
        Ok(Self { client, address, timeout, scripts })
    }

    /// What opens connections.
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Host and port, for people.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// The host alone; nothing where it is a socket's path.
    pub(super) fn host(&self) -> &str {
        match self.connection_info().addr() {
            ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => host,
            _ => "",
        }
    }

    /// The number of the database.
    pub(super) fn database(&self) -> i64 {
        self.connection_info().redis_settings().db()
    }

    /// What a connection is opened by.
    pub(super) fn connection_info(&self) -> &ConnectionInfo {
        self.client.get_connection_info()
    }

    /// Connections that leave it to us how long an answer may take.
    pub(super) fn connection_config(&self) -> AsyncConnectionConfig {
        AsyncConnectionConfig::new().set_connection_timeout(Some(self.timeout)).set_response_timeout(None)
    }

    /// A connection to a server that takes writes and knows the scripts.
    pub(super) async fn connect(&self) -> StoreResult<(MultiplexedConnection, Server)> {
        let (mut connection, server) = self.connect_plain().await?;
        let mut load = redis::pipe();
        for command in self.scripts.load_all() {
            load.add_command(command);
        }
        let loaded = async {
            match load.exec_async(&mut connection).await {
                // A client need not be allowed to: workers have loaded them.
                Err(error) if is_forbidden(&error) => Ok(()),
                loaded => loaded,
            }
        };
        self.answer_to(loaded).await?;
        Ok((connection, server))
    }

    /// A connection to a server that takes writes.
    pub(super) async fn connect_plain(&self) -> StoreResult<(MultiplexedConnection, Server)> {
        let mut connection = self.connect_any().await?;
        let server = self.identify(&mut connection).await?;
        Ok((connection, server))
    }

    /// A connection to whatever server answers.
    pub(super) async fn connect_any(&self) -> StoreResult<MultiplexedConnection> {
        let config = self.connection_config();
        self.answer_to(self.client.get_multiplexed_async_connection_with_config(&config)).await
    }

    /// A connection that hands what is pushed to `sender`.
    pub(super) async fn connect_pushed(
        &self,
        sender: impl AsyncPushSender,
    ) -> StoreResult<MultiplexedConnection> {
        let info = self.connection_info().clone();
        let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let client = Client::open(info.set_redis_settings(settings))
            .map_err(|error| store_error(&self.address, error))?;
        let config = self.connection_config().set_push_sender(sender);
        let mut connection =
            self.answer_to(client.get_multiplexed_async_connection_with_config(&config)).await?;
        self.identify(&mut connection).await?;
        Ok(connection)
    }

    /// Waits for an answer no longer than is allowed.
    pub(super) async fn answer_to<T>(
        &self,
        asked: impl Future<Output = Result<T, RedisError>>,
    ) -> StoreResult<T> {
        match tokio::time::timeout(self.timeout, asked).await {
            Ok(answered) => answered.map_err(|error| store_error(&self.address, error)),
            Err(_) => Err(self.too_late()),
        }
    }

    /// There was no answer in time.
    pub(super) fn too_late(&self) -> StoreError {
        unanswered(&self.address, format!("no answer within {:?}", self.timeout))
    }

    /// Who answers; a replica is refused.
    async fn identify(&self, connection: &mut MultiplexedConnection) -> StoreResult<Server> {
        let mut ask = redis::pipe();
        ask.cmd("INFO").arg("server").cmd("INFO").arg("replication");
        let answers: (String, String) = self.answer_to(ask.query_async(connection)).await?;
        let server = read_server(&format!("{}\n{}", answers.0, answers.1));
        if server.role != "master" {
            return Err(StoreError::Refused(format!(
                "{} is a replica: connect to its primary",
                self.address
            )));
        }
        Ok(server)
    }
}

/// Small answers must not wait for more to send.
fn prompt(info: ConnectionInfo) -> ConnectionInfo {
    info.set_tcp_settings(TcpSettings::default().set_nodelay(true))
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
