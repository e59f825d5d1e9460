//! Commands of many callers in one pipeline: while one is under way the next gathers.
//!
//! For small commands that come by the thousand and that nobody is in a hurry for: by themselves each would cost the server and
//! us a read and a write of a socket. Who finds nobody sending sends for all; if it leaves before there is an answer, another of
//! those who wait goes on where it was.

use std::sync::{Mutex, MutexGuard};

use futures_util::future::BoxFuture;
use redis::{Pipeline, Value};
use tokio::sync::{Mutex as AsyncMutex, oneshot};

use super::{errors::again, lanes::Lane};
use crate::store::{StoreError, StoreResult};

/// How many callers share a pipeline at most.
const MOST: usize = 512;

/// What gathers for one master.
pub(super) struct Gathering {
    lane: Lane,
    waiting: Mutex<Vec<Asked>>,
    /// Held by who sends.
    sending: AsyncMutex<Option<Sending>>,
}

/// What one caller asks.
struct Asked {
    commands: Pipeline,
    answer: Answer,
}

type Answer = oneshot::Sender<StoreResult<Vec<Value>>>;

/// A pipeline under way, and how many of its values are whose.
struct Sending {
    values: BoxFuture<'static, StoreResult<Vec<Value>>>,
    answers: Vec<(usize, Answer)>,
}

impl Gathering {
    /// Over this lane, which others use too.
    pub(super) fn new(lane: Lane) -> Self {
        Self { lane, waiting: Mutex::default(), sending: AsyncMutex::default() }
    }

    /// Runs commands that may fail by themselves: their errors stand among the values. May be dropped: what was not sent
    /// yet is not sent then.
    pub(super) async fn each(&self, commands: &Pipeline) -> StoreResult<Vec<Value>> {
        let (answer, mut answered) = oneshot::channel();
        self.waiting().push(Asked { commands: commands.clone(), answer });
        loop {
            let mut sending = tokio::select! {
                biased;
                values = &mut answered => {
                    return values.unwrap_or_else(|_| Err(StoreError::Unavailable("its group is gone".into())));
                }
                sending = self.sending.lock() => sending,
            };
            self.go_on(&mut sending).await;
        }
    }

    /// Brings the pipeline under way to its end, or the next one. May be dropped: then somebody else goes on with it.
    async fn go_on(&self, sending: &mut Option<Sending>) {
        // Nobody would hear of it.
        sending.take_if(|group| group.answers.iter().all(|(_, answer)| answer.is_closed()));
        if sending.is_none() {
            *sending = self.next_group();
        }
        let Some(group) = sending else { return };
        let values = (&mut group.values).await;
        let answers = sending.take().map(|group| group.answers).unwrap_or_default();
        match values {
            Ok(values) => hand_out(values, answers),
            // Whoever does not listen any more asks again.
            Err(error) => answers.into_iter().for_each(|(_, answer)| _ = answer.send(Err(again(&error)))),
        }
    }

    /// Those who wait to be sent, and are still there.
    fn next_group(&self) -> Option<Sending> {
        let mut waiting = self.waiting();
        let many = waiting.len().min(MOST);
        let (mut all, mut answers) = (redis::pipe(), Vec::new());
        for Asked { commands, answer } in waiting.drain(..many).filter(|asked| !asked.answer.is_closed()) {
            answers.push((commands.len(), answer));
            commands.cmd_iter().for_each(|command| _ = all.add_command(command.clone()));
        }
        let lane = self.lane.clone();
        let values = Box::pin(async move { lane.each(&all).await });
        (!answers.is_empty()).then_some(Sending { values, answers })
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Asked>> {
        self.waiting.lock().expect("nobody panics with the lock held")
    }
}

/// Gives each its own.
fn hand_out(values: Vec<Value>, answers: Vec<(usize, Answer)>) {
    let mut values = values.into_iter();
    for (many, answer) in answers {
        let own: Vec<_> = values.by_ref().take(many).collect();
        let whole = own.len() == many;
        let own = if whole { Ok(own) } else { Err(StoreError::Unavailable("its answer is gone".into())) };
        // Whoever does not listen any more asks again.
        let _ = answer.send(own);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_gets_its_own_values_and_who_got_too_few_is_told_that_it_knows_nothing() {
        let (answers, mut heard): (Vec<_>, Vec<_>) = [2, 1, 2]
            .map(|many| {
                let (answer, heard) = oneshot::channel();
                ((many, answer), heard)
            })
            .into_iter()
            .unzip();
        hand_out((1..=4).map(Value::Int).collect(), answers);
        let mut next = || heard.remove(0).try_recv().expect("an answer");
        assert_eq!(next().unwrap(), [Value::Int(1), Value::Int(2)]);
        assert_eq!(next().unwrap(), [Value::Int(3)]);
        assert!(matches!(next(), Err(StoreError::Unavailable(_))));
    }
}
