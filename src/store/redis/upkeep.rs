//! Upkeep of a partition.

use std::collections::BTreeMap;

use redis::Value;
use tracing::warn;

use super::{
    RedisStore,
    ask::{parse_names, unreadable},
    masters::Traffic,
    records::mail,
    replies::{Reply, bytes},
    scripts::Name,
};
use crate::{
    model::{AgentName, Millis, Partition, Pool, SessionId, WorkerId},
    store::{
        Delete, Fire, FirstMessage, Free, Mail, Mend, Offer, OutReply, Proceed, StoreError, StoreResult,
        Survey,
    },
};

/// How many waiting messages one call of `delete` gives up on.
const DELETED_AT_ONCE: usize = 100;

impl RedisStore {
    pub(super) async fn survey_partition(
        &self,
        partition: Partition,
        agents: &[(Pool, AgentName)],
    ) -> StoreResult<Survey> {
        let of = self.keys().partition(partition);
        let mut names = vec![of.workers(), of.timers(), of.out()];
        names.extend(agents.iter().flat_map(|(pool, agent)| [of.ready(pool, agent), of.idle(pool, agent)]));
        let mut reply = self.ask(Traffic::Leases, self.script(Name::Survey, &names)).await?;
        let (now, due) = (Millis(reply.parse()?), reply.names("`timers`")?);
        let (mut overdue, mut buried): (Vec<WorkerId>, Vec<WorkerId>) =
            (reply.names("`workers`")?, reply.names("`workers`")?);
        // They come in the order of a hash.
        overdue.sort();
        buried.sort();
        let mut ready = BTreeMap::new();
        for (queue, sessions) in agents.iter().zip(reply.list()?) {
            let sessions: Vec<SessionId> = parse_names("`ready`", sessions)?;
            if !sessions.is_empty() {
                ready.insert(queue.clone(), sessions);
            }
        }
        let out = reply.list()?.into_iter().filter_map(|left| {
            left_in_out(left).inspect_err(|why| warn!(%partition, error = %why, "a reply left in `out`")).ok()
        });
        let out = out.collect();
        Ok(Survey { now, due, overdue, buried, ready, out })
    }

    pub(super) async fn fire_timer(&self, session: &SessionId, pool: &Pool) -> StoreResult<Fire> {
        let keys = self.keys().session(session);
        let partition = keys.partition();
        let names = [keys.meta(), keys.inbox(), partition.timers(), keys.ready(pool), keys.idle(pool)];
        let call = self
            .script(Name::Fire, &names)
            .arg(session.as_str())
            .arg(pool.as_str())
            .arg(partition.wake_prefix());
        let mut reply = self.ask(Traffic::Leases, call).await?;
        let word = reply.text()?;
        match word.as_str() {
            "fired" => Ok(Fire::Fired),
            "not_due" => Ok(Fire::NotDue),
            "other_pool" => Ok(Fire::OtherPool(reply.parse()?)),
            _ => Err(reply.unknown(&word)),
        }
    }

    pub(super) async fn offer_session(
        &self,
        session: &SessionId,
        pool: &Pool,
        except: Option<&WorkerId>,
    ) -> StoreResult<Offer> {
        let keys = self.keys().session(session);
        let call = self
            .script(Name::Offer, &[keys.ready(pool), keys.idle(pool)])
            .arg(session.as_str())
            .maybe(except)
            .arg(keys.partition().wake_prefix());
        let mut reply = self.ask(Traffic::Leases, call).await?;
        let word = reply.text()?;
        match word.as_str() {
            "told" => Ok(Offer::Told(reply.parse()?)),
            "nobody" => Ok(Offer::Nobody),
            "gone" => Ok(Offer::Gone),
            _ => Err(reply.unknown(&word)),
        }
    }

    pub(super) async fn mend_session(
        &self,
        session: &SessionId,
        pool: &Pool,
        owner: Option<&WorkerId>,
        home: Option<&Pool>,
    ) -> StoreResult<Mend> {
        let keys = self.keys().session(session);
        let partition = keys.partition();
        let mut names = vec![
            keys.meta(),
            keys.own(),
            keys.inbox(),
            partition.workers(),
            partition.index(),
            partition.timers(),
            keys.ready(pool),
            keys.ready(home.unwrap_or(pool)),
        ];
        names.extend(owner.map(|owner| partition.held(owner)));
        let call = self
            .script(Name::Mend, &names)
            .arg(session.as_str())
            .arg(pool.as_str())
            .maybe(owner)
            .maybe(home)
            .arg(partition.wake_prefix());
        let mut reply = self.ask(Traffic::Leases, call).await?;
        let word = reply.text()?;
        match word.as_str() {
            "fine" => Ok(Mend::Fine),
            "mended" => Ok(Mend::Mended),
            "orphan" => Ok(Mend::Orphan { of: reply.parse()? }),
            "other_owner" => Ok(Mend::OtherOwner(reply.maybe()?)),
            "other_pool" => Ok(Mend::OtherPool(reply.parse()?)),
            "absent" => Ok(Mend::Absent),
            _ => Err(reply.unknown(&word)),
        }
    }

