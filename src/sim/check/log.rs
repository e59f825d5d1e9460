//! The model of a session's history alone: entries that are appended and read. Who may append is not asked.

use std::sync::Arc;

use super::{
    Model,
    session::{Answer, Call},
};

/// A history, used by one client at a time.
#[derive(Debug, Clone, Copy, Default)]
pub struct Log;

impl Model for Log {
    type State = Arc<[u64]>;
    type Call = Call;
    type Answer = Answer;

    fn initial(&self) -> Arc<[u64]> {
        Arc::default()
    }

    fn step(&self, log: &Arc<[u64]>, call: &Call, answer: Option<&Answer>) -> Option<Arc<[u64]>> {
        match (call, answer) {
            (Call::Commit { after, entries, .. }, None | Some(Answer::Committed)) => {
                appended(log, *after, entries)
            }
            (Call::Read { after }, Some(answer)) => reads(log, *after, answer).then(|| log.clone()),
            _ => Some(log.clone()),
        }
    }
}

/// With the entries after entry `after`; a repeat finds them there.
fn appended(log: &Arc<[u64]>, after: u64, entries: &[u64]) -> Option<Arc<[u64]>> {
    let rest = rest(log, after)?;
    if rest.is_empty() {
        return Some([log, entries].concat().into());
    }
    rest.starts_with(entries).then(|| log.clone())
}

fn reads(log: &[u64], after: u64, answer: &Answer) -> bool {
    let Some(rest) = rest(log, after) else { return false };
    match answer {
        Answer::Entries(entries) => rest.starts_with(entries),
        Answer::Tail(entries) => rest == entries,
        _ => true,
    }
}

fn rest(log: &[u64], after: u64) -> Option<&[u64]> {
    log.get(usize::try_from(after).ok()?..)
}
