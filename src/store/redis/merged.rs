//! Small commands of many callers at one master, merged: what goes to one list is one push, and what leaves one stream
//! is struck off at once. By themselves they would cost the server and us more than the scripts of a turn.

use std::{collections::BTreeMap, sync::Arc};

use redis::{Pipeline, Value};

use super::{
    door::REPLY_KEPT,
    errors::again,
    lanes::Lane,
    rounds::{Freight, Rounds},
};
use crate::{
    model::millis,
    store::{StoreError, StoreResult},
};

/// What is done with a key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Job {
    /// Push to this list, and keep it as long as replies are kept.
    Push(String),
    /// Take out of this stream.
    Strike(String),
}

/// One value to push, or one id to strike off.
pub(super) type Piece = (Job, String);

/// What became of a job.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    /// There is something else than a list, or this user may not push there.
    NotTaken,
}

/// Those that did not go well.
type Failures = BTreeMap<Job, StoreResult<Outcome>>;

/// What merges for one master.
pub(super) struct Merged {
    lane: Lane,
    rounds: Rounds<Piece, Arc<Failures>>,
}

impl Freight for Piece {
    fn bytes(&self) -> usize {
        self.1.len()
    }
}

impl Job {
    pub(super) fn key(&self) -> &str {
        match self {
            Self::Push(key) | Self::Strike(key) => key,
        }
    }

    fn add_to(&self, pipeline: &mut Pipeline, args: &[String]) {
        match self {
            Self::Push(list) => pipeline.cmd("RPUSH").arg(list).arg(args),
            Self::Strike(stream) => pipeline.cmd("XDEL").arg(stream).arg(args),
        };
    }

    /// What an answer says, unless all is well.
    fn failure(&self, lane: &Lane, answer: Value) -> Option<StoreResult<Outcome>> {
        let not_taken = |code| matches!(self, Self::Push(_)) && ["WRONGTYPE", "NOPERM"].contains(&code);
        match &answer {
            Value::ServerError(error) if not_taken(error.code()) => Some(Ok(Outcome::NotTaken)),
            _ => lane.checked(answer).err().map(Err),
        }
    }
}

impl Merged {
    /// Over this lane, which others use too.
    pub(super) fn new(lane: Lane) -> Self {
        Self { lane, rounds: Rounds::default() }
    }

    /// Does a job, with what others have at this master: one of [`loads`](super::rounds::loads) of its pieces.
    pub(super) async fn run(&self, job: &Job, load: &[Piece]) -> StoreResult<Outcome> {
        let lane = self.lane.clone();
        let failures = self.rounds.join(load.to_vec(), |pieces| send(lane, pieces)).await?;
        match failures.get(job) {
            None => Ok(Outcome::Done),
            Some(Ok(_)) => Ok(Outcome::NotTaken),
            Some(Err(error)) => Err(again(error)),
        }
    }
}

async fn send(lane: Lane, pieces: Vec<Piece>) -> StoreResult<Arc<Failures>> {
    let mut jobs: BTreeMap<Job, Vec<String>> = BTreeMap::new();
    for (job, arg) in pieces {
        jobs.entry(job).or_default().push(arg);
    }
    let answers = lane.each(&pipeline(&jobs)).await?;
    if answers.len() < jobs.len() {
        return Err(StoreError::Unavailable("some answers are gone".into()));
    }
    let failures = jobs.into_keys().zip(answers).filter_map(|(job, answer)| {
        let failure = job.failure(&lane, answer)?;
        Some((job, failure))
    });
    Ok(Arc::new(failures.collect()))
}

/// A command for each job, in their order, and then those of which nobody needs the answer.
fn pipeline(jobs: &BTreeMap<Job, Vec<String>>) -> Pipeline {
    let mut pipeline = redis::pipe();
    jobs.iter().for_each(|(job, args)| job.add_to(&mut pipeline, args));
    for job in jobs.keys() {
        if let Job::Push(list) = job {
            pipeline.cmd("PEXPIRE").arg(list).arg(millis(REPLY_KEPT));
        }
    }
    pipeline
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_pushed_to_once_in_the_order_of_its_pieces_and_each_job_has_its_answer_first() {
        let push = |list: &str| Job::Push(list.to_owned());
        let jobs = [
            (push("b"), ["3"].map(str::to_owned).to_vec()),
            (push("a"), ["1", "2"].map(str::to_owned).to_vec()),
        ];
        let strike = (Job::Strike("out".to_owned()), vec!["1-1".to_owned()]);
        let pipeline = pipeline(&jobs.into_iter().chain([strike]).collect());
        let words = |command: &redis::Cmd| {
            let word = |arg| match arg {
                redis::Arg::Simple(word) => String::from_utf8_lossy(word).into_owned(),
                _ => String::new(),
            };
            command.args_iter().map(word).collect::<Vec<_>>().join(" ")
        };
        let commands: Vec<_> = pipeline.cmd_iter().map(words).collect();
        let kept = millis(REPLY_KEPT);
        let wanted = ["RPUSH a 1 2".to_owned(), "RPUSH b 3".to_owned(), "XDEL out 1-1".to_owned()];
        assert_eq!(commands[..3], wanted);
        assert_eq!(commands[3..], [format!("PEXPIRE a {kept}"), format!("PEXPIRE b {kept}")]);
    }
}
