//! Doors: messages in, replies out.

use std::time::Duration;

use futures_util::future::join_all;
use redis::Value;

use super::{
    RedisStore,
    ask::{at_least_a_millisecond, unreadable},
    errors::{again, is_nothing_there},
    keys::reply_list,
    masters::Traffic,
    records::stream,
    replies::{Reply, text},
    scripts::{Call, Name},
};
use crate::{
    model::{Door, Durability, MessageId, NewMessage, Partition, Pool, ReplyTo, StreamId},
    store::{
        Cursors, DeadLetter, Ingress, IngressEntry, Refusal, Refused, Relay, Relayed, RelayedKind, Revive,
        Sent, StoreError, StoreResult,
    },
};

/// How long a reply waits to be taken, after the last push to its list.
pub(super) const REPLY_KEPT: Duration = Duration::from_secs(60 * 60);

impl RedisStore {
    pub(super) async fn send_message(&self, new: &NewMessage) -> StoreResult<Sent> {
        let (keys, limits) = (self.keys().session(&new.session), self.limits());
        let partition = keys.partition();
        let mut names = vec![
            keys.meta(),
            keys.inbox(),
            keys.ready(&new.pool),
            keys.idle(&new.pool),
            partition.index(),
            partition.out(),
        ];
        names.extend(new.id.as_ref().map(|id| keys.ids(id)));
        let call = self
            .script(Name::Send, &names)
            .arg(new.session.as_str())
            .arg(new.message.to_string())
            .arg(new.body.as_json())
            .arg(new.pool.as_str())
            .arg(limits.body)
            .arg(limits.inbox)
            .arg(partition.wake_prefix())
            .maybe(new.id.as_ref())
            .maybe(new.reply_to.as_ref())
            .maybe(new.group.as_ref())
            .maybe(new.resume)
            .maybe(asked(new.durability));
        let (mut reply, reach) = match self.ask_at(new.class, Traffic::Turns, call).await {
            Ok(answered) => answered,
            Err(error) => return Err(self.naming(&names, error).await),
        };
        let sent = sent(&mut reply)?.map_err(|(reply, word)| reply.unknown(&word))?;
        Ok(sent.acknowledged(reach))
    }

    pub(super) async fn take_reply_at(&self, key: &ReplyTo, wait: Duration) -> StoreResult<Option<String>> {
        let list = reply_list(key);
        let taken = if wait.is_zero() {
            let mut pop = redis::cmd("LPOP");
            pop.arg(list);
            self.shared.masters.run(Traffic::Reads, list, &pop).await
        } else {
            let block = |wait: Duration| {
                let mut pop = redis::cmd("BLPOP");
                pop.arg(list).arg(wait.as_secs_f64().max(0.001));
                pop
            };
            self.shared.masters.wait(list, wait, block).await
        };
        let reply = match taken {
            Ok(Value::Nil) => return Ok(None),
            // BLPOP names the list, too.
            Ok(Value::Array(mut parts)) => parts.pop().unwrap_or(Value::Nil),
            Ok(value) => value,
            Err(StoreError::Unreadable { .. }) => {
                return Err(StoreError::Refused(format!("`{key}` is not a list")));
            }
            Err(error) => return Err(error),
        };
        text(reply).map(Some).map_err(unreadable("a reply"))
    }

    pub(super) async fn read_ingress(
        &self,
        door: Door,
        limit: usize,
        wait: Duration,
    ) -> StoreResult<Ingress> {
        let seen = self.ingress_now(door, limit).await?;
        if wait.is_zero() || !seen.entries.is_empty() {
            return Ok(seen);
        }
        let ingress = self.keys().ingress(door);
        let block = |wait| {
            let mut read = redis::cmd("XREAD");
            read.arg("COUNT").arg(limit.max(1)).arg("BLOCK").arg(at_least_a_millisecond(wait));
            read.arg("STREAMS").arg(&ingress).arg("0");
            read
        };
        match self.shared.masters.wait(&ingress, wait, block).await? {
            // Most looks at most doors end here.
            Value::Nil => Ok(seen),
            _ => self.ingress_now(door, limit).await,
        }
    }

