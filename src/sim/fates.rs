//! What happens to each call and hint: drawn from the seed, or given by a plan.

use std::{collections::BTreeMap, time::Duration};

use super::{
    faults::Fault,
    plan::{Planned, When},
    rates::Rates,
};

/// Decides what becomes of calls and hints, and remembers it.
pub(super) struct Fates {
    seed: u64,
    rates: Option<Rates>,
    until: Duration,
    given: BTreeMap<u64, Fault>,
    /// All that happened, as a plan that makes it happen again.
    pub(super) happened: Vec<Planned>,
}

impl Fates {
    pub(super) fn new(seed: u64, rates: Option<Rates>, until: Duration, plan: &[Planned]) -> Self {
        let given = plan.iter().filter_map(|planned| match planned.when {
            When::To(id) => Some((id, planned.fault)),
            When::At(_) | When::Step(_) | When::StepAt(..) => None,
        });
        Self { seed, rates, until, given: given.collect(), happened: Vec::new() }
    }

    /// Until when the seed may bring something.
    pub(super) fn until(&self) -> Duration {
        self.until
    }

    /// What happens to a call before it takes effect.
    pub(super) fn of_call(&mut self, now: Duration, id: u64) -> Option<Fault> {
        let fault = self.fate(now, id, false)?;
        self.note(id, fault, matches!(fault, Fault::LoseCall | Fault::Delay { .. }))
    }

    /// What happens to its answer.
    pub(super) fn of_reply(&mut self, now: Duration, id: u64) -> Option<Fault> {
        let fault = self.fate(now, id, false)?;
        self.note(id, fault, matches!(fault, Fault::LoseReply | Fault::SlowReply { .. }))
    }

    /// What happens to a hint.
    pub(super) fn of_hint(&mut self, now: Duration, id: u64) -> Option<Fault> {
        let fault = self.fate(now, id, true)?;
        self.note(id, fault, matches!(fault, Fault::LoseHint | Fault::Delay { .. }))
    }

    fn fate(&self, now: Duration, id: u64, is_hint: bool) -> Option<Fault> {
        let drawn = || {
            let rates = self.rates.as_ref().filter(|rates| now < rates.until)?;
            rates.fate(self.seed, id, is_hint)
        };
        self.given.get(&id).copied().or_else(drawn)
    }

    fn note(&mut self, id: u64, fault: Fault, applies: bool) -> Option<Fault> {
        if !applies {
            return None;
        }
        self.happened.push(Planned { when: When::To(id), fault });
        Some(fault)
    }
}
