//! Who the primary is, by those who watch it. All sentinels are asked at once, and nobody waits long for one that does not
//! answer: no majority is needed, for what they name is believed only once it says itself that it is a primary, and of two
//! that do the one counts that was elected later.

use std::{collections::BTreeMap, time::Duration};

use futures_util::stream::{FuturesUnordered, StreamExt};
use redis::{AsyncConnectionConfig, Client, ErrorKind, RedisError, Value, aio::MultiplexedConnection};
use tokio::time::timeout;

use super::{
    errors::{store_error, unanswered},
    term::{Address, Elected},
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

    /// Whom they name, who was elected last first; nobody twice, and at least one. None that was elected before `known`,
    /// unless most sentinels answer and none knows of it any more, as when all were set up anew.
    pub(super) async fn primaries(&self, known: &Elected) -> StoreResult<Vec<Elected>> {
        let said = self.ask(OTHERS).await;
        let named: Vec<_> = said
            .iter()
            .filter_map(|(_, said)| said.as_ref().ok()?.as_ref())
            .map(|named| Elected { primary: Some(named.primary.clone()), election: named.election })
            .collect();
        if named.is_empty() {
            return Err(self.nobody(said));
        }
        let primaries = in_order(named, self.each.len(), known);
        match primaries.is_empty() {
            true => Err(unanswered(&self.name, "the sentinels that answer know of older elections alone")),
            false => Ok(primaries),
        }
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
            return StoreError::Unconnected(format!(
                "no sentinel knows a primary `{}`: check the name behind the sentinels in --redis",
                self.name
            ));
        }
        let away = said.iter().any(|(_, said)| said.as_ref().is_err_and(StoreError::passes));
        let reasons: Vec<_> = said.iter().filter_map(|(_, said)| said.as_ref().err()).map(reason).collect();
        if away {
            return unanswered(&format!("no sentinel of `{}` answers", self.name), reasons.join("; "));
        }
        match said.iter().any(|(_, said)| matches!(said, Err(StoreError::Forbidden(_)))) {
            true => StoreError::Forbidden(reasons.join("; ")),
            false => StoreError::Unconnected(reasons.join("; ")),
        }
    }
}

/// Whom to try of those that some of so many sentinels name.
fn in_order(mut named: Vec<Elected>, sentinels: usize, known: &Elected) -> Vec<Elected> {
    named.sort_by_key(|named| std::cmp::Reverse(named.election));
    let are_most = 2 * named.len() > sentinels;
    let counts_anew = are_most && named.iter().all(|named| named.election < known.election);
    let mut primaries: Vec<Elected> = Vec::new();
    for named in named {
        let is_behind = named.election < known.election && named.primary != known.primary;
        let is_there = primaries.iter().any(|one| one.primary == named.primary);
        if !is_there && (counts_anew || !is_behind) {
            primaries.push(named);
        }
    }
    primaries
}

/// An error of the store without the words that it has in common with others of its kind.
fn reason(error: &StoreError) -> String {
    match error {
        StoreError::Refused(why) | StoreError::Unconnected(why) | StoreError::Forbidden(why) => why.clone(),
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
        StoreError::Forbidden(format!(
            "the sentinel at {} wants a user name and password of its own, or does not know the ones given: put ?sentinel_user=…&sentinel_password=… behind the name in --redis",
            self.address
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elected(port: u16, election: u64) -> Elected {
        Elected { primary: Some(("h".to_owned(), port)), election }
    }

    #[test]
    fn who_was_elected_last_is_tried_first_and_nobody_twice() {
        let named = vec![elected(1, 4), elected(2, 5), elected(2, 5)];
        assert_eq!(in_order(named, 3, &Elected::default()), [elected(2, 5), elected(1, 4)]);
    }

    #[test]
    fn a_sentinel_that_is_behind_leads_nobody_back() {
        let known = elected(2, 5);
        assert_eq!(in_order(vec![elected(1, 4)], 3, &known), []);
        assert_eq!(in_order(vec![elected(1, 4), elected(2, 5)], 3, &known), [elected(2, 5)]);
        assert_eq!(in_order(vec![elected(3, 6), elected(1, 4)], 3, &known), [elected(3, 6)]);
        assert_eq!(
            in_order(vec![elected(2, 0)], 3, &known),
            [elected(2, 0)],
            "the same one, whatever its number"
        );
    }

    #[test]
    fn sentinels_that_were_set_up_anew_count_from_the_beginning() {
        let known = elected(2, 5);
        assert_eq!(in_order(vec![elected(1, 0), elected(1, 0)], 3, &known), [elected(1, 0)]);
        assert_eq!(in_order(vec![elected(1, 0)], 3, &known), [], "one of three may just be behind");
        assert_eq!(in_order(vec![elected(1, 0)], 1, &known), [elected(1, 0)], "the only one there is");
    }
}
