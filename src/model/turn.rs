//! The turn: a session's actor as a table of state and event, and what a failed run leads to.

use std::time::Duration;

use super::TurnPolicy;

/// Where a session that somebody owns stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Durable, with nothing to run. The next turn will be `next`.
    Idle {
        /// Number of the next turn, from 1.
        next: u64,
    },
    /// The agent is at work.
    Running {
        /// The turn's number.
        turn: u64,
        /// Which run of its message this is, from 1.
        attempt: u32,
    },
    /// The run ended; what it led to is being made durable.
    AtBoundary {
        /// The turn's number.
        turn: u64,
        /// Which run of its message it was.
        attempt: u32,
        /// What it led to.
        verdict: Verdict,
    },
    /// The message failed and waits for its next try.
    BackingOff {
        /// The turn's number.
        turn: u64,
        /// Which run comes next.
        attempt: u32,
    },
}

/// What can happen to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// There is a message at the head of the inbox.
    MessageArrived,
    /// The agent's run ended.
    TurnEnded(Verdict),
    /// The boundary is durable at its class.
    Committed,
    /// The wait for the next try is over.
    TimerFired,
}

/// What has to be done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Run the agent.
    Run {
        /// The turn's number.
        turn: u64,
        /// Which run of its message.
        attempt: u32,
    },
    /// Write the boundary.
    Commit(Verdict),
    /// The message is done: hand out what the boundary released.
    Release,
}

/// What a run led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The turn is done.
    Finished,
    /// It failed, and is tried again after this long.
    Retry(Duration),
    /// It failed for the last time: the message goes to `dead`.
    GiveUp,
}

/// How a run failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// One word, stable: `failed`, `panicked`, `timeout`, `malformed`, `durability`.
    pub reason: &'static str,
    /// A sentence for people.
    pub message: String,
    /// Whether another run could help.
    pub retry: bool,
    /// For how long it could not, by what the agent said.
    pub not_before: Duration,
}

impl Failure {
    /// The longest that an agent can put off its next try: nobody's word holds up a session for good.
    pub const LONGEST_WAIT: Duration = Duration::from_secs(60 * 60);
}

/// An event that cannot happen in this state: a defect of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{event:?} cannot happen in {phase:?}")]
pub struct IllegalEvent {
    phase: Phase,
    event: Event,
}

impl Phase {
    /// The state of a session that has just been claimed: `turns` ended so far.
    pub fn claimed(turns: u64, tries: u32, backing_off: bool) -> Self {
        match backing_off {
            true => Self::BackingOff { turn: turns + 1, attempt: tries + 1 },
            false => Self::Idle { next: turns + 1 },
        }
    }

    /// Whether a message may be handed to the agent now.
    pub fn is_idle(self) -> bool {
        matches!(self, Self::Idle { .. })
    }

    /// The next state, and what has to be done. `tries` is how often the head message has failed so far.
    pub fn on(self, event: Event, tries: u32) -> Result<(Self, Option<Effect>), IllegalEvent> {
        match (self, event) {
            (Self::Idle { next: turn }, Event::MessageArrived) => {
                let attempt = tries + 1;
                Ok((Self::Running { turn, attempt }, Some(Effect::Run { turn, attempt })))
            }
            (Self::Running { turn, attempt }, Event::TurnEnded(verdict)) => {
                Ok((Self::AtBoundary { turn, attempt, verdict }, Some(Effect::Commit(verdict))))
            }
            (Self::AtBoundary { turn, attempt, verdict: Verdict::Retry(_) }, Event::Committed) => {
                Ok((Self::BackingOff { turn, attempt: attempt + 1 }, None))
            }
            (Self::AtBoundary { turn, .. }, Event::Committed) => {
                Ok((Self::Idle { next: turn + 1 }, Some(Effect::Release)))
            }
            (Self::BackingOff { turn, .. }, Event::TimerFired) => Ok((Self::Idle { next: turn }, None)),
            // Mail for a busy session waits in its inbox; a timer may fire late, after a claim.
            (phase, Event::MessageArrived | Event::TimerFired) => Ok((phase, None)),
            (phase, event) => Err(IllegalEvent { phase, event }),
        }
    }
}

impl Verdict {
    /// What a failure on run number `attempt` (from 1) leads to under `policy`.
    pub fn of(failure: &Failure, attempt: u32, policy: &TurnPolicy) -> Self {
        if failure.retry && attempt < policy.tries {
            let asked = failure.not_before.min(Failure::LONGEST_WAIT);
            Self::Retry(policy.backoff.delay(attempt).max(asked))
        } else {
            Self::GiveUp
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(phase: Phase, event: Event) -> Phase {
        phase.on(event, 0).unwrap().0
    }

    #[test]
    fn a_turn_goes_from_idle_through_its_boundary_to_the_next_number() {
        let (running, effect) = Phase::claimed(6, 0, false).on(Event::MessageArrived, 0).unwrap();
        assert_eq!(effect, Some(Effect::Run { turn: 7, attempt: 1 }));
        let boundary = after(running, Event::TurnEnded(Verdict::Finished));
        assert_eq!(after(boundary, Event::Committed), Phase::Idle { next: 8 });
    }

    #[test]
    fn a_failed_run_keeps_its_turn_number_and_waits_for_its_timer() {
        let running = after(Phase::Idle { next: 3 }, Event::MessageArrived);
        let boundary = after(running, Event::TurnEnded(Verdict::Retry(Duration::from_millis(100))));
        let waiting = after(boundary, Event::Committed);
        assert_eq!(waiting, Phase::BackingOff { turn: 3, attempt: 2 });
        assert_eq!(after(waiting, Event::MessageArrived), waiting, "mail behind it waits too");
        assert_eq!(after(waiting, Event::TimerFired), Phase::Idle { next: 3 });
    }

    #[test]
    fn nothing_is_committed_that_did_not_run() {
        assert!(Phase::Idle { next: 1 }.on(Event::Committed, 0).is_err());
        assert!(Phase::Idle { next: 1 }.on(Event::TurnEnded(Verdict::Finished), 0).is_err());
        let running = after(Phase::Idle { next: 1 }, Event::MessageArrived);
        assert!(running.on(Event::Committed, 0).is_err());
    }

    fn failed() -> Failure {
        Failure { reason: "failed", message: "no".into(), retry: true, not_before: Duration::ZERO }
    }

    #[test]
    fn the_next_try_waits_for_the_longer_of_backoff_and_what_was_asked_for_within_an_hour() {
        let policy = TurnPolicy::default();
        let wait = |seconds: u64| {
            let failure = Failure { not_before: Duration::from_secs(seconds), ..failed() };
            Verdict::of(&failure, 3, &policy)
        };
        assert_eq!(wait(0), Verdict::Retry(Duration::from_millis(400)));
        assert_eq!(wait(90), Verdict::Retry(Duration::from_secs(90)), "longer than the backoff's longest");
        assert_eq!(wait(86_400), Verdict::Retry(Duration::from_secs(3_600)));
    }

    #[test]
    fn the_last_try_and_a_refused_retry_give_up() {
        let policy = TurnPolicy { tries: 3, ..TurnPolicy::default() };
        let failure = failed();
        assert!(matches!(Verdict::of(&failure, 2, &policy), Verdict::Retry(_)));
        assert_eq!(Verdict::of(&failure, 3, &policy), Verdict::GiveUp);
        assert_eq!(Verdict::of(&Failure { retry: false, ..failure }, 1, &policy), Verdict::GiveUp);
    }
}