    pub(super) async fn free_session(
        &self,
        session: &SessionId,
        pool: &Pool,
        first: FirstMessage,
    ) -> StoreResult<Free> {
        let keys = self.keys().session(session);
        let names = [keys.meta(), keys.inbox(), keys.ready(pool), keys.idle(pool)];
        let first = match first {
            FirstMessage::Keep => "keep",
            FirstMessage::Drop => "drop",
        };
        let call = self
            .script(Name::Free, &names)
            .arg(session.as_str())
            .arg(pool.as_str())
            .arg(keys.partition().wake_prefix())
            .arg(first);
        let mut reply = self.ask(Traffic::Leases, call).await?;
        let word = reply.text()?;
        match word.as_str() {
            "freed" => Ok(Free::Freed),
            "not_quarantined" => Ok(Free::NotQuarantined),
            "owned" => Ok(Free::Owned(reply.parse()?)),
            "other_pool" => Ok(Free::OtherPool(reply.parse()?)),
            "absent" => Ok(Free::Absent),
            _ => Err(reply.unknown(&word)),
        }
    }

    pub(super) async fn proceed_session(&self, session: &SessionId, pool: &Pool) -> StoreResult<Proceed> {
        let keys = self.keys().session(session);
        let names = [keys.meta(), keys.inbox(), keys.ready(pool), keys.idle(pool)];
        let call = self
            .script(Name::Continue, &names)
            .arg(session.as_str())
            .arg(pool.as_str())
            .arg(keys.partition().wake_prefix());
        let mut reply = self.ask(Traffic::Leases, call).await?;
        let word = reply.text()?;
        match word.as_str() {
            "going" => Ok(Proceed::Going),
            "not_suspended" => Ok(Proceed::NotSuspended),
            "other_pool" => Ok(Proceed::OtherPool(reply.parse()?)),
            "absent" => Ok(Proceed::Absent),
            _ => Err(reply.unknown(&word)),
        }
    }

    pub(super) async fn delete_session(
        &self,
        session: &SessionId,
        pool: &Pool,
        owner: Option<&WorkerId>,
    ) -> StoreResult<Delete> {
        let keys = self.keys().session(session);
        let partition = keys.partition();
        let mut names = vec![
            keys.meta(),
            keys.own(),
            keys.state(),
            keys.hist(),
            keys.inbox(),
            partition.index(),
            partition.timers(),
            keys.ready(pool),
            partition.out(),
            partition.dead(),
        ];
        names.extend(owner.map(|owner| partition.held(owner)));
        // Keys must be named before the script runs, so the ids that it answers are read first.
        let waiting = self.waiting_mail(&keys.inbox()).await?;
        let with_id = waiting.iter().filter_map(|mail| match mail {
            Mail::Message(message) | Mail::Malformed(message, _) => {
                Some((message.message.to_string(), message.id.clone()?))
            }
            Mail::Unreadable(_) => None,
        });
        let with_id: Vec<_> = with_id.collect();
        names.extend(with_id.iter().map(|(_, id)| keys.ids(id)));
        let call = self.script(Name::Delete, &names).arg(session.as_str()).maybe(owner).arg(waiting.len());
        let call = with_id.iter().fold(call, |call, (message, id)| call.arg(message).arg(id.as_str()));
        let mut reply = self.ask(Traffic::Leases, call).await?;
        let word = reply.text()?;
        match word.as_str() {
            "deleted" => Ok(Delete::Deleted),
            "more" => Ok(Delete::More),
            "absent" => Ok(Delete::Absent),
            _ => Err(reply.unknown(&word)),
        }
    }

    async fn waiting_mail(&self, inbox: &str) -> StoreResult<Vec<Mail>> {
        let mut look = redis::cmd("LRANGE");
        look.arg(inbox).arg(0).arg(DELETED_AT_ONCE - 1);
        let elements = match self.shared.masters.run(Traffic::Leases, inbox, &look).await {
            Ok(Value::Array(elements)) => elements,
            // It is no list: what is there goes with the session.
            Ok(_) | Err(StoreError::Unreadable { .. }) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mails: Result<_, String> =
            elements.into_iter().map(|element| Ok(mail(&bytes(element)?))).collect();
        mails.map_err(unreadable("an inbox"))
    }
}

/// A reply that its writer did not deliver: id, list, payload.
fn left_in_out(value: Value) -> StoreResult<OutReply> {
    let mut reply = Reply::of(Name::Survey, value)?;
    Ok(OutReply { id: reply.parse()?, to: reply.parse()?, payload: reply.text()? })
}
