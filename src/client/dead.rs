//! Dead letters: messages that were given up on, to be retried or dropped.

use std::{fmt, str::FromStr};

use super::{Client, ClientError, ClientResult, Pages};
use crate::{
    model::{Durability, MessageId, Partition, StreamId},
    store::{DeadLetter, Refusal, Revive, Sent, Store},
};

/// Names a dead letter: `<partition>-<id in its stream>`, such as `17-1690000000000-0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeadId {
    /// The partition it lies in.
    pub partition: Partition,
    /// Where it stands there.
    pub id: StreamId,
}

impl DeadId {
    /// The name of `letter`.
    pub fn of(letter: &DeadLetter) -> Self {
        Self { partition: letter.partition, id: letter.id }
    }
}

impl fmt::Display for DeadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.partition, self.id)
    }
}

impl FromStr for DeadId {
    type Err = String;

    fn from_str(given: &str) -> Result<Self, String> {
        let bad = || format!("`{given}` is not a dead letter's id, such as 17-1690000000000-0");
        let (partition, id) = given.split_once('-').ok_or_else(bad)?;
        Ok(Self {
            partition: Partition(partition.parse().map_err(|_| bad())?),
            id: id.parse().map_err(|_| bad())?,
        })
    }
}

impl<S: Store> Client<S> {
    /// All dead letters, page by page: by partition, oldest first.
    pub fn dead(&self) -> DeadLetters<'_, S> {
        DeadLetters { client: self, pages: Pages::over(self.store.partitions()), after: None }
    }

    /// Puts a dead letter back into its session's inbox, as a new message; what that is called.
    ///
    /// What it asked for over its agent's class it asks for again; where its server cannot honour that, nothing is
    /// changed: [`ClientError::Beyond`].
    pub async fn retry(&self, id: DeadId) -> ClientResult<MessageId> {
        let letter = self.letter(id).await?;
        let session = match &letter.session {
            Some(session) if is_message(&letter) => session,
            _ => return Err(ClientError::NoMessage(id)),
        };
        let message = self.env.message_id();
        let (mut pool, declared) = self.served(&session.agent()).await?;
        let class = declared.with(letter.durability);
        if class != declared {
            self.can_be_honoured(session, class).await?;
        }
        for _ in 0..Self::MOST_POOLS {
            match self.store.revive(&letter, message, &pool).await.map_err(ClientError::writing)? {
                Revive::Sent(Sent::Accepted { message, .. } | Sent::Repeat { message, .. }) => {
                    return Ok(message);
                }
                Revive::Sent(Sent::Refused(reason)) => return Err(ClientError::Refused(reason)),
                Revive::Sent(Sent::OtherPool(other)) => pool = other,
                // It is revived at `memory`, which is reached at once.
                Revive::Sent(Sent::Unknown) => return Err(ClientError::NotReached(Durability::MEMORY)),
                Revive::Gone => return Err(ClientError::NoLetter(id)),
            }
        }
        Err(ClientError::Restless(session.clone()))
    }

    /// Drops a dead letter for good.
    pub async fn drop_dead(&self, id: DeadId) -> ClientResult<()> {
        self.has_partition(id)?;
        match self.store.drop_dead(id.partition, &[id.id]).await.map_err(ClientError::writing)? {
            0 => Err(ClientError::NoLetter(id)),
            _ => Ok(()),
        }
    }

    async fn letter(&self, id: DeadId) -> ClientResult<DeadLetter> {
        self.has_partition(id)?;
        let found = self.insist(|| self.store.dead(id.partition, before(id.id), 1)).await;
        let found = found.map_err(ClientError::reading)?;
        found.into_iter().find(|letter| letter.id == id.id).ok_or(ClientError::NoLetter(id))
    }

    fn has_partition(&self, id: DeadId) -> ClientResult<()> {
        let known = id.partition.0 < self.store.partitions().count();
        if known { Ok(()) } else { Err(ClientError::NoLetter(id)) }
    }
}

/// Whether a letter holds what was to be its session's message: a reply that could not be pushed does not,
/// nor does a malformed entry of the plain door, of which `dead` has all the fields.
fn is_message(letter: &DeadLetter) -> bool {
    let entry = letter.message.is_none() && letter.reason == Refusal::Malformed.as_str();
    letter.reason != DeadLetter::REPLY_TO && !entry
}

/// The last id that a stream could give before `id`.
fn before(id: StreamId) -> Option<StreamId> {
    match id {
        StreamId { millis: 0, seq: 0 } => None,
        StreamId { millis, seq: 0 } => Some(StreamId { millis: millis - 1, seq: u64::MAX }),
        StreamId { millis, seq } => Some(StreamId { millis, seq: seq - 1 }),
    }
}

/// Dead letters, page by page.
#[derive(Debug)]
pub struct DeadLetters<'c, S> {
    client: &'c Client<S>,
    pages: Pages,
    after: Option<StreamId>,
}

impl<S: Store> DeadLetters<'_, S> {
    /// The next letters, at most 100; none at the end.
    pub async fn next_page(&mut self) -> ClientResult<Option<Vec<DeadLetter>>> {
        while let Some(partition) = self.pages.partition() {
            let store = &self.client.store;
            let page = self.client.insist(|| store.dead(partition, self.after, Pages::LENGTH)).await;
            let page = page.map_err(ClientError::reading)?;
            match page.last() {
                Some(last) => {
                    self.after = Some(last.id);
                    return Ok(Some(page));
                }
                None => {
                    self.after = None;
                    self.pages.advance();
                }
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_letters_name_reads_back_as_written() {
        let id = DeadId { partition: Partition(17), id: StreamId { millis: 1_690_000_000_000, seq: 3 } };
        assert_eq!(id.to_string(), "17-1690000000000-3");
        assert_eq!(id.to_string().parse(), Ok(id));
        for bad in ["", "17", "17-1", "x-1-1", "70000-1-1"] {
            assert!(bad.parse::<DeadId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn nothing_lies_between_an_id_and_the_one_before_it() {
        let at = |millis, seq| StreamId { millis, seq };
        assert_eq!(before(at(7, 3)), Some(at(7, 2)));
        assert_eq!(before(at(7, 0)), Some(at(6, u64::MAX)));
        assert_eq!(before(at(0, 0)), None);
    }
}
