//! What this process saw acknowledged of the sessions it owned: so that it notices what a server lost.
//!
//! It outlives incarnations, and sessions for a while after they left: a failover is noticed later than it happens.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use super::env::Moment;
use crate::{
    model::{Acknowledged, EntryId, Loss, Millis, SessionId},
    store::{Run, Tally},
};

/// What is told of a server's partitions within this is one change.
const TOLD_TOGETHER: Duration = Duration::from_secs(1);

/// The acknowledged ends of sessions, and whether the server may have lost some.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pages: Mutex<Pages>,
}

#[derive(Debug, Default)]
struct Pages {
    sessions: BTreeMap<SessionId, Line>,
    /// The start of the server that answered last.
    run: Option<Run>,
    /// Until when losses may still show.
    doubt_until: Moment,
    /// What was lost so far: sessions, and turns.
    lost: (u64, u64),
    /// When other starts of the server answered than before; the last ones.
    servers: VecDeque<Millis>,
}

#[derive(Debug)]
struct Line {
    known: Acknowledged,
    /// Since when no actor has it.
    left: Option<Moment>,
    /// It was found to be lost, and is not written down yet.
    is_lost: bool,
}

impl Ledger {
    /// A boundary of a session was acknowledged, after which so many turns had ended; `entry` is the last that it
    /// appended, if any.
    pub(super) fn saw(&self, session: &SessionId, commit: &str, entry: Option<EntryId>, turns: u64) {
        let mut pages = self.pages();
        let before = pages.sessions.get(session).map(|line| line.known.entry);
        if let Some(entry) = entry.or(before) {
            let known = Acknowledged { commit: commit.to_owned(), entry, turns };
            pages.sessions.insert(session.clone(), Line { known, left: None, is_lost: false });
        }
    }

    /// What is known of a session was found to be lost: that stays to be told, however long it takes.
    pub(super) fn found_lost(&self, session: &SessionId) {
        if let Some(line) = self.pages().sessions.get_mut(session) {
            line.is_lost = true;
        }
    }

    /// There is no such session any more: its loss is told if it is made anew while there is doubt.
    pub(super) fn found_gone(&self, session: &SessionId) {
        if let Some(line) = self.pages().sessions.get_mut(session) {
            line.is_lost = false;
        }
    }

    /// What is known of a session.
    pub(super) fn known(&self, session: &SessionId) -> Option<Acknowledged> {
        self.pages().sessions.get(session).map(|line| line.known.clone())
    }

    /// A session has no actor here any more, since `now` at the latest.
    pub(super) fn left(&self, session: &SessionId, now: Moment) {
        if let Some(line) = self.pages().sessions.get_mut(session) {
            line.left.get_or_insert(now);
        }
    }

    /// A session has an actor here again.
    pub(super) fn returned(&self, session: &SessionId) {
        if let Some(line) = self.pages().sessions.get_mut(session) {
            line.left = None;
        }
    }

    /// Others wrote on what is known of a session.
    pub(super) fn forget(&self, session: &SessionId) {
        self.pages().sessions.remove(session);
    }

    /// Something of a session was lost, and is written down.
    pub(super) fn lost(&self, loss: &Loss) {
        let mut pages = self.pages();
        pages.lost.0 += 1;
        pages.lost.1 += loss.turn_count();
    }

    /// Another start of the server answered, by the clock of this process.
    pub(super) fn met_another(&self, at: Millis) {
        let mut pages = self.pages();
        if pages.servers.len() == Tally::SERVERS {
            pages.servers.pop_front();
        }
        pages.servers.push_back(at);
    }

    /// What others are to know of all this.
    pub(super) fn tally(&self, tally: Tally) -> Tally {
        let pages = self.pages();
        let (losses, lost_turns) = pages.lost;
        Tally { losses, lost_turns, servers: pages.servers.iter().copied().collect(), ..tally }
    }

