//! False alarms: workers that live and are slow, on a machine that is busy.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use tenure::Env;

use super::{
    super::fleet::{Signal, signal},
    report::{Bar, Measured},
    scene::{ACQUAINTED, Scene},
};
use crate::failure::Failure;

/// How long each worker in turn stands still, and how long all run before the next does.
const PAUSED: Duration = Duration::from_millis(300);
const BETWEEN: Duration = Duration::from_millis(700);

/// Of every ten milliseconds each processor works nine.
const WORK: Duration = Duration::from_millis(9);
const REST: Duration = Duration::from_millis(1);

impl Scene<'_> {
    /// Pauses each worker in turn for as long as was asked, with all processors busy.
    pub(super) async fn alarms(&mut self) -> Result<Measured, Failure> {
        let mut fleet = self.workers(self.args.survivors + 1).await?;
        self.begin_turns().await?;
        self.env.sleep(ACQUAINTED).await;
        let busy = Busy::on_all_processors(&self.env);
        let until = self.env.now().plus(self.args.alarms_for());
        let mut pauses = 0;
        while self.env.now() < until {
            for pid in fleet.pids() {
                signal(pid, Signal::Stop)?;
                self.env.sleep(PAUSED).await;
                signal(pid, Signal::Continue)?;
                self.env.sleep(BETWEEN).await;
                pauses += 1;
            }
            if !self.global.json {
                eprint!("\r{pauses} pauses");
            }
        }
        if !self.global.json {
            eprintln!();
        }
        drop(busy);
        let adopted = self.all_told().await?;
        let measured = Measured {
            bars: vec![Bar::exactly("adopted", adopted, 0), Bar::exactly("buried", fleet.lost().await, 0)],
            note: Some(format!("{pauses} pauses of 300 ms in {:?}", self.args.alarms_for())),
            ..Measured::default()
        };
        fleet.end().await?;
        Ok(measured)
    }
}

/// Threads that keep all processors busy until this is dropped.
struct Busy(Arc<AtomicBool>);

impl Busy {
    fn on_all_processors(env: &Env) -> Self {
        let on = Arc::new(AtomicBool::new(true));
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            let (env, on) = (env.clone(), on.clone());
            thread::spawn(move || {
                while on.load(Ordering::Relaxed) {
                    let until = env.now().plus(WORK);
                    while env.now() < until {
                        std::hint::spin_loop();
                    }
                    thread::sleep(REST);
                }
            });
        }
        Self(on)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}
