//! Each thing that a simulation demands is demanded: broken on purpose, it is missed by its name.
//!
//! What a run breaks is broken by a planted bug, by hand at the server, or by an agent that never ends; what is judged
//! from what was told, by records that are false. Needs the feature `planted-bugs`, as `scripts/test` sets it.

use std::time::Duration;

use tenure::{
    Agent, AgentError, Message, Reply, SessionId, Turn,
    agents::Echo,
    client::Outgoing,
    sim::{
        Actor, Bug, Failure, Hunt, Object, SimClient, Simulation, Workload,
        check::{
            run::{Judgement, effects, judge, readers},
            session::{Answer, Call},
            surviving::Loss,
        },
        history::History,
        invariants as must,
    },
    store::memory::Meddling,
};

/// The failure of the first seed that finds this bug.
fn planted(bug: Bug) -> Option<Failure> {
    let hunt = Hunt::ALL.iter().find(|hunt| hunt.bug == bug)?;
    let _planted = bug.plant();
    (1..=hunt.within).find_map(|seed| hunt.scenario().simulation(seed).run().failure)
}

/// Waits for a message for ever, or lets only time pass.
#[derive(Clone)]
struct Restless;

impl Agent for Restless {
    type State = ();

    async fn turn(&self, cx: &mut Turn<()>, _: Message) -> Result<Reply, AgentError> {
        loop {
            cx.sleep(Duration::from_secs(1)).await;
        }
    }
}

fn session(agent: &str) -> SessionId {
    format!("{agent}/1").parse().unwrap()
}

/// One client of a fleet without faults does this.
fn done<F: Future<Output = ()> + Send + 'static>(
    code: impl Fn(SimClient) -> F + Send + Sync + 'static,
) -> Option<Failure> {
    let simulation = Simulation::new(1).agent("echo", Echo).agent("restless", Restless);
    simulation.workload(Workload::none().client(code)).run().failure
}

/// Never done, and never waits for time to pass.
#[derive(Clone)]
struct Busy;

impl Agent for Busy {
    type State = ();

    async fn turn(&self, cx: &mut Turn<()>, _: Message) -> Result<Reply, AgentError> {
        loop {
            cx.checkpoint().await;
        }
    }
}

/// A run that goes on and on.
fn endless() -> Option<Failure> {
    let busy = Workload::none().client(|client| async move {
        client.send(Outgoing::text(session("busy"), "go")).await.unwrap();
    });
    Simulation::new(1).agent("busy", Busy).workload(busy).ends_within(2_000).run().failure
}

/// A session is asked once, its keys are changed, and time goes on.
fn meddled(how: Meddling) -> Option<Failure> {
    done(move |client| async move {
        client.ask(session("echo"), "one").await.unwrap();
        client.meddle(&session("echo"), how);
        client.env().sleep(Duration::from_secs(20)).await;
    })
}

/// Records of what was told, each operation after the one before.
#[derive(Default)]
struct Told {
    history: History<Call, Answer>,
    stamp: u64,
}

impl Told {
    fn client(self, client: u16, session: u32, call: Call, answer: Answer) -> Self {
        self.asks(Actor::Client(client), session, call, Some(answer))
    }

    fn asks(mut self, actor: Actor, session: u32, call: Call, answer: Option<Answer>) -> Self {
        let asked = self.history.invoke(actor, Object(session), call, self.stamp);
        if let Some(answer) = answer {
            self.history.returned(asked, answer, self.stamp + 2);
        }
        self.stamp += 10;
        self
    }

    fn claims(self, worker: u16, session: u32, epoch: u64, last: u64) -> Self {
        let answer = Answer::Claimed { epoch, last, done: 0, boundaries: 0 };
        self.asks(Actor::Worker(worker), session, Call::Claim { worker: worker.into() }, Some(answer))
    }

    /// Worker `worker` writes entry `entry` behind `after`.
    fn writes(self, worker: u16, session: u32, epoch: u64, after: u64, entry: u64) -> Self {
        let call = Call::Commit {
            commit: entry,
            epoch,
            after,
            entries: vec![entry],
            done: None,
            boundaries: 0,
            known: 0,
        };
        self.asks(Actor::Worker(worker), session, call, Some(Answer::Committed))
    }

    /// Client `client` reads the whole history.
    fn reads(self, client: u16, session: u32, entries: &[u64]) -> Self {
        self.client(client, session, Call::Read { after: 0 }, Answer::Tail(entries.to_vec()))
    }

