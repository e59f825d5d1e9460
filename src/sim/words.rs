//! What operations came to, in a word: for traces.

use std::time::Duration;

use super::trace::Said;
use crate::{
    model::{Entry, SessionId, StreamId},
    store::{
        Agents, Bury, Claim, Commit, Configured, Cursors, DeadLetter, Declared, Delete, Fire, Free, Ingress,
        Lack, Look, Member, Mend, Offer, Proceed, Reach, Reap, Refresh, Relay, Release, Renewal, Revive,
        Sent, StoreError, StoreResult, Survey, Vitals,
    },
};

/// Something that an operation may come to.
pub(super) trait Answer {
    /// In a word, perhaps with a number.
    fn said(&self) -> Said;
}

impl Said {
    pub(super) fn of<T: Answer>(answer: &StoreResult<T>) -> Self {
        match answer {
            Ok(answer) => answer.said(),
            Err(StoreError::Unavailable(_)) => Self::word("unavailable"),
            Err(StoreError::Loading(_)) => Self::word("loading"),
            Err(StoreError::Refused(_) | StoreError::Unconnected(_)) => Self::word("refused"),
            Err(StoreError::Forbidden(_)) => Self::word("forbidden"),
            Err(StoreError::OutOfMemory) => Self::word("out of memory"),
            Err(StoreError::Unreadable { .. }) => Self::word("unreadable"),
        }
    }
}

fn count(many: usize) -> Said {
    Said::number("", many as u64)
}

macro_rules! answers {
    ($($answer:ty: $this:ident => $said:expr;)*) => {
        $(impl Answer for $answer {
            fn said(&self) -> Said {
                let $this = self;
                $said
            }
        })*
    };
}

answers! {
    (): _this => Said::word("done");
    Duration: this => Said::number("s", this.as_secs());
    StreamId: this => Said::number("posted", this.millis);
    bool: this => Said::word(if *this { "yes" } else { "no" });
    usize: this => count(*this);
    Option<String>: this => Said::word(if this.is_some() { "a reply" } else { "nothing" });
    Vec<SessionId>: this => count(this.len());
    Vec<Member>: this => count(this.len());
    Vec<Entry>: this => count(this.len());
    Vec<DeadLetter>: this => count(this.len());
    Agents: this => count(this.known.len());
    Cursors: this => count(this.taken.len());
    Ingress: this => count(this.entries.len());
    Configured: this => Said::word(match this {
        Configured::Agreed => "agreed",
        Configured::Differs(_) => "differs",
    });
    Declared: this => Said::word(match this {
        Declared::Known(_) => "done",
        Declared::Elsewhere { .. } => "elsewhere",
    });
    Reach: this => Said::word(match this {
        Reach::Reached => "reached",
        Reach::Unknown => "unknown",
    });
    Option<Lack>: this => Said::word(if this.is_some() { "lacks" } else { "nothing" });
    Sent: this => match this {
        Sent::Accepted { number, .. } => Said::number("accepted", *number),
        Sent::Repeat { answer: Some(_), .. } => Said::word("repeat, answered"),
        Sent::Repeat { answer: None, .. } => Said::word("repeat"),
        Sent::Unknown => Said::word("unknown"),
        Sent::Refused(reason) => Said::word(reason.as_str()),
        Sent::OtherPool(_) => Said::word("other pool"),
    };
    Relay: this => match this {
        Relay::Taken(taken) => Said::number("taken", taken.len() as u64),
        Relay::Unknown => Said::word("unknown"),
        Relay::Elsewhere(_) => Said::word("elsewhere"),
        Relay::OtherPool { .. } => Said::word("other pool"),
    };
    Renewal: this => match this {
        Renewal::Renewed { alive, .. } => Said::number("renewed, alive", *alive as u64),
        Renewal::Lost => Said::word("lost"),
    };
    Vitals: this => Said::number("present", this.present.iter().filter(|there| **there).count() as u64);
    Bury: this => Said::word(match this {
        Bury::Buried => "buried",
        Bury::Alive => "alive",
        Bury::Unknown => "unknown",
        Bury::OtherRun => "other run",
        Bury::Later => "later",
    });
    Claim: this => match this {
        Claim::Won(claimed) => Said::number("won", claimed.lease.epoch().0),
        Claim::Unknown(_) => Said::word("unknown"),
        Claim::Held { .. } => Said::word("held"),
        Claim::NothingToDo => Said::word("nothing to do"),
        Claim::Absent => Said::word("absent"),
        Claim::Suspect => Said::word("suspect"),
        Claim::Quarantined { .. } => Said::word("quarantined"),
        Claim::OtherPool(_) => Said::word("other pool"),
        Claim::Unreadable(_) => Said::word("unreadable"),
        Claim::Lost => Said::word("lost"),
    };
    Release: this => Said::word(match this {
        Release::Released => "released",
        Release::Runnable(_) => "runnable",
        Release::Fenced => "fenced",
    });
    Refresh: this => Said::word(match this {
        Refresh::Held { .. } => "held",
        Refresh::Fenced => "fenced",
    });
    Reap: this => Said::word(match this {
        Reap::Reaped { runnable: true } => "reaped, runnable",
        Reap::Reaped { runnable: false } => "reaped",
        Reap::Alive => "alive",
        Reap::NotTheirs => "not theirs",
        Reap::OtherPool(_) => "other pool",
    });
    Commit: this => match this {
        Commit::Done { mail, .. } => Said::number("done, mail", mail.len() as u64),
        Commit::Unknown { .. } => Said::word("unknown"),
        Commit::Fenced => Said::word("fenced"),
        Commit::Lost => Said::word("lost"),
        Commit::Behind { seq } => Said::number("behind", *seq),
    };
    Survey: this => {
        let ready: usize = this.ready.values().map(Vec::len).sum();
        count(ready + this.due.len() + this.overdue.len() + this.out.len())
    };
    Fire: this => Said::word(match this {
        Fire::Fired => "fired",
        Fire::NotDue => "not due",
        Fire::OtherPool(_) => "other pool",
    });
    Offer: this => Said::word(match this {
        Offer::Told(_) => "told",
        Offer::Nobody => "nobody",
        Offer::Gone => "gone",
    });
    Mend: this => Said::word(match this {
        Mend::Fine => "fine",
        Mend::Mended => "mended",
        Mend::Orphan { .. } => "orphan",
        Mend::OtherOwner(_) => "other owner",
        Mend::OtherPool(_) => "other pool",
        Mend::Absent => "absent",
    });
    Look: this => match this {
        Look::Here(sight) => Said::number("here, waiting", sight.waiting),
        Look::Absent => Said::word("absent"),
        Look::Unreadable(_) | Look::Overwritten { .. } => Said::word("unreadable"),
    };
    Revive: this => match this {
        Revive::Sent(sent) => sent.said(),
        Revive::Gone => Said::word("gone"),
    };
    Free: this => Said::word(match this {
        Free::Freed => "freed",
        Free::NotQuarantined => "not quarantined",
        Free::Owned(_) => "owned",
        Free::OtherPool(_) => "other pool",
        Free::Absent => "absent",
    });
    Proceed: this => Said::word(match this {
        Proceed::Going => "going",
        Proceed::NotSuspended => "not suspended",
        Proceed::OtherPool(_) => "other pool",
        Proceed::Absent => "absent",
    });
    Delete: this => Said::word(match this {
        Delete::Deleted => "deleted",
        Delete::More => "more",
        Delete::Absent => "absent",
    });
}
