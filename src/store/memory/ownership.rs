//! Ownership of sessions: claim, release, refresh, reap.

use std::time::Duration;

use super::{
    MemoryStore,
    partition::{Keyspace, Standing, Step, leave},
};
use crate::{
    model::{Cause, Crash, Epoch, Hold, Lease, Pool, SessionId, SessionRecord, Token, WorkerId},
    planted::{Bug, planted},
    store::{
        Claim, Claimant, Claimed, Leaving, Overdue, Purpose, Reap, Refresh, Release, StoreResult, Suspect,
    },
};

/// How much longer than it did an eager session seems to have waited in `ready` when its owner died.
const EAGER_AHEAD: Duration = Duration::from_secs(1);

/// What stands between a claimant and a session.
enum Owner {
    /// Nobody.
    Nobody,
    /// Somebody who must be left alone.
    Other(WorkerId),
    /// Somebody who is past the deadline and may be buried.
    Overdue(WorkerId),
    /// Somebody who is buried or unknown.
    Gone,
    /// The claimant's own incarnation, by an older claim.
    Claimant,
}

impl Keyspace {
    pub(super) fn claim(&mut self, step: &Step, id: &SessionId, claimant: &Claimant, page: usize) -> Claim {
        let queue = (claimant.pool.clone(), id.agent());
        if self.is_gone(&claimant.worker) {
            return Claim::Lost;
        }
        let Some(session) = self.sessions.get(id) else {
            leave(&mut self.ready, &queue, id);
            return Claim::Absent;
        };
        if let Some(why) = session.newer.clone() {
            leave(&mut self.ready, &queue, id);
            return Claim::Unreadable(why);
        }
        let owner = session.record.owner.as_ref();
        if let Some(token) = owner.filter(|token| is_same_claim(token, claimant)).cloned() {
            return self.grant(step, id, token, claimant, page);
        }
        if session.record.pool != claimant.pool {
            return Claim::OtherPool(session.record.pool.clone());
        }
        match self.owner_before(step, id, claimant) {
            Owner::Other(by) => return Claim::Held { by },
            Owner::Overdue(worker) => {
                self.put_to_rest(&worker, step.now);
                self.take_from_the_dead(step, id);
            }
            Owner::Gone => self.take_from_the_dead(step, id),
            Owner::Nobody | Owner::Claimant => (),
        }
        let session = &self.sessions[id];
        let is_to_report = claimant.purpose == Purpose::Report && session.record.suspended.is_none();
        if session.record.owner.is_none() && !session.is_runnable() && !is_to_report {
            self.settle(id, step.now);
            return Claim::NothingToDo;
        }
        if let Some(refused) = self.judge(step, id, claimant) {
            // A suspect that is left waits behind the others.
            leave(&mut self.ready, &queue, id);
            self.settle(id, step.now);
            return refused;
        }
        let token = self.next_token(step, id, claimant);
        self.grant(step, id, token, claimant, page)
    }

    /// Who has the session, as far as it matters to `claimant`.
    fn owner_before(&self, step: &Step, id: &SessionId, claimant: &Claimant) -> Owner {
        let Some(owner) = &self.sessions[id].record.owner else { return Owner::Nobody };
        let worker = owner.worker.clone();
        if worker == claimant.worker {
            return Owner::Claimant;
        }
        match (self.standing(&worker, step.now), claimant.overdue) {
            (Standing::Alive, _) | (Standing::Overdue, Overdue::Spare) => Owner::Other(worker),
            (Standing::Overdue, Overdue::BuryUnder(reckoning))
                if reckoning.run != MemoryStore::only_run() || step.now > reckoning.until =>
            {
                Owner::Other(worker)
            }
            (Standing::Overdue, Overdue::Bury | Overdue::BuryUnder(_)) => Owner::Overdue(worker),
            (Standing::Buried | Standing::Unknown, _) => Owner::Gone,
        }
    }

    /// Clears the owner; the session is orphaned if it was runnable, and a lazy turn in the middle is suspended.
    pub(super) fn take_from_the_dead(&mut self, step: &Step, id: &SessionId) {
        let session = self.sessions.get_mut(id).expect("the caller saw the session");
        session.record.orphaned = session.is_runnable().then_some(step.now);
        if session.record.is_suspended_by_death(session.waiting()) && !planted(Bug::LazyGoesOn) {
            session.record.suspended = Some(step.now);
        }
        session.disown(step.now);
    }

    /// What a session that killed its owners is answered; none if it may be claimed.
    fn judge(&mut self, step: &Step, id: &SessionId, claimant: &Claimant) -> Option<Claim> {
        let record = &mut self.sessions.get_mut(id).expect("the caller saw the session").record;
        let crashes = record.crashes_at_claim();
        if record.orphaned.is_some() && crashes.len() >= SessionRecord::MOST_CRASHES {
            let reason = poison(&crashes);
            record.hold = Some(Hold::Quarantined { cause: Cause::Poison, reason: reason.clone() });
            (record.crashes, record.orphaned, record.updated) = (crashes, None, step.now);
            return Some(Claim::Quarantined { reason });
        }
        let leave = SessionRecord::is_suspect(&crashes) && claimant.suspect == Suspect::Leave;
        leave.then_some(Claim::Suspect)
    }