    fn history(&self) -> &History<Call, Answer> {
        &self.history
    }

    fn judged(&self, losses: &[Loss]) -> Judgement {
        judge(&self.history, losses)
    }

    fn broken(&self) -> Option<&'static str> {
        self.judged(&[]).broken.map(|(invariant, _)| invariant)
    }
}

macro_rules! bites {
    ($($test:ident: $invariant:ident by $how:expr,)*) => {
        $(
            #[test]
            fn $test() {
                let failure: Option<Failure> = $how;
                assert_eq!(failure.map(|failure| failure.invariant).as_deref(), Some(must::$invariant));
            }
        )*
    };
}

bites! {
    a_live_owner_that_is_robbed_is_missed: ONE_OWNER by planted(Bug::RobbedWithoutOwn),
    a_reap_of_a_live_owner_is_missed: ONE_OWNER by planted(Bug::StaleReap),
    an_entry_under_a_foreign_epoch_is_missed: CHAIN by planted(Bug::CommitWithoutToken),
    a_message_taken_for_another_is_missed: ONE_PLACE by planted(Bug::AckByCount),
    a_commit_without_a_renewal_is_missed: TRUST by planted(Bug::RenewalIgnoresFailure),
    a_lease_trusted_for_too_long_is_missed: TRUST by planted(Bug::ClockFromReply),
    a_renewal_by_the_buried_is_missed: BURIED by planted(Bug::RenewRevives),
    a_session_released_with_mail_is_missed: INDEXES by planted(Bug::ReleaseIgnoresInbox),
    a_row_of_ready_too_many_is_missed: INDEXES by meddled(Meddling::EnterReady),
    a_row_of_held_that_is_gone_is_missed: INDEXES by meddled(Meddling::LeaveHeld),
    a_row_of_index_that_is_gone_is_missed: INDEXES by meddled(Meddling::LeaveIndex),
    a_turn_that_ends_twice_is_missed: ONE_END by planted(Bug::CommitTwice),
    a_message_accepted_twice_is_missed: ONE_END by planted(Bug::DedupeForgets),
    work_that_nobody_takes_up_is_missed: TAKEN by planted(Bug::NoUpkeep),
    a_duty_that_is_taken_up_late_is_missed: TAKEN by planted(Bug::NoHeir),
    a_turn_that_never_ends_is_missed: LIVENESS by done(|client| async move {
        client.send(Outgoing::text(session("restless"), "go")).await.unwrap();
    }),
    a_message_that_is_gone_with_its_session_is_missed: NO_LOSS by done(|client| async move {
        client.ask(session("echo"), "one").await.unwrap();
        client.client().delete(&session("echo")).await.unwrap();
    }),
    a_run_that_goes_on_and_on_is_missed: ENDS by endless(),
    a_panic_is_missed: NO_PANIC by done(|_| async { panic!("on purpose") }),
}

/// One worker has two sessions: it writes 10 in the first, and then 20 and 21 in the second.
fn written() -> Told {
    let first = Told::default().claims(1, 0, 1, 0).writes(1, 0, 1, 0, 10);
    first.claims(1, 1, 1, 0).writes(1, 1, 1, 0, 20).writes(1, 1, 1, 1, 21)
}

#[test]
fn true_records_are_accepted() {
    let told = written().reads(1, 0, &[10]).reads(1, 1, &[20, 21]).reads(2, 1, &[20, 21]);
    assert_eq!(told.judged(&[]), Judgement::default());
}

#[test]
fn a_read_that_lacks_what_was_written_before_is_not_linearizable() {
    let told = written().reads(1, 1, &[20]);
    assert_eq!(told.broken(), Some(must::LINEAR));
    // Who has seen nothing else may be late, if no more than that is asked.
    assert_eq!((readers(told.history()), effects(told.history())), (Ok(0), Ok(0)));
}

#[test]
fn a_look_that_lacks_what_was_written_before_is_not_linearizable() {
    for (last, fits) in [(0, false), (1, true), (2, false)] {
        let told = written().client(1, 0, Call::Look, Answer::Seen { given: 0, last, done: 0 });
        assert_eq!(told.broken().is_none(), fits, "{last} entries");
    }
}

