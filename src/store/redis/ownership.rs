//! Ownership of sessions: claim, release, refresh, reap.

use std::time::Duration;

use redis::Value;

use super::{
    RedisStore,
    ask::at_least_a_millisecond,
    masters::Traffic,
    records::{Fields, mails, session_record},
    replies::{Reply, newer_layout},
    scripts::Name,
    workers::{PATIENCE, late, undecided},
};
use crate::{
    model::{Lease, Pool, SessionId, SessionRecord, WorkerId},
    store::{
        Claim, Claimant, Claimed, Leaving, Mail, Overdue, Purpose, Reap, Refresh, Release, StoreError,
        StoreResult, Suspect,
    },
};

impl RedisStore {
    pub(super) async fn claim_session(
        &self,
        session: &SessionId,
        claimant: &Claimant,
        page: usize,
    ) -> StoreResult<Claim> {
        let keys = self.keys().session(session);
        let partition = self.keys().partitions().of(session);
        let (overdue, reckoning) = match claimant.overdue {
            Overdue::Bury => ("bury", None),
            Overdue::BuryUnder(reckoning) => ("bury", Some(reckoning)),
            Overdue::Spare => ("spare", None),
        };
        let suspect = match claimant.suspect {
            Suspect::Take => "take",
            Suspect::Leave => "leave",
        };
        let purpose = match claimant.purpose {
            Purpose::Run => "run",
            Purpose::Report => "report",
        };
        let mut serves = String::new();
        for _ in 0..PATIENCE {
            let mut names = vec![
                keys.meta(),
                keys.own(),
                keys.hist(),
                keys.inbox(),
                keys.state(),
                keys.partition().workers(),
                keys.partition().duty(),
                keys.partition().held(&claimant.worker),
                keys.ready(&claimant.pool),
            ];
            names.extend(self.idle_sets(partition, &serves));
            let call = self
                .script(Name::Claim, &names)
                .arg(session.as_str())
                .arg(claimant.worker.as_str())
                .arg(claimant.pool.as_str())
                .arg(claimant.nonce.to_string())
                .arg(at_least_a_millisecond(claimant.own_ttl))
                .arg(claimant.seen.0)
                .arg(overdue)
                .arg(page)
                .arg(&serves)
                .arg(suspect)
                .arg(late(reckoning))
                .arg(purpose);
            let before = self.shared.masters.server(&keys.meta()).await?;
            let under = reckoning.map(|reckoning| reckoning.run);
            let Some(mut reply) = self.ask_under(under, call).await? else {
                let sparing = Claimant { overdue: Overdue::Spare, ..claimant.clone() };
                return Box::pin(self.claim_session(session, &sparing, page)).await;
            };
            let word = reply.text()?;
            return match word.as_str() {
                "won" => {
                    self.saw_pool(session.agent(), &claimant.pool);
                    let reach = self.has_reached_on(&before, partition, claimant.class).await?;
                    won(session, reply).map(|won| won.acknowledged(reach))
                }
                "held" => Ok(Claim::Held { by: reply.parse()? }),
                "nothing" => Ok(Claim::NothingToDo),
                "absent" => Ok(Claim::Absent),
                "suspect" => Ok(Claim::Suspect),
                "quarantined" => Ok(Claim::Quarantined { reason: reply.text()? }),
                "other_pool" => Ok(Claim::OtherPool(reply.parse()?)),
                "unreadable" => Ok(Claim::Unreadable(newer_layout(reply.maybe_text()?))),
                "lost" => Ok(Claim::Lost),
                "serves" => {
                    serves = reply.text()?;
                    continue;
                }
                _ => Err(reply.unknown(&word)),
            };
        }
        Err(undecided("claim"))
    }

