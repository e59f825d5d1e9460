//! Sending, and waiting for the reply.

use std::time::Duration;

use super::{Client, ClientError, ClientResult};
use crate::{
    model::{
        Body, Durability, EntryId, Envelope, Group, IdempotencyKey, MessageId, NewMessage, Pool, ReplyTo,
        Resume, SessionId,
    },
    runtime::Moment,
    store::{Reach, Sent, Store, StoreError},
};

/// A message that is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    session: SessionId,
    body: Body,
    id: Option<IdempotencyKey>,
    reply_to: Option<ReplyTo>,
    group: Option<Group>,
    resume: Option<Resume>,
    durability: Durability,
}

/// What a send came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// What the message is called; the first's name, if this was a repeat.
    pub message: MessageId,
    /// Whether it had been accepted before, by its id.
    pub repeat: bool,
    /// The answer, if it was a repeat and the first is answered already.
    pub answer: Option<Envelope>,
    /// What its acceptance has reached: what its agent declares, or more if more was asked for.
    pub class: Durability,
}

/// What asking came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What the message is called.
    pub message: MessageId,
    /// Whether it had been accepted before, by its id.
    pub repeat: bool,
    /// The turn that answered.
    pub turn: Option<u64>,
    /// The `assistant` entry, if there is one.
    pub entry: Option<EntryId>,
    /// What the agent said, if it said something.
    pub reply: Option<Body>,
    /// What its turn's commit has reached.
    pub class: Durability,
}

impl Outgoing {
    /// `body` for `session`.
    pub fn new(session: SessionId, body: Body) -> Self {
        Self {
            session,
            body,
            id: None,
            reply_to: None,
            group: None,
            resume: None,
            durability: Durability::MEMORY,
        }
    }

    /// Text for `session`: `{"text": …}`.
    pub fn text(session: SessionId, text: &str) -> Self {
        Self::new(session, Body::text(text))
    }

    /// Whom it is for.
    pub fn session(&self) -> &SessionId {
        &self.session
    }

    /// What it holds.
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// The sender's own key: the same key again is the same message, for a day at least.
    pub fn id(self, id: IdempotencyKey) -> Self {
        Self { id: Some(id), ..self }
    }

    /// The list that the reply is pushed to.
    pub fn reply_to(self, key: ReplyTo) -> Self {
        Self { reply_to: Some(key), ..self }
    }

    /// The group the session joins, if this message makes it.
    pub fn group(self, group: Group) -> Self {
        Self { group: Some(group), ..self }
    }

    /// What happens to the session's unfinished turns, over what its agent says.
    pub fn resume(self, resume: Resume) -> Self {
        Self { resume: Some(resume), ..self }
    }

    /// Asks for more than the agent's class, for this message: its acceptance, its turn and its reply reach what covers
    /// both. A weaker class changes nothing.
    pub fn durability(self, durability: Durability) -> Self {
        Self { durability, ..self }
    }
}

impl<S: Store> Client<S> {
    /// Sends a message; it is durable, at the class that its agent declares, or [more](Outgoing::durability), when this
    /// returns. Where that is not reached in time it is [`ClientError::NotReached`]; where more is asked for than its server
    /// can honour now nothing is sent: [`ClientError::Beyond`].
    ///
    /// With an [`id`](Outgoing::id) this repeats itself while the server gives no answer, until the
    /// client's patience is over. Without one it cannot tell a repeat from a second message, so no
    /// answer is [`ClientError::Unknown`] at once.
    pub async fn send(&self, message: Outgoing) -> ClientResult<Receipt> {
        let (pool, declared) = self.served(&message.session.agent()).await?;
        let message = message.named(self.env.message_id(), pool, declared);
        if message.class != declared {
            self.can_be_honoured(&message.session, message.class).await?;
        }
        self.accept(message).await
    }

    /// Sends what was sent before, to find out what became of it: it may be there, whatever its server lacks by now.
    async fn send_again(&self, message: Outgoing) -> ClientResult<Receipt> {
        let (pool, declared) = self.served(&message.session.agent()).await?;
        self.accept(message.named(self.env.message_id(), pool, declared)).await
    }

    /// Whether the server of `session` has what `class` waits for; an error with the setting to change if not.
    pub(super) async fn can_be_honoured(&self, session: &SessionId, class: Durability) -> ClientResult<()> {
        let partition = self.store.partitions().of(session);
        match self.insist(|| self.store.lacks(partition, class)).await.map_err(ClientError::reading)? {
            Some(lack) => Err(ClientError::Beyond { class, lack }),
            None => Ok(()),
        }
    }

    /// Sends a message and waits up to `wait` for its reply. An agent's error is [`ClientError::Failed`].
    ///
    /// A message without an `id` gets one, so that a lost answer can be asked for again. A
    /// `reply_to` is replaced by a list of this call's own.
    pub async fn ask(&self, message: Outgoing, wait: Duration) -> ClientResult<Answer> {
        let until = self.env.now().plus(wait);
        let list = self.private_list(&message.session);
        let id = message.id.clone().unwrap_or_else(|| self.new_id());
        let message = message.id(id.clone()).reply_to(list.clone());
        let Receipt { message: name, repeat, answer, .. } = self.send(message.clone()).await?;
        let answer = match answer {
            Some(answer) => Some(answer),
            None => self.await_answer(&message, &list, until).await?,
        };
        match answer {
            Some(answer) => Answer::of(answer, name, repeat),
            None => {
                let session = message.session;
                Err(ClientError::NoAnswer { session, message: name, id, waited: wait, repeat })
            }
        }
    }

