//! Carries out plans: does the harm, waits, and undoes it.

use std::{sync::Arc, time::Duration};

use serde::Serialize;
use tokio::{sync::Mutex, task::block_in_place, time::sleep};

use super::{
    fleet::Fleet,
    ledger::Ledger,
    plan::{Fault, Kind, Plan},
    proxy::Way,
};

/// A fault that was.
#[derive(Debug, Clone, Serialize)]
pub struct Struck {
    pub fault: Fault,
    /// In the time of the run.
    pub began: Duration,
    /// When it was undone: a worker that was killed is ready again.
    pub ended: Duration,
    /// How a drained worker ended, if not with 0.
    pub failed: Option<String>,
}

/// When it is enough.
#[derive(Debug, Clone, Copy)]
pub enum Until {
    /// After so many faults of each part.
    Faults(usize),
    /// At this time of the run.
    Time(Duration),
}

/// What goes wrong, and a record of it.
pub struct Storm {
    pub fleet: Arc<Fleet>,
    pub ledger: Arc<Ledger>,
    pub struck: Mutex<Vec<Struck>>,
}

impl Struck {
    /// Whether the server was away, for a time, because of it.
    pub fn takes_the_server_away(&self) -> bool {
        matches!(self.fault.kind, Kind::ServerKill | Kind::ServerPause)
    }

    /// Whether there was a time when both were under way.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.began <= other.ended && other.began <= self.ended
    }
}

impl Storm {
    /// One part of it, to its end.
    pub async fn rage(&self, mut plan: Plan, until: Until) -> Result<(), String> {
        let mut done = 0;
        while match until {
            Until::Faults(count) => done < count,
            Until::Time(end) => self.ledger.now() < end,
        } {
            let fault = plan.next().expect("a plan has no end");
            sleep(fault.after).await;
            let began = self.ledger.now();
            let struck = self.strike(fault).await;
            let failed = struck.map_err(|why| format!("at {began:.1?}, {}: {why}", fault.kind))?;
            self.struck.lock().await.push(Struck { fault, began, ended: self.ledger.now(), failed });
            done += 1;
        }
        Ok(())
    }

    /// How a drained worker ended, if not with 0.
    async fn strike(&self, fault: Fault) -> Result<Option<String>, String> {
        match fault.worker {
            Some(worker) => self.strike_worker(fault, worker).await,
            None => self.strike_others(fault).await.map(|()| None),
        }
    }

    async fn strike_worker(&self, fault: Fault, worker: usize) -> Result<Option<String>, String> {
        let place = &self.fleet.workers[worker];
        let mut process = place.process.lock().await;
        // One that ended by itself is noticed at the next fault.
        process.worker()?;
        let mut failed = None;
        match fault.kind {
            Kind::Kill => {
                process.kill()?;
                sleep(fault.lasts).await;
                process.start().await?;
            }
            Kind::Drain => {
                let status = process.drain()?;
                failed = (!status.success()).then(|| status.to_string());
                sleep(fault.lasts).await;
                process.start().await?;
            }
            Kind::ShortPause | Kind::LongPause => {
                process.worker()?.pause();
                sleep(fault.lasts).await;
                process.worker()?.resume();
            }
            Kind::Reset => place.proxy.reset(),
            Kind::Blackhole | Kind::CutCable => {
                place.proxy.set(Way::Blackhole);
                sleep(fault.lasts).await;
                if fault.kind == Kind::CutCable {
                    place.proxy.reset();
                }
                place.proxy.set(Way::Pass);
            }
            Kind::Delay => {
                place.proxy.set(Way::Delay(fault.delay));
                sleep(fault.lasts).await;
                place.proxy.set(Way::Pass);
            }
            other => return Err(format!("{other} is not about a worker")),
        }
        Ok(failed)
    }

    async fn strike_others(&self, fault: Fault) -> Result<(), String> {
        let proxy = &self.fleet.senders;
        match fault.kind {
            Kind::ServerKill => {
                let mut server = self.fleet.server.lock().await;
                block_in_place(|| server.kill());
                sleep(fault.lasts).await;
                block_in_place(|| server.restart());
            }
            Kind::ServerPause => {
                let server = self.fleet.server.lock().await;
                block_in_place(|| server.pause());
                sleep(fault.lasts).await;
                server.resume();
            }
            Kind::SenderReset => proxy.reset(),
            Kind::SenderBlackhole | Kind::SenderDelay => {
                let slow = Way::Delay(fault.delay);
                proxy.set(if fault.kind == Kind::SenderDelay { slow } else { Way::Blackhole });
                sleep(fault.lasts).await;
                proxy.set(Way::Pass);
            }
            other => return Err(format!("{other} is about a worker")),
        }
        Ok(())
    }
}
