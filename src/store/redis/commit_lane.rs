//! Commit lanes: one connection for each durability class, where many writes share one wait.
//!
//! `WAIT` covers the writes of its own connection, and holds that connection up until it is answered. So writes of a
//! class go through a connection of their own; while one group of them is waited for the next gathers, and then goes
//! out as one pipeline. Who finds nobody sending sends for all; if it leaves before there is an answer, another of
//! those who wait goes on where it was, so that nobody has to ask again what may have been done.

use std::sync::{Arc, Mutex, MutexGuard};

use futures_util::future::BoxFuture;
use redis::Value;
use tokio::sync::{Mutex as AsyncMutex, oneshot};

use super::{
    commit_group::{GroupLane, Outcome},
    errors::again,
    keys::Keys,
    lanes::Lane,
    scripts::Call,
    target::Server,
};
use crate::{
    model::Durability,
    store::{Reach, StoreError, StoreResult},
};

/// How many writes share a wait at most.
const MOST: usize = 512;

/// Writes of one class.
pub(super) struct CommitLane {
    lane: GroupLane,
    gathering: Mutex<Vec<Write>>,
    /// Held by who sends.
    sending: AsyncMutex<Option<Sending>>,
}

/// A write that waits to be sent; without a call only for what was written before.
struct Write {
    call: Option<Call>,
    answer: Answer,
}

type Answer = oneshot::Sender<StoreResult<Written>>;

/// A group under way.
struct Sending {
    outcome: BoxFuture<'static, StoreResult<Outcome>>,
    answers: Vec<Answer>,
}

/// What a write came to.
#[derive(Debug)]
pub(super) struct Written {
    /// What its script answered.
    pub(super) value: Value,
    pub(super) reach: Reach,
}

impl CommitLane {
    /// A lane of its own connection, which it makes when it is first used.
    pub(super) fn new(lane: Lane, class: Durability, keys: Keys) -> Self {
        let lane = GroupLane { lane, class, keys };
        Self { lane, gathering: Mutex::default(), sending: AsyncMutex::default() }
    }

    /// Writes, and waits for the class. May be dropped: a write that was not sent yet is not sent then.
    pub(super) async fn write(&self, call: Option<Call>) -> StoreResult<Written> {
        let (answer, mut answered) = oneshot::channel();
        self.gathering().push(Write { call, answer });
        loop {
            let mut sending = tokio::select! {
                biased;
                written = &mut answered => {
                    return written.unwrap_or_else(|_| Err(StoreError::Unavailable("its group is gone".into())));
                }
                sending = self.sending.lock() => sending,
            };
            self.go_on(&mut sending).await;
        }
    }

    /// Who answers.
    pub(super) async fn server(&self) -> StoreResult<Arc<Server>> {
        self.lane.lane.server().await
    }

    /// Connects anew for the next group, unless that was done since `seen` answered.
    pub(super) fn connect_again(&self, seen: &Server) {
        self.lane.lane.connect_again(seen);
    }

    /// Brings the group under way to its end, or the next one. May be dropped: then somebody else goes on with it.
    async fn go_on(&self, sending: &mut Option<Sending>) {
        // Nobody would hear of it, and whatever of it was not sent yet nobody wants any more.
        sending.take_if(|group| group.answers.iter().all(Answer::is_closed));
        if sending.is_none() {
            *sending = self.next_group();
        }
        let Some(group) = sending else { return };
        let outcome = (&mut group.outcome).await;
        let answers = sending.take().map(|group| group.answers).unwrap_or_default();
        // Whoever does not listen any more asks again.
        match outcome {
            Ok(Outcome { values, reach }) => {
                let written = values.into_iter().map(|value| value.map(|value| Written { value, reach }));
                answers.into_iter().zip(written).for_each(|(answer, written)| _ = answer.send(written));
            }
            Err(error) => answers.into_iter().for_each(|answer| _ = answer.send(Err(again(&error)))),
        }
    }

    /// Those who wait to be sent, and are still there.
    fn next_group(&self) -> Option<Sending> {
        let mut gathering = self.gathering();
        let many = gathering.len().min(MOST);
        let group = gathering.drain(..many).filter(|write| !write.answer.is_closed());
        let (calls, answers): (Vec<_>, Vec<_>) = group.map(|Write { call, answer }| (call, answer)).unzip();
        let outcome = Box::pin(self.lane.clone().send(calls));
        (!answers.is_empty()).then_some(Sending { outcome, answers })
    }

    fn gathering(&self) -> MutexGuard<'_, Vec<Write>> {
        self.gathering.lock().expect("nobody panics with the lock held")
    }
}