    async fn ingress_now(&self, door: Door, limit: usize) -> StoreResult<Ingress> {
        let ingress = self.keys().ingress(door);
        let mut look = redis::pipe();
        look.cmd("XRANGE").arg(&ingress).arg("-").arg("+").arg("COUNT").arg(limit);
        look.cmd("XINFO").arg("STREAM").arg(&ingress);
        let answers = self.shared.masters.each(Traffic::Reads, &ingress, &look).await?;
        let mut answers = answers.into_iter();
        let entries = answers.next().unwrap_or(Ok(Value::Nil))?;
        let info = match answers.next() {
            // Where there is no stream yet.
            Some(Err(error)) if is_nothing_there(&error) => Value::Nil,
            Some(info) => info?,
            None => Value::Nil,
        };
        let entries = if limit == 0 { Vec::new() } else { read_entries(entries)? };
        Ok(Ingress { entries, last: last_id(info)? })
    }

    pub(super) async fn post_entry(
        &self,
        door: Door,
        fields: &[(Vec<u8>, Vec<u8>)],
    ) -> StoreResult<StreamId> {
        if fields.is_empty() {
            return Err(StoreError::Refused("an entry needs at least one field".to_owned()));
        }
        let ingress = self.keys().ingress(door);
        let mut add = redis::cmd("XADD");
        add.arg(&ingress).arg("*");
        for (name, value) in fields {
            add.arg(name).arg(value);
        }
        let id =
            text(self.shared.masters.run(Traffic::Turns, &ingress, &add).await?).and_then(|id| id.parse());
        id.map_err(unreadable("the id of an entry"))
    }

