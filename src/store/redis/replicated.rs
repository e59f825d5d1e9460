//! The primary behind sentinels: whoever connects asks anew who it is, and believes no server that does not say so itself.

use futures_util::{FutureExt, future::BoxFuture};
use redis::{Client, ProtocolVersion};

use super::{
    errors::{moved, unanswered},
    sentinel::Sentinels,
    target::{Connected, Opening, Patience, Server},
    term::{Address, Reign, Term},
    tls::{self, Tls},
    topology::Watched,
};
use crate::store::StoreResult;

/// A primary that may be replaced.
#[derive(Debug)]
pub(super) struct Replicated {
    watched: Watched,
    tls: Tls,
    pub(super) sentinels: Sentinels,
    pub(super) reign: Reign,
}

impl Replicated {
    pub(super) fn new(watched: Watched, tls: &Tls, patience: Patience) -> StoreResult<Self> {
        let sentinels = Sentinels::new(&watched, tls, patience.0)?;
        Ok(Self { watched, tls: tls.clone(), sentinels, reign: Reign::default() })
    }

    /// A connection to the primary; given up when another becomes it in the meantime.
    ///
    /// Boxed, so that the futures of all who may have to connect do not have its depth in their types.
    pub(super) fn open<'a>(&'a self, opening: &'a Opening) -> BoxFuture<'a, StoreResult<Connected>> {
        let opened = async move {
            let asked = self.reign.term();
            let opened = asked.outlasts(self.open_in(&asked, opening)).await;
            opened.unwrap_or_else(|| Err(moved(&self.sentinels.name)))
        };
        opened.boxed()
    }

    /// Tries those whom the sentinels name, in their order.
    async fn open_in(&self, asked: &Term, opening: &Opening) -> StoreResult<Connected> {
        let mut first = None;
        for elected in self.sentinels.primaries(&self.reign.elected()).await? {
            let Some(primary) = &elected.primary else { continue };
            match self.try_open(primary, opening).await {
                Ok((connection, server)) => {
                    let term =
                        self.reign.found(&elected, asked).ok_or_else(|| moved(&self.sentinels.name))?;
                    return Ok(Connected { connection, server, term });
                }
                Err(error) => _ = first.get_or_insert(error),
            }
        }
        Err(first.expect("sentinels that answer name one"))
    }

    async fn try_open(
        &self,
        primary: &Address,
        opening: &Opening,
    ) -> StoreResult<(redis::aio::MultiplexedConnection, Server)> {
        let Opening { config, protocol, patience } = opening;
        let (client, address) = (self.client(primary, *protocol)?, self.describe(primary));
        let patience = patience.half();
        let mut connection =
            patience.wait(&address, client.get_multiplexed_async_connection_with_config(config)).await?;
        let server = Server::of(&mut connection, &address, patience).await?;
        if server.role != "master" {
            let why = "the sentinels name a replica: a failover is under way, or they are wrong";
            return Err(unanswered(&address, why));
        }
        Ok((connection, server))
    }

    /// What opens connections to `primary`.
    pub(super) fn client(&self, primary: &Address, protocol: ProtocolVersion) -> StoreResult<Client> {
        let info = self.watched.primary(&primary.0, primary.1);
        let settings = info.redis_settings().clone().set_protocol(protocol);
        tls::client(info.set_redis_settings(settings), &self.tls)
    }

    fn describe(&self, (host, port): &Address) -> String {
        format!("{} at {host}:{port}", self.sentinels.name)
    }
}
