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
        self.asks(Call::Claim { worker }, Answer::Claimed { epoch, last, done })
    }

    fn commits(
        self,
        name: u64,
        epoch: u64,
        after: u64,
        done: u64,
        answer: impl Into<Option<Answer>>,
    ) -> Self {
        let entries = vec![name * 10, name * 10 + 1];
        self.asks(Call::Commit { commit: name, epoch, after, entries, done: Some(done) }, answer)
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
