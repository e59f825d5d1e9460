//! The model of a session: what it calls a violation, and what it does not.

use tenure::sim::{
    Actor, Object,
    check::{
        linear::{NotLinearizable, check_history},
        session::{Answer, Call, Session},
    },
    history::History,
};

/// A history in which everything is asked one after the other.
#[derive(Default)]
struct Told {
    history: History<Call, Answer>,
    stamp: u64,
}

impl Told {
    fn asks(mut self, call: Call, answer: impl Into<Option<Answer>>) -> Self {
        let name = self.history.invoke(Actor::Client(0), Object(0), call, self.stamp);
        if let Some(answer) = answer.into() {
            self.history.returned(name, answer, self.stamp + 1);
        }
        self.stamp += 2;
        self
    }

    fn sends(self, message: u64, answer: impl Into<Option<Answer>>) -> Self {
        self.asks(Call::Send { message, keyed: true }, answer)
    }

    fn claims(self, worker: u64, epoch: u64, last: u64, done: u64) -> Self {
        self.asks(Call::Claim { worker }, Answer::Claimed { epoch, last, done, boundaries: 0 })
    }

    fn commits(
        self,
        name: u64,
        epoch: u64,
        after: u64,
        done: u64,
        answer: impl Into<Option<Answer>>,
    ) -> Self {
        self.ends(name, epoch, after, done, 0, answer)
    }

    /// The end of a turn that had so many boundaries.
    fn ends(
        self,
        name: u64,
        epoch: u64,
        after: u64,
        done: u64,
        known: u64,
        answer: impl Into<Option<Answer>>,
    ) -> Self {
        let entries = vec![name * 10, name * 10 + 1];
        let done = Some(done);
        self.asks(Call::Commit { commit: name, epoch, after, entries, done, boundaries: 0, known }, answer)
    }

    /// A boundary in the middle of a turn, with one entry.
    fn goes_on(self, name: u64, epoch: u64, after: u64, boundaries: u64) -> Self {
        let commit = Call::Commit {
            commit: name,
            epoch,
            after,
            entries: vec![name * 10],
            done: None,
            boundaries,
            known: boundaries - 1,
        };
        self.asks(commit, Answer::Committed)
    }

    fn judged(&self) -> Result<(), NotLinearizable> {
        check_history(&Session, &self.history)
    }

    fn is_wrong(&self) -> bool {
        matches!(self.judged(), Err(NotLinearizable::Violated { .. }))
    }
}

fn accepted(number: u64) -> Answer {
    Answer::Accepted { number }
}

/// One message, done under epoch 100, with two entries.
fn one_turn() -> Told {
    Told::default().sends(1, accepted(1)).claims(1, 100, 0, 0).commits(1, 100, 0, 1, Answer::Committed)
}

#[test]
fn a_turn_is_a_send_a_claim_and_a_commit() {
    let told = one_turn().asks(Call::Reply { number: 1 }, Answer::Replied);
    assert_eq!(told.asks(Call::Read { after: 0 }, Answer::Entries(vec![10, 11])).judged(), Ok(()));
}

#[test]
fn a_message_accepted_twice_is_wrong() {
    assert_eq!(Told::default().sends(1, accepted(1)).sends(1, Answer::Repeat).judged(), Ok(()));
    assert!(Told::default().sends(1, accepted(1)).sends(2, accepted(2)).sends(1, accepted(3)).is_wrong());
    assert!(Told::default().sends(1, Answer::Repeat).is_wrong());
}

#[test]
fn a_send_without_an_answer_may_be_found_to_have_happened() {
    assert_eq!(Told::default().sends(1, None).sends(1, Answer::Repeat).judged(), Ok(()));
    assert_eq!(Told::default().sends(1, None).sends(1, accepted(1)).judged(), Ok(()));
    assert_eq!(Told::default().sends(1, None).sends(2, accepted(2)).judged(), Ok(()));
    assert!(Told::default().sends(1, None).sends(2, accepted(3)).is_wrong());
}

#[test]
fn an_accepted_message_that_a_claim_does_not_count_is_wrong() {
    assert!(one_turn().claims(2, 200, 2, 0).is_wrong());
    assert!(one_turn().claims(2, 200, 0, 1).is_wrong());
    assert_eq!(one_turn().claims(2, 200, 2, 1).judged(), Ok(()));
}

#[test]
fn an_epoch_that_does_not_grow_is_wrong() {
    assert!(one_turn().claims(2, 100, 2, 1).is_wrong());
    assert!(one_turn().claims(2, 99, 2, 1).is_wrong());
    assert_eq!(one_turn().claims(1, 100, 2, 1).judged(), Ok(()), "a claim repeated");
}

#[test]
fn a_commit_under_an_older_epoch_is_wrong_and_being_fenced_is_not() {
    let superseded = || one_turn().sends(2, accepted(2)).claims(2, 200, 2, 1);
    assert!(superseded().commits(2, 100, 2, 2, Answer::Committed).is_wrong());
    assert_eq!(superseded().commits(2, 100, 2, 2, Answer::Nothing).judged(), Ok(()));
    assert_eq!(superseded().commits(2, 200, 2, 2, Answer::Committed).judged(), Ok(()));
}

#[test]
fn a_commit_after_the_session_was_taken_away_is_wrong() {
    let told = one_turn().sends(2, accepted(2)).asks(Call::Leave { worker: 1 }, Answer::Left);
    assert!(told.commits(2, 100, 2, 2, Answer::Committed).is_wrong());
}

#[test]
fn a_commit_repeated_is_written_once() {
    let twice = || one_turn().commits(1, 100, 0, 1, Answer::Committed);
    assert_eq!(twice().asks(Call::Read { after: 0 }, Answer::Entries(vec![10, 11])).judged(), Ok(()));
    assert!(twice().asks(Call::Read { after: 0 }, Answer::Entries(vec![10, 11, 10, 11])).is_wrong());
}

#[test]
fn a_turn_in_the_middle_goes_on_where_it_was() {
    let middle = || Told::default().sends(1, accepted(1)).claims(1, 100, 0, 0).goes_on(1, 100, 0, 1);
    let taken_over = |boundaries| {
        let claimed = Answer::Claimed { epoch: 200, last: 1, done: 0, boundaries };
        middle().asks(Call::Claim { worker: 2 }, claimed)
    };
    assert_eq!(taken_over(1).goes_on(2, 200, 1, 2).ends(3, 200, 2, 1, 2, Answer::Committed).judged(), Ok(()));
    assert!(taken_over(0).is_wrong(), "a boundary is forgotten");
    assert!(middle().asks(Call::Reply { number: 1 }, Answer::Replied).is_wrong(), "its message is not done");
    assert_eq!(middle().ends(2, 100, 1, 1, 1, Answer::Committed).claims(2, 200, 3, 1).judged(), Ok(()));
    assert!(middle().ends(2, 100, 1, 1, 0, Answer::Committed).is_wrong(), "the writer knows of none");
}

#[test]
fn a_reply_before_its_message_is_done_is_wrong() {
    let early = Told::default().sends(1, accepted(1)).asks(Call::Reply { number: 1 }, Answer::Replied);
    assert!(early.is_wrong());
}

#[test]
fn a_page_of_history_may_be_short_but_skips_nothing() {
    assert_eq!(one_turn().asks(Call::Read { after: 0 }, Answer::Entries(vec![10])).judged(), Ok(()));
    assert_eq!(one_turn().asks(Call::Read { after: 1 }, Answer::Entries(vec![11])).judged(), Ok(()));
    assert!(one_turn().asks(Call::Read { after: 0 }, Answer::Entries(vec![11])).is_wrong());
}