    pub(super) async fn remove_from_ingress(&self, door: Door, ids: &[StreamId]) -> StoreResult<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let ingress = self.keys().ingress(door);
        let mut remove = redis::cmd("XDEL");
        remove.arg(&ingress);
        for id in ids {
            remove.arg(id.to_string());
        }
        self.shared.masters.run(Traffic::Leases, &ingress, &remove).await.map(drop)
    }

    pub(super) async fn advance_ingress_past(&self, door: Door, past: StreamId) -> StoreResult<()> {
        let call = self.script(Name::Advance, &[self.keys().ingress(door)]);
        let call = call.arg(past.to_string()).arg(past.millis).arg(past.seq);
        self.shared.masters.call(Traffic::Leases, &call).await.map(drop)
    }

    pub(super) async fn read_cursors(&self, door: Door, of: &[Partition]) -> StoreResult<Cursors> {
        let groups = self.shared.masters.groups(of.iter().copied()).into_iter();
        // Side by side: the silence of one master is waited for once, and by nobody else.
        let read = join_all(groups.map(|together| self.read_cursors_of(door, together))).await;
        let mut cursors = Cursors::default();
        for (partition, cursor) in read.into_iter().flatten() {
            match cursor {
                Ok(Some(id)) => _ = cursors.taken.insert(partition, id),
                Ok(None) => (),
                Err(error) => _ = cursors.unknown.insert(partition, error),
            }
        }
        match cursors.unknown.pop_first() {
            Some((_, error)) if cursors.unknown.len() + 1 == of.len() => Err(error),
            unknown => {
                cursors.unknown.extend(unknown);
                Ok(cursors)
            }
        }
    }

    /// The cursors of partitions that one pipeline may be about.
    async fn read_cursors_of(
        &self,
        door: Door,
        together: Vec<Partition>,
    ) -> Vec<(Partition, StoreResult<Option<StreamId>>)> {
        let keys: Vec<_> = together.iter().map(|of| self.keys().partition(*of).cursor()).collect();
        let Some(first) = keys.first() else { return Vec::new() };
        let (source, mut look) = (door.to_string(), redis::pipe());
        for key in &keys {
            look.cmd("HGET").arg(key).arg(&source);
        }
        let cursors: Vec<_> = match self.shared.masters.each(Traffic::Leases, first, &look).await {
            Ok(values) if values.len() == keys.len() => {
                keys.iter().zip(values).map(|(key, value)| cursor(key, value)).collect()
            }
            Ok(_) => keys.iter().map(|_| Err(some_are_gone())).collect(),
            Err(error) => keys.iter().map(|_| Err(again(&error))).collect(),
        };
        together.into_iter().zip(cursors).collect()
    }

    pub(super) async fn relay_batch(
        &self,
        partition: Partition,
        door: Door,
        previous: Option<StreamId>,
        batch: &[Relayed],
    ) -> StoreResult<Relay> {
        let (of, limits) = (self.keys().partition(partition), self.limits());
        let mut names = vec![of.cursor(), of.index(), of.out(), of.dead()];
        for relayed in batch {
            if let RelayedKind::Message(new) = &relayed.what {
                let keys = self.keys().session(&new.session);
                let ids = new.id.as_ref().map_or_else(|| keys.meta(), |id| keys.ids(id));
                names.extend([keys.meta(), keys.inbox(), ids, keys.ready(&new.pool), keys.idle(&new.pool)]);
            }
        }
        let server = self.shared.masters.server(&self.keys().ingress(door)).await?;
        let call = self
            .script(Name::Relay, &names)
            .arg(door.to_string())
            .maybe(previous)
            .maybe(batch.last().map(|relayed| relayed.id))
            .arg(&server.replication_id)
            .arg(limits.body)
            .arg(limits.inbox)
            .arg(of.wake_prefix());
        let call = batch.iter().fold(call, |call, relayed| match &relayed.what {
            RelayedKind::Message(new) => with_message(call, new),
            RelayedKind::Refuse(refused) => with_refused(call, refused),
        });
        let (mut reply, reach) = self.ask_at(Relayed::class(batch), Traffic::Turns, call).await?;
        let word = reply.text()?;
        match word.as_str() {
            "taken" => {
                let each = reply.rest().map(|one| {
                    sent(&mut Reply::of(Name::Relay, one)?)?.map_err(|(reply, word)| reply.unknown(&word))
                });
                Ok(Relay::Taken(each.collect::<StoreResult<_>>()?).acknowledged(reach))
            }
            "elsewhere" => Ok(Relay::Elsewhere(reply.maybe()?)),
            "other_pool" => Ok(Relay::OtherPool { index: reply.parse()?, pool: reply.parse()? }),
            _ => Err(reply.unknown(&word)),
        }
    }

    pub(super) async fn revive_letter(
        &self,
        letter: &DeadLetter,
        message: MessageId,
        pool: &Pool,
    ) -> StoreResult<Revive> {
        let Some(session) = &letter.session else {
            return Ok(Revive::Sent(Sent::Refused(Refusal::Malformed)));
        };
        let (keys, limits) = (self.keys().session(session), self.limits());
        let partition = keys.partition();
        let names = [
            self.keys().partition(letter.partition).dead(),
            keys.meta(),
            keys.inbox(),
            keys.ready(pool),
            keys.idle(pool),
            partition.index(),
            partition.out(),
        ];
        let call = self
            .script(Name::Revive, &names)
            .arg(letter.id.to_string())
            .arg(session.as_str())
            .arg(message.to_string())
            .arg(pool.as_str())
            .arg(limits.body)
            .arg(limits.inbox)
            .arg(partition.wake_prefix());
        match sent(&mut self.ask(Traffic::Turns, call).await?)? {
            Ok(sent) => Ok(Revive::Sent(sent)),
            Err((_, word)) if word == "gone" => Ok(Revive::Gone),
            Err((reply, word)) => Err(reply.unknown(&word)),
        }
    }
}

