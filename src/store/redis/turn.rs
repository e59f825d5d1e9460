//! The boundary write.

use redis::Value;

use super::{
    RedisStore,
    ask::{at_least_a_millisecond, unreadable},
    door::REPLY_KEPT,
    keys::reply_list,
    masters::Traffic,
    ownership::read_mail,
    replies::{Reply, text},
    scripts::{Call, Name},
};
use crate::{
    model::{Lease, millis},
    store::{Boundary, Commit, Done, OutReply, Reach, StateChange, StoreResult},
};

/// How a reply gets to its list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Push<'a> {
    /// With the commit; the list is one of its keys.
    Key(&'a str),
    /// With the commit; the list is in another slot of the same node, as far as this process knows.
    Beside(&'a str),
    /// By way of `out`.
    Later,
}

impl<'a> Push<'a> {
    fn key(self) -> Option<&'a str> {
        match self {
            Self::Key(list) => Some(list),
            _ => None,
        }
    }

    fn beside(self) -> Option<&'a str> {
        match self {
            Self::Beside(list) => Some(list),
            _ => None,
        }
    }
}

impl RedisStore {
    pub(super) async fn commit_boundary(&self, lease: &Lease, boundary: &Boundary) -> StoreResult<Commit> {
        let (mut reply, reach) = self.write_boundary(lease, boundary).await?;
        let word = reply.text()?;
        match word.as_str() {
            "done" => {
                let out = written(reply.list()?, boundary.done.as_ref())?;
                let done = Commit::Done { out, mail: read_mail(lease.session(), reply.rest())? };
                Ok(done.acknowledged(reach))
            }
            "fenced" => Ok(Commit::Fenced),
            "lost" => Ok(Commit::Lost),
            "behind" => Ok(Commit::Behind { seq: reply.parse()? }),
            _ => Err(reply.unknown(&word)),
        }
    }

    /// The call, with its reply pushed in the same step where that may be.
    async fn write_boundary(&self, lease: &Lease, boundary: &Boundary) -> StoreResult<(Reply, Reach)> {
        let push = self.push_with(lease, boundary);
        let call = self.commit_call(lease, boundary, push);
        let Push::Key(_) = push else {
            return self.ask_at(boundary.class, Traffic::Turns, call).await;
        };
        match self.shared.masters.call_if_allowed(&call).await? {
            Some(value) => Ok((Reply::of(call.name, value)?, Reach::Reached)),
            // A list that this user may not touch goes the way of all others: nothing was written.
            None => {
                let call = self.commit_call(lease, boundary, Push::Later);
                self.ask_at(boundary.class, Traffic::Turns, call).await
            }
        }
    }

    fn push_with<'a>(&self, lease: &Lease, boundary: &'a Boundary) -> Push<'a> {
        let masters = &self.shared.masters;
        match boundary.replies_at_once_to().map(reply_list) {
            Some(list) if !masters.is_cluster() => Push::Key(list),
            Some(list) if masters.are_on_one(&self.keys().session(lease.session()).meta(), list) => {
                Push::Beside(list)
            }
            _ => Push::Later,
        }
    }

    /// The script's call.
    fn commit_call(&self, lease: &Lease, boundary: &Boundary, push: Push<'_>) -> Call {
        let session = lease.session();
        let keys = self.keys().session(session);
        let partition = keys.partition();
        let mut names = vec![
            keys.meta(),
            keys.own(),
            keys.hist(),
            keys.inbox(),
            partition.workers(),
            keys.state(),
            partition.timers(),
            partition.out(),
            partition.dead(),
        ];
        let id = boundary.done.as_ref().and_then(|done| done.id.as_ref());
        names.extend(id.map(|id| keys.ids(id)));
        names.extend(push.key().map(str::to_owned));
        let (change, state) = match &boundary.state {
            StateChange::Keep => ("keep", ""),
            StateChange::Set(state) => ("set", state.as_str()),
            StateChange::Clear => ("clear", ""),
        };
        let (cause, reason) = match &boundary.quarantine {
            Some((cause, reason)) => (cause.as_str(), reason.as_str()),
            None => ("", ""),
        };
        let call = self
            .script(Name::Commit, &names)
            .arg(session.as_str())
            .arg(lease.token().to_string())
            .arg(&boundary.commit)
            .arg(boundary.after)
            .arg(boundary.turn)
            .arg(boundary.turns)
            .arg(boundary.tries)
            .maybe(boundary.backoff.map(millis))
            .arg(at_least_a_millisecond(boundary.own_ttl))
            .arg(boundary.page)
            .arg(change)
            .arg(state)
            .arg(cause)
            .arg(reason);
        let call = with_done(call, boundary)
            .arg(if boundary.done.is_some() { "done" } else { "" })
            .arg(boundary.boundaries)
            .maybe(boundary.unfinished)
            .maybe((push != Push::Later).then(|| millis(REPLY_KEPT)))
            .maybe(push.beside());
        boundary.entries.iter().fold(call, |call, entry| {
            call.arg(entry.kind.as_str()).maybe(entry.message).arg(entry.body.as_json())
        })
    }
}

fn with_done(call: Call, boundary: &Boundary) -> Call {
    let head = boundary.head();
    let call = call.maybe(head.map(|head| head.number)).maybe(head.map(|head| head.message));
    let Some(done) = &boundary.done else {
        return (0..4).fold(call, |call, _| call.arg(""));
    };
    let (reason, tries) = match &done.dead {
        Some((reason, tries)) => (reason.as_str(), tries.to_string()),
        None => ("", String::new()),
    };
    call.maybe(done.reply_to.as_ref()).arg(&done.answer).arg(reason).arg(tries)
}

/// The replies that a commit put into `out`: where they stand and where they go; all say the same.
fn written(parts: Vec<Value>, done: Option<&Done>) -> StoreResult<Vec<OutReply>> {
    let payload = done.map_or("", |done| done.answer.as_str());
    let mut parts = parts.into_iter();
    let mut out = Vec::new();
    while let (Some(id), Some(to)) = (parts.next(), parts.next()) {
        let read = || {
            let (id, to) = (text(id)?.parse()?, text(to)?);
            let to = to.parse().map_err(|error: crate::model::BadAddress| error.to_string())?;
            Ok(OutReply { id, to, payload: payload.to_owned() })
        };
        out.push(read().map_err(unreadable("the reply of `commit`"))?);
    }
    Ok(out)
}
