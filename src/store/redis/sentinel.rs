//! Who the primary is, by those who watch it. All sentinels are asked at once, and nobody waits long for one that does not
//! answer: no majority is needed, for what they name is believed only once it says itself that it is a primary, and of two
//! that do the one counts that was elected later.

use std::{collections::BTreeMap, time::Duration};

use futures_util::stream::{FuturesUnordered, StreamExt};
use redis::{AsyncConnectionConfig, Client, ErrorKind, RedisError, Value, aio::MultiplexedConnection};
use tokio::time::timeout;

use super::{
    errors::{store_error, unanswered},
    term::Address,
    tls::{self, Tls},
    topology::Watched,
};
use crate::store::{StoreError, StoreResult};

/// How long a sentinel may take, as a part of what a server may.
const PART: u32 = 4;

/// How long the others are waited for when one has named a primary.
const OTHERS: Duration = Duration::from_millis(250);

/// Those who know where the primary is.
#[derive(Debug)]
pub(super) struct Sentinels {
    /// What they call it.
    pub(super) name: String,
    pub(super) each: Vec<Sentinel>,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Sentinel {
    client: Client,
    /// Host and port, for people.
    pub(super) address: String,
    patience: Duration,
}

/// What a sentinel says of the primary.
#[derive(Debug, Clone)]
pub(super) struct Named {
    pub(super) primary: Address,
    /// The number of the election that made it one.
    pub(super) election: u64,
    /// How many sentinels must agree that it is down.
    pub(super) quorum: u64,
    /// How many sentinels there are, as far as this one knows.
    pub(super) sentinels: u64,
}

/// What came of asking one: none if it does not know the name.
pub(super) type Said = StoreResult<Option<Named>>;

impl Sentinels {
    pub(super) fn new(watched: &Watched, tls: &Tls, patience: Duration) -> StoreResult<Self> {
        let sentinel = |info: &redis::ConnectionInfo| {
            let address = info.addr().to_string();
            let client = tls::client(info.clone(), tls)?;
            Ok(Sentinel { client, address, patience: patience / PART })
        };
        let each = watched.sentinels.iter().map(sentinel).collect::<StoreResult<_>>()?;
        Ok(Self { name: watched.name.clone(), each })
    }

    /// Whom they name, who was elected last first; nobody twice, and at least one.
    pub(super) async fn primaries(&self) -> StoreResult<Vec<Address>> {
        let said = self.ask(OTHERS).await;
        let mut named: Vec<_> = said.iter().filter_map(|(_, said)| said.as_ref().ok()?.clone()).collect();
        if named.is_empty() {
            return Err(self.nobody(said));
        }
        named.sort_by_key(|named| std::cmp::Reverse(named.election));
        let mut primaries = Vec::new();
        for Named { primary, .. } in named {
            if !primaries.contains(&primary) {
                primaries.push(primary);
            }
        }
        Ok(primaries)
    }

    /// What each says, as long as the next one takes no longer than `others` once one has named a primary.
    pub(super) async fn ask(&self, others: Duration) -> Vec<(&Sentinel, Said)> {
        let mut asked: FuturesUnordered<_> =
            self.each.iter().map(async |sentinel| (sentinel, sentinel.ask(&self.name).await)).collect();
        let mut said = Vec::new();
        let mut patience = Duration::MAX;
        while let Ok(Some(next)) = timeout(patience, asked.next()).await {
            if matches!(next.1, Ok(Some(_))) {
                patience = others;
            }
            said.push(next);
        }
        said
    }