#[test]
fn a_reader_that_goes_back_is_missed() {
    let told = written().reads(1, 1, &[20, 21]).reads(1, 1, &[20]);
    assert_eq!(readers(told.history()).unwrap_err().0, must::READERS);
    assert_eq!(effects(told.history()).unwrap_err().0, must::CAUSES);
    let by_two = written().reads(1, 1, &[20, 21]).reads(2, 1, &[20]);
    assert_eq!((readers(by_two.history()), effects(by_two.history())), (Ok(0), Ok(0)));
}

#[test]
fn an_effect_without_its_cause_in_another_session_is_missed() {
    // Client 1 reads the reply of the first session and then sends to the second, where client 2 reads what came of it.
    let number = 1;
    let send = Call::Send { message: 7, keyed: true };
    let sent = written().reads(1, 0, &[10]).client(1, 2, send, Answer::Accepted { number });
    let call = Call::Commit {
        commit: 30,
        epoch: 1,
        after: 0,
        entries: vec![30],
        done: Some(number),
        boundaries: 0,
        known: 0,
    };
    let answered =
        sent.claims(2, 2, 1, 0).asks(Actor::Worker(2), 2, call, Some(Answer::Committed)).reads(2, 2, &[30]);
    let blind = answered.reads(2, 0, &[]);
    assert_eq!(readers(blind.history()), Ok(0), "each session alone may be so");
    assert_eq!(effects(blind.history()).unwrap_err().0, must::CAUSES);
}

#[test]
fn an_entry_that_nobody_wrote_is_missed() {
    let told = written().reads(1, 0, &[10, 11]);
    assert_eq!(told.broken(), Some(must::LINEAR));
    assert_eq!(effects(told.history()).unwrap_err().0, must::CAUSES);
}

#[test]
fn what_is_lost_in_a_failover_may_be_missing_afterwards_and_nothing_else_may() {
    // The replica is cut off after 20 was written, and takes over after 21 was.
    let lost = [Loss { since: 35, until: 45 }];
    let told = written().reads(1, 1, &[20]);
    assert_eq!(told.judged(&lost), Judgement::default());
    assert_eq!(told.broken(), Some(must::LINEAR));
    let comes_back = written().reads(1, 1, &[20, 21]).judged(&lost);
    assert_eq!(comes_back.broken.unwrap().0, must::LINEAR);
    let too_much = written().reads(1, 1, &[]).judged(&lost);
    assert_eq!(too_much.broken.unwrap().0, must::LINEAR);
}

#[test]
fn what_was_under_way_when_the_replica_was_cut_off_may_be_there_or_not() {
    // 20 was being written.
    let lost = [Loss { since: 31, until: 45 }];
    for (read, is_right) in [(&[20][..], true), (&[], true), (&[20, 21], false), (&[22], false)] {
        let judged = written().reads(1, 1, read).judged(&lost);
        assert_eq!(judged.broken.is_none(), is_right, "{read:?}");
    }
}

#[test]
fn a_boundary_may_be_refused_for_a_message_that_is_lost() {
    let told = written();
    let call = Call::Commit {
        commit: 22,
        epoch: 1,
        after: 1,
        entries: vec![22],
        done: None,
        boundaries: 0,
        known: 0,
    };
    let refused = told.asks(Actor::Worker(1), 1, call, Some(Answer::Behind));
    assert_eq!(refused.judged(&[Loss { since: 35, until: 45 }]), Judgement::default());
}

#[test]
fn what_is_wrong_before_a_failover_is_missed() {
    let late = [Loss { since: 100, until: 110 }];
    assert_eq!(written().reads(1, 1, &[20]).judged(&late).broken.unwrap().0, must::LINEAR);
}

#[test]
fn what_could_not_be_decided_is_counted() {
    // Of each of twenty entries there are two versions that may have been written: too many histories to look at.
    let mut told = Told::default();
    for after in 0..20 {
        for version in 0..2 {
            let entries = vec![2 * after + version];
            let call = Call::Commit {
                commit: entries[0],
                epoch: 1,
                after,
                entries,
                done: None,
                boundaries: 0,
                known: 0,
            };
            told = told.asks(Actor::Worker(entries_line(after, version)), 0, call, None);
        }
    }
    assert_eq!(readers(told.reads(1, 0, &[99]).history()), Ok(1));
}

/// A worker of its own for each try.
fn entries_line(after: u64, version: u64) -> u16 {
    u16::try_from(2 * after + version).unwrap()
}
