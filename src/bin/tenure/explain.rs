//! What every state means, and what to do about it: one sentence each for every status and cause.

use tenure::model::{Cause, SessionId, Status};

/// The state in a sentence, where nothing more particular is known.
pub(crate) fn meaning(status: Status, cause: Option<Cause>) -> &'static str {
    match (status, cause) {
        (_, Some(Cause::NoWorker)) => "it has messages, and no worker that runs serves its agent",
        (_, Some(Cause::Capacity)) => "it has messages, and all workers that serve its agent are full",
        (_, Some(Cause::OtherPool)) => "it has messages, and its agent is served in another pool only",
        (_, Some(Cause::Backoff)) => "the first of its messages failed and waits for its next try",
        (_, Some(Cause::Limit)) => "it has messages, and a limit of its group or agent holds it",
        (_, Some(Cause::Unreadable)) => "something of it cannot be read by this version; its mail is kept",
        (_, Some(Cause::Poison)) => "its owners died again and again while it had work; its mail is kept",
        (Status::Idle, None) => "a worker has it in memory, and there is nothing to do",
        (Status::Running, None) => "a worker has it, and a turn is under way",
        (Status::Passive, None) => "there is nothing to do, and no worker has it in memory",
        (Status::Waiting, None) => "it has messages, and a worker will take it",
        (Status::Suspended, None) => "its turn was cut off in the middle, and waits for a word to go on",
        (Status::Paused, None) => "somebody paused it; its messages are kept",
        (Status::Stopped, None) => "it is stopped, or being deleted, and takes no messages",
        (Status::Quarantined, None) => "it is set aside; its mail is kept",
    }
}

/// What to do next.
pub(crate) fn advice(session: &SessionId, status: Status, cause: Option<Cause>) -> String {
    match (status, cause) {
        (_, Some(Cause::NoWorker)) => {
            format!("start a worker that serves {}; `tenure workers` lists who serves what", session.agent())
        }
        (_, Some(Cause::Capacity)) => {
            "start another worker, or one with a greater --capacity; `tenure workers` shows their load".to_owned()
        }
        (_, Some(Cause::OtherPool)) => {
            "start a worker with this session's --pool (its agent has moved since? then with `moved_from` in the agents file); \
             `tenure workers` shows which there are"
                .to_owned()
        }
        (_, Some(Cause::Backoff)) => {
            "nothing: it is tried again by itself, and ends in `tenure dead ls` if it keeps failing; a worker's log says why it failed".to_owned()
        }
        (_, Some(Cause::Limit)) => {
            "nothing: it goes on when others of its group or agent have ended their turns".to_owned()
        }
        (_, Some(Cause::Unreadable)) => {
            format!("use the version that wrote it, or put back what was set by hand; once it can be read, `tenure unquarantine {session}`; `tenure show {session} --mail` shows what waits")
        }
        (_, Some(Cause::Poison)) => format!(
            "see its first message in `tenure show {session} --mail`, and its workers' logs; then `tenure unquarantine {session}`, with --drop-message to give up on its first message"
        ),
        (Status::Idle | Status::Passive, None) => {
            format!("nothing: `tenure chat {session}` or `tenure send {session} TEXT` wakes it")
        }
        (Status::Running, None) => format!("nothing: `tenure history {session} --follow` shows what it does"),
        (Status::Waiting, None) => {
            format!("nothing: a worker takes it in a moment; look again with `tenure show {session}`")
        }
        (Status::Suspended, None) => {
            format!("`tenure continue {session}` lets its turn go on, and so does its next message")
        }
        (Status::Paused, None) => "nothing: it goes on when whoever paused it lets it".to_owned(),
        (Status::Stopped, None) => {
            format!("send to another session, or delete this one: `tenure delete {session}`")
        }
        (Status::Quarantined, None) => format!("once its reason is gone: `tenure unquarantine {session}`"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const STATUSES: [Status; 8] = [
        Status::Idle,
        Status::Running,
        Status::Passive,
        Status::Waiting,
        Status::Suspended,
        Status::Paused,
        Status::Stopped,
        Status::Quarantined,
    ];
    const CAUSES: [Cause; 7] = [
        Cause::NoWorker,
        Cause::Capacity,
        Cause::Backoff,
        Cause::OtherPool,
        Cause::Limit,
        Cause::Unreadable,
        Cause::Poison,
    ];

    #[test]
    fn every_status_and_every_cause_has_a_sentence_and_an_advice_of_its_own() {
        let session = "echo/a".parse().unwrap();
        let pairs = STATUSES.map(|status| (status, None)).into_iter();
        let pairs = pairs.chain(CAUSES.map(|cause| (Status::Waiting, Some(cause))));
        let said: Vec<_> = pairs.map(|(s, c)| (meaning(s, c), advice(&session, s, c))).collect();
        assert_eq!(said.len(), 15);
        let meanings: BTreeSet<_> = said.iter().map(|(meaning, _)| meaning).collect();
        assert_eq!(meanings.len(), 15, "two states are told in the same words");
        assert!(said.iter().all(|(_, advice)| advice.len() > 20), "{said:?}");
    }

    #[test]
    fn a_cause_counts_before_the_status_it_comes_with() {
        let session: SessionId = "echo/a".parse().unwrap();
        for cause in CAUSES {
            for status in STATUSES {
                assert_eq!(meaning(status, Some(cause)), meaning(Status::Waiting, Some(cause)));
                assert_eq!(
                    advice(&session, status, Some(cause)),
                    advice(&session, Status::Waiting, Some(cause))
                );
            }
        }
    }
}
