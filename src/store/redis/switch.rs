//! Who follows the sentinels, so that all connections leave a primary at once when it is replaced: one that was replaced by
//! hand goes on taking writes for seconds, and says nothing.
//!
//! Each sentinel is subscribed to, for any of them may be the one that is cut off together with the old primary. What it says
//! is a hint: it makes this process ask as any new connection would, and so does what a sentinel answers when it is asked
//! from time to time, lest a hint be lost.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use redis::{AsyncConnectionConfig, Client, ProtocolVersion, PushInfo, PushKind, aio::MultiplexedConnection};
use tokio::{
    sync::mpsc::{Receiver, channel, error::TrySendError},
    task::AbortHandle,
    time::{sleep, timeout},
};
use tracing::debug;

use super::{errors::store_error, replicated::Replicated, sentinel::Sentinel, target::Target};
use crate::store::StoreResult;

/// What a sentinel says when another is the primary.
const SWITCHED: &str = "+switch-master";

/// How often a sentinel is asked without a hint; by that it shows that it is there.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// The wait before a sentinel is connected to again that went away.
const PAUSE: Duration = Duration::from_secs(1);

/// Follows the sentinels until it is dropped.
#[derive(Debug)]
pub(super) struct Watch(AbortHandle);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Watch {
    /// Begins, if `target` is what sentinels name.
    #[expect(
        clippy::disallowed_methods,
        reason = "it ends with the store, and decides nothing: it drops connections"
    )]
    pub(super) fn over(target: &Arc<Target>) -> Option<Self> {
        let replicated = target.replicated()?.clone();
        let target = target.clone();
        let follow = async move {
            join_all(replicated.sentinels.each.iter().map(|sentinel| follow(&target, &replicated, sentinel)))
                .await
        };
        Some(Self(tokio::spawn(follow).abort_handle()))
    }
}

/// Follows one sentinel for ever.
async fn follow(target: &Target, replicated: &Replicated, sentinel: &Sentinel) {
    loop {
        if let Err(error) = listen(target, replicated, sentinel).await {
            debug!(address = sentinel.address, %error, "a sentinel is not heard");
        }
        sleep(PAUSE).await;
    }
}

/// Listens to one sentinel until it is lost.
async fn listen(target: &Target, replicated: &Replicated, sentinel: &Sentinel) -> StoreResult<()> {
    let (mut connection, mut bell) = subscribe(sentinel).await?;
    let name = &replicated.sentinels.name;
    let mut look = false;
    loop {
        let named = sentinel.ask_on(&mut connection, name).await?;
        let named = named.map(|named| named.primary);
        // Who names another may be wrong: then nothing comes of it.
        if look || (named.is_some() && named != replicated.reign.primary()) {
            target.look_again().await;
        }
        look = matches!(timeout(ASK_EVERY, bell.recv()).await, Ok(Some(())));
    }
}

/// Subscribes, and rings whenever something comes in: what it was is asked for.
async fn subscribe(sentinel: &Sentinel) -> StoreResult<(MultiplexedConnection, Receiver<()>)> {
    let (ring, bell) = channel(1);
    let hear = move |pushed: PushInfo| match pushed.kind {
        PushKind::Message | PushKind::Disconnection => match ring.try_send(()) {
            Ok(()) | Err(TrySendError::Full(())) => Ok(()),
            Err(TrySendError::Closed(())) => Err(()),
        },
        _ => Ok(()),
    };
    let info = sentinel.client().get_connection_info().clone();
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    let client = Client::open(info.set_redis_settings(settings))
        .map_err(|error| store_error(&sentinel.address, error))?;
    let config = AsyncConnectionConfig::new().set_push_sender(hear);
    let mut connection = sentinel.connect(&client, config).await?;
    let mut subscribe = redis::cmd("SUBSCRIBE");
    subscribe.arg(SWITCHED);
    sentinel.in_time(subscribe.exec_async(&mut connection)).await?;
    Ok((connection, bell))
}
