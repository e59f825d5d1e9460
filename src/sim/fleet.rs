//! The machines: starts, stops and drains workers' processes.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::task::AbortHandle;
use tokio_util::task::TaskTracker;

use super::{choice::Actor, clock::SimClock, mixed::mixed, store::SimStore, world::World};
use crate::runtime::{Env, WorkerBuilder, WorkerHandle};

/// Makes a worker's builder from its store and environment; asked anew at every start.
pub(super) type Build = Arc<dyn Fn(u16, SimStore, Env) -> WorkerBuilder<SimStore> + Send + Sync>;

/// How long a process that could not start waits before it tries again.
const START_AGAIN: Duration = Duration::from_secs(1);

/// All machines.
pub(super) struct Fleet {
    world: Arc<World>,
    seed: u64,
    build: Build,
    hosts: Vec<Host>,
    tasks: TaskTracker,
}

/// One machine.
#[derive(Default)]
struct Host {
    handle: Arc<Mutex<Option<Arc<WorkerHandle>>>>,
    starting: Option<AbortHandle>,
    /// To be started as soon as it has ended.
    again: bool,
}

/// A process' way to the world: its store, and its clock and randomness.
pub(super) fn process(world: &Arc<World>, actor: Actor, seed: u64) -> (SimStore, Env) {
    let (generation, partitions) = {
        let mut state = world.state();
        let now = state.now();
        (state.process_mut(actor).start(now), state.server.partitions())
    };
    let clock = SimClock { world: world.clone(), actor, generation };
    let number = match actor {
        Actor::Worker(worker) => u64::from(worker),
        Actor::Client(client) => 1 << 20 | u64::from(client),
        Actor::World => 1 << 40,
    };
    let env = Env::with_clock(Arc::new(clock), mixed(seed ^ mixed(number << 20 | u64::from(generation))));
    let store = SimStore { world: world.clone(), actor, generation, partitions, env: env.clone() };
    (store, env)
}

impl Fleet {
    pub(super) fn new(world: Arc<World>, seed: u64, build: Build, workers: u16) -> Self {
        let hosts = (0..workers).map(|_| Host::default()).collect();
        Self { world, seed, build, hosts, tasks: TaskTracker::new() }
    }

    /// Starts all.
    pub(super) fn start_all(&mut self) {
        for worker in 0..self.hosts.len() {
            self.start(u16::try_from(worker).expect("few workers"));
        }
    }

    /// Starts a worker's process, if it does not run; one that is ending starts when it has.
    pub(super) fn start(&mut self, worker: u16) {
        let Some(host) = self.hosts.get_mut(usize::from(worker)) else { return };
        let actor = Actor::Worker(worker);
        {
            let state = self.world.state();
            let process = state.process(actor);
            if process.is_up {
                host.again = process.is_draining;
                return;
            }
        }
        let (store, env) = process(&self.world, actor, self.seed);
        let (build, handle) = (self.build.clone(), Arc::<Mutex<_>>::default());
        *host = Host { handle: handle.clone(), starting: None, again: false };
        let world = self.world.clone();
        let starting = self.tasks.spawn(async move {
            loop {
                match build(worker, store.clone(), env.clone()).start().await {
                    Ok(started) => {
                        let started = Arc::new(started);
                        *handle.lock().expect("nobody panics with it") = Some(started.clone());
                        // Somebody may tell it to.
                        started.stopped().await;
                        return ended(&world, worker, store.generation);
                    }
                    Err(_) => env.sleep(START_AGAIN).await,
                }
            }
        });
        host.starting = Some(starting.abort_handle());
    }

    /// Starts again what was to be, and has ended.
    pub(super) fn start_ended(&mut self) {
        for worker in 0..self.hosts.len() {
            if self.hosts[worker].again {
                self.start(u16::try_from(worker).expect("few workers"));
            }
        }
    }

    /// Kills a worker's process.
    pub(super) fn stop(&mut self, worker: u16) {
        let Some(host) = self.hosts.get_mut(usize::from(worker)) else { return };
        end(&self.world, worker);
        if let Some(starting) = host.starting.take() {
            starting.abort();
        }
        if let Some(handle) = host.handle.lock().expect("nobody panics with it").take() {
            // It is told at once; that it has ended is of no interest.
            let _ = handle.kill().now_or_never();
        }
    }

    /// Asks a worker's process to end in good order.
    pub(super) fn drain(&mut self, worker: u16) {
        let Some(host) = self.hosts.get(usize::from(worker)) else { return };
        let Some(handle) = host.handle.lock().expect("nobody panics with it").clone() else { return };
        let world = self.world.clone();
        let generation = {
            let mut state = world.state();
            let process = state.process_mut(Actor::Worker(worker));
            process.is_draining = true;
            process.generation
        };
        self.tasks.spawn(async move {
            handle.drain().await;
            ended(&world, worker, generation);
        });
    }

    /// Whether some worker does not run.
    pub(super) fn down(&self) -> Vec<u16> {
        let state = self.world.state();
        let workers = 0..u16::try_from(self.hosts.len()).expect("few workers");
        workers.filter(|worker| !state.process(Actor::Worker(*worker)).is_up).collect()
    }
}

/// A process has ended by itself, if it was still that start of it.
fn ended(world: &World, worker: u16, generation: u32) {
    let runs = world.state().process(Actor::Worker(worker)).is(generation);
    if runs {
        end(world, worker);
    }
}

/// A process is no more: what it sent may arrive, and nothing reaches it.
fn end(world: &World, worker: u16) {
    let mut state = world.state();
    let actor = Actor::Worker(worker);
    let now = state.now();
    state.process_mut(actor).stop(now);
    state.unsubscribe(actor);
    state.leave_calls(actor);
    state.distrust(actor);
}