    /// Why none of them names one.
    fn nobody(&self, said: Vec<(&Sentinel, Said)>) -> StoreError {
        if said.iter().any(|(_, said)| said.is_ok()) {
            return StoreError::Refused(format!(
                "no sentinel knows a primary `{}`: check the name behind the sentinels in --redis",
                self.name
            ));
        }
        let away = said.iter().any(|(_, said)| said.as_ref().is_err_and(StoreError::passes));
        let reasons: Vec<_> = said.iter().filter_map(|(_, said)| said.as_ref().err()).map(reason).collect();
        if away {
            return unanswered(&format!("no sentinel of `{}` answers", self.name), reasons.join("; "));
        }
        StoreError::Refused(reasons.join("; "))
    }
}

/// An error of the store without the words that it has in common with others of its kind.
fn reason(error: &StoreError) -> String {
    match error {
        StoreError::Refused(why) => why.clone(),
        StoreError::Unavailable(source) => source.to_string(),
        other => other.to_string(),
    }
}

impl Sentinel {
    /// A connection of its own for one question; both together take no longer than a sentinel may.
    async fn ask(&self, name: &str) -> Said {
        let asked = async {
            let mut connection = self.connect(&self.client, AsyncConnectionConfig::new()).await?;
            self.ask_on(&mut connection, name).await
        };
        timeout(self.patience, asked).await.unwrap_or_else(|_| Err(self.too_late()))
    }

    /// A connection by `client`, which is this sentinel's.
    pub(super) async fn connect(
        &self,
        client: &Client,
        config: AsyncConnectionConfig,
    ) -> StoreResult<MultiplexedConnection> {
        let config = config.set_connection_timeout(Some(self.patience)).set_response_timeout(None);
        self.in_time(client.get_multiplexed_async_connection_with_config(&config)).await
    }

    /// What opens connections to it.
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Asks by a connection that is there.
    pub(super) async fn ask_on(&self, connection: &mut MultiplexedConnection, name: &str) -> Said {
        let mut ask = redis::pipe();
        ask.cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(name);
        ask.cmd("SENTINEL").arg("MASTER").arg(name);
        let mut answers = self.in_time(connection.send_packed_commands(&ask, 0, 2)).await?.into_iter();
        let (address, more) = (answers.next().unwrap_or_default(), answers.next().unwrap_or_default());
        // A user may lack the right to know more.
        self.read(self.checked(address)?, more.extract_error().unwrap_or_default())
    }

    fn checked(&self, value: Value) -> StoreResult<Value> {
        value.extract_error().map_err(|error| self.error(error))
    }

    fn read(&self, address: Value, more: Value) -> Said {
        let unreadable = |error: RedisError| store_error(&self.address, error);
        let address: Option<(String, u16)> =
            redis::from_redis_value(address).map_err(|error| unreadable(error.into()))?;
        let more: BTreeMap<String, String> = redis::from_redis_value(more).unwrap_or_default();
        let number = |field: &str| more.get(field).and_then(|text| text.parse().ok()).unwrap_or_default();
        Ok(address.map(|primary| Named {
            primary,
            election: number("config-epoch"),
            quorum: number("quorum"),
            sentinels: number("num-other-sentinels") + 1,
        }))
    }

    /// Waits for an answer no longer than a sentinel may take.
    pub(super) async fn in_time<T>(
        &self,
        asked: impl Future<Output = Result<T, RedisError>>,
    ) -> StoreResult<T> {
        match timeout(self.patience, asked).await {
            Ok(answered) => answered.map_err(|error| self.error(error)),
            Err(_) => Err(self.too_late()),
        }
    }

    fn too_late(&self) -> StoreError {
        unanswered(&self.address, format!("no answer within {:?}", self.patience))
    }

    fn error(&self, error: RedisError) -> StoreError {
        let login = error.kind() == ErrorKind::AuthenticationFailed
            || matches!(error.code(), Some("NOAUTH" | "WRONGPASS"));
        if !login {
            return store_error(&self.address, error);
        }
        StoreError::Refused(format!(
            "the sentinel at {} wants a user name and password of its own, or does not know the ones given: put ?sentinel_user=…&sentinel_password=… behind the name in --redis",
            self.address
        ))
    }
}