    pub(super) async fn release_session(
        &self,
        lease: &Lease,
        leaving: Leaving,
        page: usize,
    ) -> StoreResult<Release> {
        let session = lease.session();
        let keys = self.keys().session(session);
        let leaving = match leaving {
            Leaving::IfIdle => "if_idle",
            Leaving::HandOff => "hand_off",
        };
        let mut pool = self.likely_pool(&session.agent());
        for _ in 0..PATIENCE {
            let names = [
                keys.meta(),
                keys.own(),
                keys.inbox(),
                keys.partition().held(&lease.token().worker),
                keys.ready(&pool),
                keys.idle(&pool),
            ];
            let call = self
                .script(Name::Release, &names)
                .arg(session.as_str())
                .arg(lease.token().to_string())
                .arg(leaving)
                .arg(page)
                .arg(pool.as_str())
                .arg(keys.partition().wake_prefix());
            let mut reply = self.ask(Traffic::Leases, call).await?;
            let word = reply.text()?;
            match word.as_str() {
                "released" => return Ok(Release::Released),
                "runnable" => return Ok(Release::Runnable(read_mail(session, reply.rest())?)),
                "fenced" => return Ok(Release::Fenced),
                "other_pool" => {
                    pool = reply.parse()?;
                    self.saw_pool(session.agent(), &pool);
                }
                _ => return Err(reply.unknown(&word)),
            }
        }
        Err(undecided("release"))
    }

    pub(super) async fn refresh_session(
        &self,
        lease: &Lease,
        own_ttl: Duration,
        page: usize,
    ) -> StoreResult<Refresh> {
        let session = lease.session();
        let keys = self.keys().session(session);
        let call = self
            .script(Name::Refresh, &[keys.meta(), keys.own(), keys.inbox()])
            .arg(lease.token().to_string())
            .arg(at_least_a_millisecond(own_ttl))
            .arg(page);
        let mut reply = self.ask(Traffic::Leases, call).await?;
        let word = reply.text()?;
        match word.as_str() {
            "held" => {
                let record = Box::new(read_record(session, reply.list()?)?);
                Ok(Refresh::Held { record, mail: read_mail(session, reply.rest())? })
            }
            "fenced" => Ok(Refresh::Fenced),
            _ => Err(reply.unknown(&word)),
        }
    }

    pub(super) async fn reap_session(
        &self,
        session: &SessionId,
        from: &WorkerId,
        pool: &Pool,
    ) -> StoreResult<Reap> {
        let keys = self.keys().session(session);
        let names = [
            keys.meta(),
            keys.own(),
            keys.inbox(),
            keys.partition().workers(),
            keys.partition().held(from),
            keys.ready(pool),
            keys.idle(pool),
        ];
        let call = self
            .script(Name::Reap, &names)
            .arg(session.as_str())
            .arg(from.as_str())
            .arg(pool.as_str())
            .arg(keys.partition().wake_prefix());
        let mut reply = self.ask(Traffic::Leases, call).await?;
        let word = reply.text()?;
        match word.as_str() {
            "reaped" => Ok(Reap::Reaped { runnable: reply.maybe_text()?.is_some() }),
            "alive" => Ok(Reap::Alive),
            "not_theirs" => Ok(Reap::NotTheirs),
            "other_pool" => Ok(Reap::OtherPool(reply.parse()?)),
            _ => Err(reply.unknown(&word)),
        }
    }
}

fn won(session: &SessionId, mut reply: Reply) -> StoreResult<Claim> {
    let lease = Lease::granted(session.clone(), reply.parse()?);
    let state = reply.maybe_lossy()?;
    let record = read_record(session, reply.list()?)?;
    let mail = read_mail(session, reply.rest())?;
    Ok(Claim::Won(Box::new(Claimed { lease, record, state, mail })))
}

fn read_record(session: &SessionId, meta: Vec<Value>) -> StoreResult<SessionRecord> {
    let read = Fields::read(Value::Array(meta)).and_then(|fields| session_record(&fields));
    read.map_err(|why| StoreError::unreadable(format!("session {session}"), why))
}

/// Elements of the inbox of `session`.
pub(super) fn read_mail(
    session: &SessionId,
    elements: impl Iterator<Item = Value>,
) -> StoreResult<Vec<Mail>> {
    mails(elements).map_err(|why| StoreError::unreadable(format!("the inbox of {session}"), why))
}

/// Reads any answer as a claim that was won; for fuzzing.
#[cfg(feature = "fuzzing")]
pub(crate) fn any_claim(answer: &[u8]) {
    let Ok(value) = redis::parse_redis_value(answer) else { return };
    let session: SessionId = "echo/a".parse().expect("a good session");
    let Ok(mut reply) = Reply::of(Name::Claim, value.clone()) else { return };
    if reply.text().is_ok() {
        _ = won(&session, reply);
    }
    _ = super::records::stream(value);
}