    /// Draws the token of a new claim.
    fn next_token(&mut self, step: &Step, id: &SessionId, claimant: &Claimant) -> Token {
        let record = &mut self.sessions.get_mut(id).expect("the caller saw the session").record;
        let after_last = record.epoch.map_or(0, |Epoch(last)| last + 1);
        let epoch = match planted(Bug::EpochGoesBack) {
            false => Epoch(after_last.max(step.now.0).max(claimant.seen.0)),
            true => Epoch(after_last.max(1)),
        };
        record.epoch = Some(epoch);
        if !planted(Bug::CrashAfterClaim) {
            record.crashes = record.crashes_at_claim();
        }
        record.orphaned = None;
        record.updated = step.now;
        Token { worker: claimant.worker.clone(), epoch, nonce: claimant.nonce }
    }

    /// Makes `token` the owner's, and hands out what is needed to start. A repeat hands out the same again.
    fn grant(
        &mut self,
        step: &Step,
        id: &SessionId,
        token: Token,
        claimant: &Claimant,
        page: usize,
    ) -> Claim {
        let session = self.sessions.get_mut(id).expect("the caller saw the session");
        session.record.owner = Some(token.clone());
        session.register(&token, claimant.own_ttl, step.now);
        let claimed = Claimed {
            record: session.record.clone(),
            state: session.state.clone(),
            mail: session.mail(page),
            lease: Lease::granted(id.clone(), token),
        };
        self.settle(id, step.now);
        Claim::Won(Box::new(claimed))
    }

    pub(super) fn release(
        &mut self,
        step: &mut Step,
        lease: &Lease,
        leaving: Leaving,
        page: usize,
    ) -> StoreResult<Release> {
        let (id, worker) = (lease.session(), &lease.token().worker);
        let Some(session) = self.session(id)? else { return Ok(Release::Fenced) };
        if !session.is_owned_by(lease.token()) {
            let record = &session.record;
            let released = record.owner.is_none()
                && record.epoch == Some(lease.epoch())
                && record.last_owner.as_ref() == Some(worker);
            return Ok(if released { Release::Released } else { Release::Fenced });
        }
        let runnable = session.is_runnable();
        if runnable && leaving == Leaving::IfIdle && planted(Bug::ReleaseIgnoresInbox) {
            session.disown(step.now);
            self.let_go(worker, id);
            return Ok(Release::Released);
        }
        if runnable && leaving == Leaving::IfIdle {
            return Ok(Release::Runnable(session.mail(page)));
        }
        let pool = session.record.pool.clone();
        session.disown(step.now);
        self.let_go(worker, id);
        self.settle(id, step.now);
        if runnable {
            self.offer_around(id, &pool, Some(worker), step.hints);
        }
        Ok(Release::Released)
    }

    pub(super) fn refresh(
        &mut self,
        step: &Step,
        lease: &Lease,
        own_ttl: Duration,
        page: usize,
    ) -> StoreResult<Refresh> {
        let Some(session) = self.session(lease.session())? else { return Ok(Refresh::Fenced) };
        if !session.is_owned_by(lease.token()) {
            return Ok(Refresh::Fenced);
        }
        session.register(lease.token(), own_ttl, step.now);
        Ok(Refresh::Held { record: Box::new(session.record.clone()), mail: session.mail(page) })
    }

    pub(super) fn reap(
        &mut self,
        step: &mut Step,
        id: &SessionId,
        from: &WorkerId,
        pool: &Pool,
    ) -> StoreResult<Reap> {
        if !self.is_gone(from) {
            return Ok(Reap::Alive);
        }
        let owned = self.session(id)?.filter(|session| {
            session
                .record
                .owner
                .as_ref()
                .is_some_and(|owner| owner.worker == *from || planted(Bug::StaleReap))
        });
        let Some(session) = owned else {
            self.let_go(from, id);
            return Ok(Reap::NotTheirs);
        };
        if session.record.pool != *pool {
            return Ok(Reap::OtherPool(session.record.pool.clone()));
        }
        self.take_from_the_dead(step, id);
        self.let_go(from, id);
        let ahead = if self.sessions[id].record.goes_first() { EAGER_AHEAD } else { Duration::ZERO };
        self.settle(id, step.now.minus(ahead));
        let runnable = self.sessions[id].is_runnable();
        if runnable {
            self.offer_around(id, pool, None, step.hints);
        }
        Ok(Reap::Reaped { runnable })
    }
}

/// Why a session that killed so many owners is set aside.
fn poison(crashes: &[Crash]) -> String {
    let last = crashes.last().map_or("", |crash| crash.worker.as_str());
    format!("{} of its owners died while it had work, the last was {last}", crashes.len())
}

/// Whether `token` was granted to this very claim.
fn is_same_claim(token: &Token, claimant: &Claimant) -> bool {
    token.worker == claimant.worker && token.nonce == claimant.nonce
}
