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
            self.strike(fault).await.map_err(|why| format!("at {began:.1?}, {}: {why}", fault.kind))?;
            self.struck.lock().await.push(Struck { fault, began, ended: self.ledger.now() });
            done += 1;
        }
        Ok(())
    }

    async fn strike(&self, fault: Fault) -> Result<(), String> {
        match fault.worker {
            Some(worker) => self.strike_worker(fault, worker).await,
            None => self.strike_others(fault).await,
        }
    }

    async fn strike_worker(&self, fault: Fault, worker: usize) -> Result<(), String> {
        let place = &self.fleet.workers[worker];
        let mut process = place.process.lock().await;
        // One that ended by itself is noticed at the next fault.
        process.worker()?;
        match fault.kind {
            Kind::Kill | Kind::Drain => {
                if fault.kind == Kind::Kill {
                    process.kill()?
                } else {
                    process.drain()?
                }
                sleep(fault.lasts).await;
                process.start()?;
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
        Ok(())
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