    /// A key for a message that has none.
    pub fn new_id(&self) -> IdempotencyKey {
        self.env.uuid().to_string().parse().expect("a UUID is a good id")
    }

    /// A list of its own in the slot of the session, so that on a cluster too a commit can push to it.
    fn private_list(&self, session: &SessionId) -> ReplyTo {
        let partitions = self.store.partitions();
        let tag = partitions.tag(partitions.of(session));
        format!("reply:{{{tag}}}:{}", self.env.uuid()).parse().expect("short, and not one of ours")
    }

    /// Sends until it is accepted or refused, to the pool that the session turns out to belong to.
    async fn accept(&self, mut message: NewMessage) -> ClientResult<Receipt> {
        let class = message.class;
        for _ in 0..Self::MOST_POOLS {
            match self.send_once(&message).await.map_err(ClientError::writing)? {
                Sent::Accepted { message, .. } => {
                    return Ok(Receipt { message, repeat: false, answer: None, class });
                }
                // Our own first call, whose answer was lost, is no repeat to the caller.
                Sent::Repeat { message: name, answer } => {
                    let answer = answer.as_deref().map(read_answer).transpose()?;
                    self.may_be_told(&message, answer.as_ref()).await?;
                    return Ok(Receipt { message: name, repeat: name != message.message, answer, class });
                }
                Sent::Refused(reason) => return Err(ClientError::Refused(reason)),
                Sent::Unknown => return Err(ClientError::NotReached(class)),
                Sent::OtherPool(pool) => message.pool = pool,
            }
        }
        Err(ClientError::Restless(message.session))
    }

    /// An answer that was read may be told once its own class is reached, which may be more than the repeat has.
    async fn may_be_told(&self, message: &NewMessage, answer: Option<&Envelope>) -> ClientResult<()> {
        let class = answer.and_then(|answer| answer.class).unwrap_or_default();
        if class <= message.class {
            return Ok(());
        }
        let partition = self.store.partitions().of(&message.session);
        match self.insist(|| self.store.reach(partition, class)).await.map_err(ClientError::writing)? {
            Reach::Reached => Ok(()),
            Reach::Unknown => Err(ClientError::NotReached(class)),
        }
    }

    async fn send_once(&self, message: &NewMessage) -> Result<Sent, StoreError> {
        if message.id.is_none() {
            return self.store.send(message).await;
        }
        let until = self.env.now().plus(self.patience);
        let mut is_there = false;
        loop {
            let sent = self.insist_writing(|| self.store.send(message)).await;
            let sent = match sent {
                // It was there when its class was not reached.
                Err(_) if is_there => return Ok(Sent::Unknown),
                sent => sent?,
            };
            is_there |= sent == Sent::Unknown;
            if sent != Sent::Unknown || self.env.now().plus(Self::PAUSE) >= until {
                return Ok(sent);
            }
            self.env.sleep(Self::PAUSE).await;
        }
    }

    /// Waits for the reply at `list`; none if it does not come in time.
    ///
    /// A reply that was taken from its list but lost on the way is not there a second time, and a
    /// server may come back without what it held. So now and then, after every failure, and once at
    /// the end, the message is sent again: by its id, that is asking for its answer.
    async fn await_answer(
        &self,
        message: &Outgoing,
        list: &ReplyTo,
        until: Moment,
    ) -> ClientResult<Option<Envelope>> {
        loop {
            let left = until.since(self.env.now());
            match self.store.take_reply(list, left.min(Self::LONGEST_LOOK)).await {
                Ok(Some(payload)) => return read_answer(&payload).map(Some),
                Ok(None) => (),
                // It is there, and asking again would not make it readable.
                Err(err @ StoreError::Unreadable { .. }) => return Err(ClientError::Store(err)),
                Err(_) => self.env.sleep(Self::PAUSE.min(left)).await,
            }
            match self.send_again(message.clone()).await {
                Ok(Receipt { answer: Some(answer), .. }) => return Ok(Some(answer)),
                // There may be an answer, which nobody may be told yet.
                Err(unknown @ ClientError::NotReached(_)) if self.env.now() >= until => return Err(unknown),
                _ if self.env.now() >= until => return Ok(None),
                _ => (),
            }
        }
    }
}

impl Outgoing {
    fn named(self, message: MessageId, pool: Pool, declared: Durability) -> NewMessage {
        let Self { session, body, id, reply_to, group, resume, durability } = self;
        let class = declared.with(durability);
        NewMessage { session, message, id, reply_to, body, group, resume, durability, pool, class }
    }
}

impl Answer {
    fn of(envelope: Envelope, accepted: MessageId, repeat: bool) -> ClientResult<Self> {
        let Envelope { message, turn, entry, reply, error, class, .. } = envelope;
        let message = message.unwrap_or(accepted);
        match error {
            Some(error) => Err(ClientError::Failed { message, error, repeat }),
            None => Ok(Self {
                message,
                repeat,
                turn,
                entry,
                reply: reply.flatten(),
                class: class.unwrap_or_default(),
            }),
        }
    }
}

fn read_answer(payload: &str) -> ClientResult<Envelope> {
    serde_json::from_str(payload).map_err(|err| ClientError::Store(StoreError::unreadable("the reply", err)))
}
