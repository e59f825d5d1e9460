//! A steady load with a ledger: what was accepted, and how it was answered, kept outside the server.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    sync::Mutex,
    time::Duration,
};

use futures_util::{StreamExt, future::try_join_all, stream};
use tenure::{
    Env, Moment,
    client::{Client, Outgoing},
    model::{Body, Entry, EntryKind, Envelope, IdempotencyKey, MessageId, ReplyTo, SessionId},
    store::HistoryRange,
};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::{
    super::{
        server::Server,
        sleeper::{self, Sleep},
    },
    scene::{PATIENCE, Scene},
};
use crate::{
    connect::Connected,
    failure::{Exit, Failure},
    global::Global,
};

/// Between two looks for replies: how exactly a time is known.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Histories read at once.
const READING: usize = 64;

/// Messages that come without an end: each session is sent the next one a while after it answered the last.
pub(super) struct Load {
    client: Client<Connected>,
    env: Env,
    global: Global,
    list: ReplyTo,
    sessions: usize,
    body: Body,
    rest: Duration,
    waiting: Mutex<BTreeMap<IdempotencyKey, oneshot::Sender<Answered>>>,
}

/// What is known of an answer.
#[derive(Debug, Clone, Copy)]
struct Answered {
    at: Moment,
    /// It was given up on.
    failed: bool,
}

/// A message and its answer.
#[derive(Debug, Clone)]
pub(super) struct Exchange {
    pub(super) session: SessionId,
    pub(super) message: MessageId,
    pub(super) sent: Moment,
    pub(super) answered: Moment,
    pub(super) failed: bool,
}

impl Exchange {
    pub(super) fn took(&self) -> Duration {
        self.answered.since(self.sent)
    }
}

/// What the histories say of the exchanges.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Audit {
    /// Messages without an answer in their session's history.
    pub(super) lost: usize,
    /// Those that are in it more than once, or were answered more than once.
    pub(super) twice: usize,
    /// Histories with a gap, or with an entry of an older owner behind one of a newer.
    pub(super) broken: usize,
}

impl Load {
    pub(super) async fn over(scene: &Scene<'_>, rest: Duration) -> Result<Self, Failure> {
        Ok(Self {
            client: scene.client().await?,
            env: scene.env.clone(),
            global: scene.global.clone(),
            list: scene.replies(),
            sessions: scene.sessions,
            body: Sleep { how_long: scene.args.turn, told: false }.body(),
            rest,
            waiting: Mutex::default(),
        })
    }

    /// Sends until `enough`, and waits for the last answers; all exchanges.
    pub(super) async fn run(&self, enough: &CancellationToken) -> Result<Vec<Exchange>, Failure> {
        let slots = try_join_all((0..self.sessions).map(|number| self.slot(number, enough)));
        tokio::select! {
            biased;
            never = self.hand_out() => match never {},
            exchanges = slots => Ok(exchanges?.concat()),
        }
    }

    async fn slot(&self, number: usize, enough: &CancellationToken) -> Result<Vec<Exchange>, Failure> {
        let session: SessionId = format!("{}/load-{number}", sleeper::NAME).parse().expect("a good session");
        let mut exchanges = Vec::new();
        // So that they do not all come at once.
        let mut pause =
            self.rest * u32::try_from(number).unwrap_or(0) / u32::try_from(self.sessions).unwrap_or(1);
        loop {
            tokio::select! {
                biased;
                () = enough.cancelled() => return Ok(exchanges),
                () = self.env.sleep(pause) => (),
            }
            exchanges.push(self.exchange(&session).await?);
            pause = self.rest;
        }
    }

    async fn exchange(&self, session: &SessionId) -> Result<Exchange, Failure> {
        let id = self.client.new_id();
        let (told, answer) = oneshot::channel();
        self.waiting.lock().expect("nobody panics while waiting").insert(id.clone(), told);
        let message = Outgoing::new(session.clone(), self.body.clone()).id(id).reply_to(self.list.clone());
        let sent = self.env.now();
        let accepted = self.accepted(message).await?;
        let Some(Ok(Answered { at, failed })) = self.env.timeout(PATIENCE, answer).await else {
            let line = format!("a message to {session} was not answered within {PATIENCE:?}");
            return Err(Failure::new(Exit::Failed, line));
        };
        Ok(Exchange { session: session.clone(), message: accepted, sent, answered: at, failed })
    }

    /// Sends again what was refused, as a server does that reads its file; by its id it is the same message.
    async fn accepted(&self, message: Outgoing) -> Result<MessageId, Failure> {
        let until = self.env.now().plus(PATIENCE);
        loop {
            match self.client.send(message.clone()).await {
                Ok(receipt) => return Ok(receipt.message),
                Err(err) if self.env.now() > until => return Err(err.into()),
                Err(_) => self.env.sleep(LOOK_EVERY).await,
            }
        }
    }

