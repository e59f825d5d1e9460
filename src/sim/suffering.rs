//! What faults do to the world.

use std::time::Duration;

use super::{
    choice::Actor,
    faults::{Cut, Fault},
    mixed::mixed,
    process::Link,
    world::State,
};

/// When the server started anew everybody has subscribed again within this.
const BACK_WITHIN_US: u64 = 500_000;

/// Whether a fault that is over at once leaves everybody in doubt for a while: the server's data or a clock is another than
/// before, or what was sent long ago arrives.
fn is_felt_for_long(fault: Fault) -> bool {
    matches!(
        fault,
        Fault::RestartServer
            | Fault::Failover
            | Fault::SetServerClock { .. }
            | Fault::Leap { .. }
            | Fault::Heal { .. }
    )
}

impl State {
    /// What a fault does to the world; what it does to processes is the fleet's part.
    pub(super) fn suffer(&mut self, fault: Fault) {
        let now = self.now();
        self.note_fault(fault);
        if is_felt_for_long(fault) {
            self.unowned.stir();
        }
        match fault {
            Fault::Partition { worker, how } if worker < self.workers => {
                let actor = Actor::Worker(worker);
                self.process_mut(actor).cut(now, how);
                if how == Cut::Drop {
                    self.lose_calls(Some(actor), None);
                    self.lose_hints(Some(actor));
                }
            }
            Fault::Heal { worker } if worker < self.workers => {
                let actor = Actor::Worker(worker);
                let link = self.process_mut(actor).heal();
                if link == Link::Cut(Cut::Drop) {
                    self.resubscribe(Some(actor));
                }
            }
            Fault::Pause { worker, lasting } if worker < self.workers => {
                self.process_mut(Actor::Worker(worker)).pause(now, lasting);
            }
            Fault::BreakLifeline { worker, lasting } if worker < self.workers => {
                self.deafen(Actor::Worker(worker), now + lasting);
                self.process_mut(Actor::Worker(worker)).lifeline_broken.get_or_insert(now);
            }
            Fault::Leap { worker, by } if worker < self.workers => {
                self.process_mut(Actor::Worker(worker)).clock.jump(now, by);
                self.watch.clock_leapt(now);
            }
            Fault::Drift { worker, ppm } if worker < self.workers => {
                self.process_mut(Actor::Worker(worker)).clock.drift(now, ppm);
            }
            Fault::SetServerClock { by_ms } => {
                self.server.set_clock(now, by_ms);
                self.watch.doubt_deadlines(now);
            }
            Fault::RestartServer => {
                self.server.restart(now);
                self.lose_connections();
            }
            Fault::CutReplica => self.server.cut_replica(),
            Fault::HealReplica => self.server.heal_replica(),
            Fault::Failover => {
                self.server.fail_over();
                self.lose_connections();
                self.watch.forget();
                self.watch.doubt_deadlines(now);
                self.check_all();
            }
            Fault::FillMemory { lasting } => self.server.fill(now + lasting),
            Fault::SlowFsync { by, lasting } => self.server.slow_down(by, now + lasting),
            _ => (),
        }
    }

    /// Every connection breaks, and everybody notices at once; some are sooner back than others.
    fn lose_connections(&mut self) {
        let now = self.now();
        self.lose_calls(None, Some(now));
        self.lose_hints(None);
        for worker in 0..self.workers {
            let drawn = mixed(self.step() << 16 | u64::from(worker));
            let back = Duration::from_micros(drawn % BACK_WITHIN_US);
            self.deafen(Actor::Worker(worker), now + back);
            // All break at once, and the server is another: nobody may make anything of it.
            self.process_mut(Actor::Worker(worker)).lifeline_broken = None;
        }
    }
}