fn with_message(call: Call, new: &NewMessage) -> Call {
    let resume = new.resume.map(|resume| resume.to_string()).unwrap_or_default();
    let group = new.group.as_ref().map_or("", |group| group.as_str());
    let asked = asked(new.durability).map(|class| class.to_string()).unwrap_or_default();
    call.arg("message")
        .arg(new.session.as_str())
        .arg(new.message.to_string())
        .arg(new.body.as_json())
        .arg(new.pool.as_str())
        .maybe(new.id.as_ref())
        .maybe(new.reply_to.as_ref())
        .arg(format!("{resume} {asked} {group}"))
}

fn with_refused(call: Call, refused: &Refused) -> Call {
    call.arg("refuse")
        .maybe(refused.session.as_ref())
        .arg(&refused.reason)
        .arg(refused.body.as_json())
        .arg(&refused.sentence)
        .maybe(refused.id.as_ref())
        .maybe(refused.reply_to.as_ref())
        .maybe(asked(refused.durability))
}

/// What a message asks for over its agent's class, if anything.
fn asked(durability: Durability) -> Option<Durability> {
    Some(durability).filter(|asked| *asked != Durability::MEMORY)
}

/// What `accept` in the prelude answered; the word and the rest of the reply if it is none of those.
fn sent(reply: &mut Reply) -> StoreResult<Result<Sent, (Reply, String)>> {
    let word = reply.text()?;
    let sent = match word.as_str() {
        "accepted" => Sent::Accepted { message: MessageId(reply.parse()?), number: reply.parse()? },
        "repeat" => Sent::Repeat { message: MessageId(reply.parse()?), answer: reply.maybe_text()? },
        "other_pool" => Sent::OtherPool(reply.parse()?),
        "refused" => {
            let why = reply.text()?;
            match refusal(&why) {
                Some(refusal) => Sent::Refused(refusal),
                None => return Ok(Err((reply.take(), why))),
            }
        }
        _ => return Ok(Err((reply.take(), word))),
    };
    Ok(Ok(sent))
}

fn refusal(word: &str) -> Option<Refusal> {
    let all = [Refusal::Stopped, Refusal::Full, Refusal::TooLarge, Refusal::Malformed, Refusal::Unreadable];
    all.into_iter().find(|refusal| refusal.as_str() == word)
}

fn some_are_gone() -> StoreError {
    StoreError::Unavailable("some answers are gone".into())
}

/// What the cursor at `key` says; an answer that cannot be read is told with that key.
fn cursor(key: &str, value: StoreResult<Value>) -> StoreResult<Option<StreamId>> {
    match value {
        Ok(Value::Nil) => Ok(None),
        Ok(value) => {
            let id = text(value).and_then(|cursor| cursor_id(&cursor));
            id.map(Some).map_err(|why| StoreError::unreadable(format!("`{key}`"), why))
        }
        Err(StoreError::Unreadable { why, .. }) => Err(StoreError::unreadable(format!("`{key}`"), why)),
        Err(error) => Err(error),
    }
}

/// A cursor is the id taken last, and the replication id of the server it was taken from.
pub(super) fn cursor_id(cursor: &str) -> Result<StreamId, String> {
    cursor.split_once(' ').map_or(cursor, |(id, _)| id).parse()
}

fn read_entries(value: Value) -> StoreResult<Vec<IngressEntry>> {
    let read = stream(value).and_then(|entries| {
        let entry = |(id, fields): (String, super::records::Fields)| {
            Ok(IngressEntry { id: id.parse()?, fields: fields.into_pairs() })
        };
        entries.into_iter().map(entry).collect()
    });
    read.map_err(unreadable("the plain door"))
}

/// The last id that a stream gave, by `XINFO STREAM`, which is an error where there is no stream yet.
fn last_id(info: Value) -> StoreResult<StreamId> {
    let Value::Array(info) = info else { return Ok(StreamId::default()) };
    let mut parts = info.into_iter();
    while let (Some(name), Some(value)) = (parts.next(), parts.next()) {
        if text(name).is_ok_and(|name| name == "last-generated-id") {
            return text(value).and_then(|id| id.parse()).map_err(unreadable("the plain door"));
        }
    }
    Ok(StreamId::default())
}