    /// Reads the answers where they stand: one that is taken off a list is lost with the connection.
    async fn hand_out(&self) -> Infallible {
        let mut read = 0;
        loop {
            if let Ok(mut server) = Server::connect(&self.global).await {
                while let Ok(replies) = server.standing(&self.list, read).await {
                    read += replies.len();
                    replies.iter().for_each(|reply| self.answered(reply));
                    self.env.sleep(LOOK_EVERY).await;
                }
            }
            self.env.sleep(LOOK_EVERY).await;
        }
    }

    fn answered(&self, reply: &str) {
        let Ok(Envelope { id: Some(id), error, .. }) = serde_json::from_str(reply) else { return };
        // A reply may come twice, and counts once.
        if let Some(told) = self.waiting.lock().expect("nobody panics while waiting").remove(&id) {
            let _ = told.send(Answered { at: self.env.now(), failed: error.is_some() });
        }
    }

    /// Compares the histories with what was accepted.
    pub(super) async fn audit(&self, exchanges: &[Exchange]) -> Result<Audit, Failure> {
        let mut accepted = BTreeMap::<_, BTreeSet<MessageId>>::new();
        for exchange in exchanges {
            accepted.entry(exchange.session.clone()).or_default().insert(exchange.message);
        }
        let audits = accepted.into_iter().map(|(session, messages)| async move {
            let history = self.client.history(&session, HistoryRange::Newest(0)).await?;
            Ok::<_, Failure>(Audit::of(&messages, &history))
        });
        let audits: Vec<_> = stream::iter(audits).buffer_unordered(READING).collect().await;
        audits.into_iter().try_fold(Audit::default(), |sum, audit| Ok(sum.and(&audit?)))
    }
}

impl Audit {
    fn of(accepted: &BTreeSet<MessageId>, history: &[Entry]) -> Self {
        let mut counts = BTreeMap::<_, usize>::new();
        for entry in
            history.iter().filter(|entry| matches!(entry.kind, EntryKind::User | EntryKind::Assistant))
        {
            *counts.entry((entry.message, entry.kind == EntryKind::Assistant)).or_default() += 1;
        }
        let answered = |message: &&MessageId| counts.contains_key(&(Some(**message), true));
        let follows =
            |pair: &[Entry]| pair[1].id.seq == pair[0].id.seq + 1 && pair[1].id.epoch >= pair[0].id.epoch;
        let whole = history.first().is_none_or(|first| first.id.seq == 1) && history.windows(2).all(follows);
        Self {
            lost: accepted.len() - accepted.iter().filter(answered).count(),
            twice: counts.values().filter(|count| **count > 1).count(),
            broken: usize::from(!whole),
        }
    }

    fn and(&self, other: &Self) -> Self {
        Self {
            lost: self.lost + other.lost,
            twice: self.twice + other.twice,
            broken: self.broken + other.broken,
        }
    }
}

#[cfg(test)]
mod tests {
    use tenure::model::{EntryId, Epoch, Millis};

    use super::*;

    fn entry(epoch: u64, seq: u64, kind: EntryKind, message: MessageId) -> Entry {
        let id = EntryId { epoch: Epoch(epoch), seq };
        Entry { id, kind, turn: 1, time: Millis(1), message: Some(message), body: Body::text("x") }
    }

    #[test]
    fn an_audit_finds_what_is_missing_what_is_there_twice_and_what_stands_in_the_wrong_place() {
        let env = Env::seeded(1);
        let (one, two) = (env.message_id(), env.message_id());
        let accepted = BTreeSet::from([one, two]);
        let good = [
            entry(1, 1, EntryKind::User, one),
            entry(1, 2, EntryKind::Assistant, one),
            entry(2, 3, EntryKind::User, two),
            entry(2, 4, EntryKind::Assistant, two),
        ];
        assert_eq!(Audit::of(&accepted, &good), Audit::default());
        assert_eq!(Audit::of(&accepted, &good[..3]), Audit { lost: 1, ..Audit::default() });
        let mut again = good.to_vec();
        again.push(entry(2, 5, EntryKind::Assistant, one));
        assert_eq!(Audit::of(&accepted, &again), Audit { twice: 1, ..Audit::default() });
        let mut late = good.to_vec();
        late[3].id.epoch = Epoch(1);
        assert_eq!(Audit::of(&accepted, &late), Audit { broken: 1, ..Audit::default() });
        assert_eq!(Audit::of(&BTreeSet::from([two]), &good[2..]), Audit { broken: 1, ..Audit::default() });
    }
}
