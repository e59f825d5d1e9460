//! How long a server is the primary, to those who hold connections to it: for ever, where there is one server; else for
//! a *term*, which ends for all of them at once.

use std::sync::{Mutex, MutexGuard};

use tokio_util::sync::CancellationToken;

/// The time for which what a connection leads to is the primary.
#[derive(Debug, Clone, Default)]
pub(super) struct Term(Option<CancellationToken>);

impl Term {
    /// One that never ends.
    pub(super) fn lasting() -> Self {
        Self(None)
    }

    /// Whether another is the primary now.
    pub(super) fn is_over(&self) -> bool {
        self.0.as_ref().is_some_and(CancellationToken::is_cancelled)
    }

    /// Returns when another is the primary.
    pub(super) async fn over(&self) {
        match &self.0 {
            Some(token) => token.cancelled().await,
            None => std::future::pending().await,
        }
    }

    /// What comes of `work`, unless the term ends before it does.
    pub(super) async fn outlasts<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        match &self.0 {
            Some(token) => token.run_until_cancelled(work).await,
            None => Some(work.await),
        }
    }
}

/// Host and port, as sentinels name them.
pub(super) type Address = (String, u16);

/// Somebody whom sentinels name, and the number of the election that made it the primary.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Elected {
    pub(super) primary: Option<Address>,
    pub(super) election: u64,
}

/// Who is the primary, as far as this process knows.
#[derive(Debug, Default)]
pub(super) struct Reign(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    elected: Elected,
    term: CancellationToken,
}

impl Reign {
    /// The term that is. Whoever asks who the primary is takes it before.
    pub(super) fn term(&self) -> Term {
        Term(Some(self.state().term.clone()))
    }

    /// Who is the primary, if anybody found out.
    pub(super) fn primary(&self) -> Option<Address> {
        self.state().elected.primary.clone()
    }

    /// The same with its election: a sentinel that knows only of an older one is behind.
    pub(super) fn elected(&self) -> Elected {
        self.state().elected.clone()
    }

    /// Somebody who began to ask in the term `asked` found this one: the term of any other ends. The term of what was found;
    /// none if the one in which it was asked for is over, so that the answer may be as old.
    pub(super) fn found(&self, found: &Elected, asked: &Term) -> Option<Term> {
        let mut state = self.state();
        if asked.is_over() {
            return None;
        }
        let before = std::mem::replace(&mut state.elected, found.clone());
        if before.primary == found.primary {
            state.elected.election = before.election.max(found.election);
        } else if before.primary.is_some() {
            std::mem::take(&mut state.term).cancel();
        }
        Some(Term(Some(state.term.clone())))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nobody panics with the lock held")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> Elected {
        Elected { primary: Some(("h".to_owned(), port)), election: u64::from(port) }
    }

    #[test]
    fn finding_the_same_primary_again_ends_nothing() {
        let reign = Reign::default();
        let first = reign.found(&at(1), &reign.term()).unwrap();
        let second = reign.found(&at(1), &reign.term()).unwrap();
        assert!(!first.is_over() && !second.is_over());
        assert_eq!(reign.elected(), at(1));
    }

    #[test]
    fn finding_another_ends_the_term_of_the_one_before_and_not_its_own() {
        let reign = Reign::default();
        let old = reign.found(&at(1), &reign.term()).unwrap();
        let new = reign.found(&at(2), &reign.term()).unwrap();
        assert!(old.is_over() && !new.is_over());
    }

    #[test]
    fn an_answer_that_was_asked_for_before_the_last_change_does_not_count() {
        let reign = Reign::default();
        let asked = reign.term();
        _ = reign.found(&at(1), &reign.term()).unwrap();
        let new = reign.found(&at(2), &reign.term()).unwrap();
        assert!(reign.found(&at(1), &asked).is_none());
        assert_eq!((reign.elected(), new.is_over()), (at(2), false));
    }

    #[tokio::test]
    async fn work_ends_with_the_term() {
        let reign = Reign::default();
        let old = reign.found(&at(1), &reign.term()).unwrap();
        assert_eq!(old.outlasts(async { 1 }).await, Some(1));
        let ended = old.outlasts(async {
            _ = reign.found(&at(2), &reign.term());
            std::future::pending::<()>().await;
        });
        assert_eq!(ended.await, None);
        old.over().await;
        assert_eq!(Term::lasting().outlasts(async { 2 }).await, Some(2));
    }
}