    /// This start of the server answered at `now`; whether another one did before. Then losses may show for `doubt`,
    /// and else what was left longer ago than that is forgotten.
    pub(super) fn met(&self, run: Run, now: Moment, doubt: Duration) -> bool {
        let mut pages = self.pages();
        let is_new = pages.run.replace(run).is_some_and(|before| before != run);
        if is_new {
            pages.doubt_until = now.plus(doubt);
        } else if now >= pages.doubt_until {
            pages
                .sessions
                .retain(|_, line| line.is_lost || line.left.is_none_or(|left| now.since(left) < doubt));
        }
        is_new
    }

    /// Another server has some of the sessions: losses may show for `doubt`. Whether that is news: it is told for each of
    /// many partitions.
    pub(super) fn doubt(&self, now: Moment, doubt: Duration) -> bool {
        let mut pages = self.pages();
        let is_news = pages.doubt_until.plus(TOLD_TOGETHER) < now.plus(doubt);
        pages.doubt_until = pages.doubt_until.max(now.plus(doubt));
        is_news
    }

    /// Whether the server may have lost something of a session that was acknowledged.
    pub(super) fn is_in_doubt(&self, session: &SessionId, now: Moment) -> bool {
        let pages = self.pages();
        now < pages.doubt_until || pages.sessions.get(session).is_some_and(|line| line.is_lost)
    }

    /// All sessions of which something is known.
    pub(super) fn sessions(&self) -> Vec<SessionId> {
        self.pages().sessions.keys().cloned().collect()
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().expect("nobody panics while looking at the ledger")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Epoch;

    fn at(secs: u64) -> Moment {
        Moment::default().plus(Duration::from_secs(secs))
    }

    fn session(name: &str) -> SessionId {
        name.parse().unwrap()
    }

    const DOUBT: Duration = Duration::from_secs(20);

    #[test]
    fn only_another_start_of_the_server_is_a_reason_to_doubt_and_not_for_ever() {
        let ledger = Ledger::default();
        let (first, second) = (Run::named("a"), Run::named("b"));
        assert!(!ledger.met(first, at(1), DOUBT) && !ledger.met(first, at(2), DOUBT));
        let echo = session("echo/a");
        assert!(!ledger.is_in_doubt(&echo, at(2)));
        assert!(ledger.met(second, at(3), DOUBT) && !ledger.met(second, at(4), DOUBT));
        assert!(ledger.is_in_doubt(&echo, at(22)) && !ledger.is_in_doubt(&echo, at(23)));
        ledger.saw(&echo, "c", Some(EntryId { epoch: Epoch(1), seq: 2 }), 1);
        ledger.found_lost(&echo);
        assert!(ledger.is_in_doubt(&echo, at(1_000)), "what is lost is to be told");
    }

    #[test]
    fn a_session_that_left_is_remembered_for_a_while_and_while_there_is_doubt() {
        let (ledger, run) = (Ledger::default(), Run::named("a"));
        ledger.met(run, at(0), DOUBT);
        for name in ["echo/here", "echo/left"] {
            ledger.saw(&session(name), "c", Some(EntryId { epoch: Epoch(1), seq: 2 }), 1);
        }
        ledger.left(&session("echo/left"), at(1));
        ledger.met(run, at(20), DOUBT);
        assert_eq!(ledger.sessions().len(), 2);
        ledger.met(Run::named("b"), at(25), DOUBT);
        ledger.met(Run::named("b"), at(44), DOUBT);
        assert_eq!(ledger.sessions().len(), 2, "there may be a loss to tell of");
        ledger.met(Run::named("b"), at(45), DOUBT);
        assert_eq!(ledger.sessions(), [session("echo/here")]);
    }

    #[test]
    fn a_boundary_without_entries_leaves_the_last_entry_known() {
        let (ledger, alice) = (Ledger::default(), session("echo/alice"));
        ledger.saw(&alice, "c1", None, 0);
        assert_eq!(ledger.known(&alice), None);
        let entry = EntryId { epoch: Epoch(1), seq: 2 };
        ledger.saw(&alice, "c2", Some(entry), 1);
        ledger.saw(&alice, "c3", None, 1);
        assert_eq!(ledger.known(&alice), Some(Acknowledged { commit: "c3".into(), entry, turns: 1 }));
    }
}
